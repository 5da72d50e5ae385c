"""CLIPs to be guided by: the small one that ships, and real ones through open_clip.

Both bring pictures and sentences to one sphere, where D = 1 − cos tells how far apart they are.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.images import default_device, usable_device
from course_lib.shapes import Image
from course_lib.text.real import REAL, create_clip, download_clip
from course_lib.text.towers import Towers, TowersConfig, require_pictures
from course_lib.text.words import Vocabulary
from course_lib.weights import read_weights
from course_lib.weights.files import ASSETS


@runtime_checkable
class Clip(Protocol):
    """Pictures and sentences as unit vectors of one space."""

    name: str

    def embed_images(self, images: Image) -> Float[Tensor, "batch d"]:
        """Pictures (batch, 3, height, width) in [0, 1]; differentiable."""

    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "texts d"]:
        """Sentences."""


def load_clip(
    name_or_folder: str | Path = "clip-small", *, pretrained: str | None = None,
    device: torch.device | str | None = None,
) -> Clip:
    """A CLIP by name, or from a folder in open_clip's layout.

    "clip-small" ships with the course and knows the words of its captions. Real ones need the
    package open_clip_torch and a download, which is kept: `load_clip("ViT-B-32",
    pretrained="openai")`, say; `REAL` lists them.

    Args:
        name_or_folder: a shipped or registered name, or a folder that holds
            open_clip_config.json and weights.
        pretrained: which weights of a real model.
        device: where to compute; `images.default_device()` if None.
    Raises:
        ValueError: no such model or weights, or `pretrained` is missing.
        ModuleNotFoundError: a real one is asked for, and open_clip_torch is not installed.
        ConnectionError: its weights are not in the cache, and can't be downloaded now.
    """
    device = default_device() if device is None else usable_device(device, "device")
    name = str(name_or_folder)
    shipped = ASSETS / f"{name}.safetensors"
    if shipped.is_file() and name.startswith("clip"):
        return _load_small(shipped, torch.device(device))
    if Path(name).is_dir():
        return create_clip(f"local-dir:{name}", device)
    known = [one for one in REAL if one.name == name]
    if not known:
        raise ValueError(
            f"there is no CLIP named {name!r} here: take \"clip-small\", which ships, one of "
            f"{'; '.join(map(str, REAL))}, or pass a folder in open_clip's layout."
        )
    chosen = [one for one in known if one.pretrained == pretrained]
    if not chosen:
        said = "no pretrained weights were named" if pretrained is None else (
            f"it has no weights {pretrained!r} here")
        raise ValueError(
            f"{name} is an architecture, and {said}: with random weights every sentence means "
            f"nothing, so name them, load_clip({' or '.join(map(str, known))})."
        )
    return download_clip(chosen[0], device)


class SmallClip:
    """The small CLIP that ships: a few hundred words about cats and clothes.

    Attributes:
        vocabulary: the words that it knows.
    """

    def __init__(self, towers: Towers, vocabulary: Vocabulary, name: str):
        self.towers, self.vocabulary, self.name = towers, vocabulary, name

    def embed_images(self, images: Image) -> Float[Tensor, "batch d"]:
        """Pictures (batch, 3, height, width) in [0, 1] -> unit vectors; differentiable."""
        require_pictures(images)
        return self.towers.embed_images(images)

    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "texts d"]:
        """Sentences of known words -> unit vectors."""
        numbers = self.vocabulary.encode(texts).to(self.towers.place.device)
        return self.towers.embed_sentences(numbers)

    @torch.no_grad()
    def probability(self, images: Image, texts: Sequence[str]) -> Float[Tensor, "batch texts"]:
        """How surely each sentence is true of each picture, as this model was trained to say."""
        logits = self.towers.logits(self.embed_images(images), self.embed_texts(texts))
        return logits.sigmoid()


def read_clip(path: Path) -> tuple[Towers, Vocabulary]:
    """A small CLIP's networks, frozen, and its words, from a file of weights."""
    weights = read_weights(path)
    towers = Towers(TowersConfig(**weights.settings["config"]))
    towers.load_state_dict(weights.tensors)
    return towers.eval().requires_grad_(False), Vocabulary(weights.settings["words"])


@cache
def _load_small(path: Path, device: torch.device) -> SmallClip:
    towers, vocabulary = read_clip(path)
    return SmallClip(towers.to(device), vocabulary, path.stem)
