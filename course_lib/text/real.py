"""Real CLIPs, which have read the web: through open_clip, with their own preprocessing.

None of them ships with the course: each is downloaded once, and kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from course_lib.checks import optional_packages
from course_lib.shapes import Image
from course_lib.text.towers import require_pictures
from course_lib.weights import import_torchvision
from course_lib.weights.hub import from_hub, hub_folder


@dataclass(frozen=True)
class RealClip:
    """A CLIP that has read the web, as open_clip names it.

    Attributes:
        bytes: of its weights, in single precision.
        license: of the weights, as their publisher states it.
    """

    name: str
    pretrained: str
    bytes: int
    license: str

    def __str__(self) -> str:
        return f'"{self.name}", pretrained="{self.pretrained}" ({self.bytes / 1e6:.0f} MB)'


REAL = (
    RealClip("ViT-B-32", "openai", 605_000_000, "MIT"),
    RealClip("ViT-B-32", "laion2b_s34b_b79k", 605_000_000, "MIT"),
    RealClip("MobileCLIP-S1", "datacompdr", 340_000_000, "Apple Sample Code License"),
    RealClip("MobileCLIP2-S0", "dfndr2b", 300_000_000, "Apple Model License for Research"),
)
"""Those that are known to go with this course; none of them ships with it."""


class OpenClip:
    """A model of open_clip, with its own preprocessing made differentiable.

    Args:
        model: as open_clip creates it.
        tokenizer: texts -> numbers of tokens.
    """

    def __init__(self, model: nn.Module, tokenizer: object, *, name: str, device: object):
        self.model = model.to(device).eval().requires_grad_(False)
        self.tokenizer, self.name, self.device = tokenizer, name, device
        settings = model.visual.preprocess_cfg
        size = settings["size"]
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        mode = settings.get("interpolation")
        self.mode = mode if mode in ("bilinear", "bicubic") else "bicubic"
        self.mean, self.std = (torch.tensor(settings[key], device=device)[:, None, None]
                               for key in ("mean", "std"))

    def embed_images(self, images: Image) -> Float[Tensor, "batch d"]:
        """Pictures (batch, 3, height, width) in [0, 1] -> unit vectors; differentiable.

        Clamped, resized and normalised as the model's own photographs were.
        """
        require_pictures(images)
        seen = F.interpolate(images.clamp(0, 1), self.size, mode=self.mode, antialias=True)
        return F.normalize(self.model.encode_image((seen - self.mean) / self.std), dim=1)

    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "texts d"]:
        """Sentences -> unit vectors."""
        if not all(text.strip() for text in texts):
            raise ValueError(
                "the prompt is empty, so it says nothing about a picture: write what should be "
                "seen."
            )
        return F.normalize(self.model.encode_text(self.tokenizer(list(texts)).to(self.device)),
                           dim=1)


def create_clip(
    name: str, device: torch.device | str, *, pretrained: str | None = None
) -> OpenClip:
    """A model by open_clip's name for it, or "local-dir:" and a folder in its layout.

    Raises:
        ModuleNotFoundError: open_clip_torch is not installed.
    """
    open_clip, folder = _import_open_clip(), hub_folder()
    model, *_ = open_clip.create_model_and_transforms(
        name, pretrained=pretrained, cache_dir=folder)
    tokenizer = open_clip.get_tokenizer(name, cache_dir=folder)
    return OpenClip(model, tokenizer, name=name, device=device)


def download_clip(real: RealClip, device: torch.device | str) -> OpenClip:
    """A registered model: from the cache, else downloaded into it.

    Raises:
        ModuleNotFoundError: open_clip_torch is not installed.
        ConnectionError: it is not in the cache, and can't be downloaded now.
    """
    _import_open_clip()
    with from_hub(real, instead='use load_clip("clip-small")'):
        return create_clip(real.name, device, pretrained=real.pretrained)


def _import_open_clip() -> ModuleType:
    with optional_packages("a real CLIP", "open_clip_torch", "torchvision",
                           instead='use load_clip("clip-small")'):
        import_torchvision()
        import open_clip
    return open_clip
