"""A small CLIP: two networks that bring pictures and sentences to one sphere.

The picture's half looks through EfficientNet-Lite0, which stays as it is ("locked"), and at plain
colours, which that network was trained to overlook. The sentence's half is a transformer of two
layers over some hundred words. A sentence that is true of a picture lies close to it.

Sources: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
ICML 2021 (CLIP); Zhai et al., "LiT: Zero-Shot Transfer with Locked-image text Tuning", CVPR 2022.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib.checks import require_image
from course_lib.lite0 import arrange_pictures, load_lite0
from course_lib.shapes import Image
from course_lib.text.words import LONGEST, PADDING

GRID = 8  # squares along a side, whose mean colours are looked at
LEVELS = 5  # of each of red, green and blue in the histogram of colours
FEATURES = 40 + 112 + 320 + 1280 + 3 * GRID**2 + LEVELS**3


@dataclass(frozen=True)
class TowersConfig:
    """The shape of a small CLIP.

    Attributes:
        words: how many numbers stand for words, the padding's included.
        dim: of the sphere's space; width: of the transformer; hidden: of the pictures' head.
        seen_at: the size at which pictures are looked at.
    """

    words: int
    dim: int = 128
    width: int = 128
    layers: int = 2
    hidden: int = 256
    seen_at: int = 96


class Towers(nn.Module):
    """Pictures and sentences -> unit vectors.

    Attributes:
        mean, deviation: of what `look` sees of photos, (features,).
        log_scale, shift: a sentence is true of a picture with probability
            σ(exp(log_scale) · cos + shift).
    """

    def __init__(self, config: TowersConfig):
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("deviation", torch.ones(FEATURES))
        self.head = nn.Sequential(
            nn.Linear(FEATURES, config.hidden), nn.GELU(), nn.Dropout(0.4),
            nn.Linear(config.hidden, config.dim))
        self.token = nn.Embedding(config.words, config.width, padding_idx=PADDING)
        self.place = nn.Parameter(torch.randn(LONGEST, config.width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            config.width, 4, 2 * config.width, dropout=0.0, activation="gelu", batch_first=True,
            norm_first=True)
        self.reader = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.meaning = nn.Sequential(nn.LayerNorm(config.width),
                                     nn.Linear(config.width, config.dim))
        self.log_scale = nn.Parameter(torch.tensor(2.3))
        self.shift = nn.Parameter(torch.tensor(-5.0))

    def embed_images(self, images: Image) -> Float[Tensor, "batch dim"]:
        """Pictures (batch, 3, height, width) in [0, 1] -> unit vectors; differentiable."""
        return self.embed_features(look(images, self.config.seen_at))

    def embed_features(self, features: Float[Tensor, "batch n"]) -> Float[Tensor, "batch dim"]:
        """What `look` saw -> unit vectors."""
        return F.normalize(self.head((features - self.mean) / self.deviation), dim=1)

    def embed_sentences(self, numbers: Int[Tensor, "batch longest"]) -> Float[Tensor, "batch dim"]:
        """Sentences as numbers of words -> unit vectors."""
        numbers = numbers[:, : int((numbers != PADDING).sum(dim=1).max())]
        padded = numbers == PADDING
        read = self.reader(self.token(numbers) + self.place[: numbers.shape[1]],
                           src_key_padding_mask=padded)
        kept = (~padded).to(read)[:, :, None]
        return F.normalize(self.meaning((read * kept).sum(dim=1) / kept.sum(dim=1)), dim=1)

    def logits(self, images: Tensor, sentences: Tensor) -> Float[Tensor, "images sentences"]:
        """How surely each sentence is true of each picture, both as unit vectors."""
        return self.log_scale.exp() * images @ sentences.T + self.shift


def look(images: Image, size: int) -> Float[Tensor, "batch n"]:
    """What the locked half sees: Lite0's features, averaged over all places, and colours."""
    images = arrange_pictures(images, size)
    network = load_lite0(images.device)
    found = network(images)
    described = F.relu6(network.head(found[-1]))
    parts = [one.mean(dim=(2, 3)) for one in (*found[1:], described)]
    grid = F.adaptive_avg_pool2d(images, GRID).flatten(1)
    return torch.cat([*parts, grid, color_histogram(images)], dim=1)


def color_histogram(images: Image) -> Float[Tensor, "batch bins"]:
    """The root of the share of each of `LEVELS`³ colours; a pixel counts for those it lies between.

    Linear shares between neighbouring levels, so that it is differentiable.
    """
    small = F.adaptive_avg_pool2d(images, 32).clamp(0, 1)
    pixels = small.flatten(2)[:, :, None] * (LEVELS - 1)  # (batch, 3, 1, pixels)
    levels = torch.arange(LEVELS, device=images.device)[:, None]
    red, green, blue = (1 - (pixels - levels).abs()).clamp(min=0).unbind(dim=1)
    share = torch.einsum("nip,njp,nkp->nijk", red, green, blue).flatten(1) / pixels.shape[-1]
    return (share + 1e-4).sqrt()


def require_pictures(images: Tensor) -> None:
    """Raise a `ValueError` unless these are a batch of pictures in colour."""
    require_image(images, "images")
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(
            f"images have shape {tuple(images.shape)}, but a CLIP looks at (batch, 3, height, "
            f"width): add the batch's axis with [None]."
        )
