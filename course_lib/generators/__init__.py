"""The image manifold: generators that ship with the course, official ones, your own files."""

import difflib
from collections.abc import Iterable
from pathlib import Path

import torch

from course_lib.generators.base import Generator
from course_lib.generators.biggan import BigGAN
from course_lib.generators.cards import Card, Cards
from course_lib.generators.dcgan import DCGAN
from course_lib.generators.diffusion import Diffusion
from course_lib.generators.flow import Flow
from course_lib.generators.interpolation import interpolate
from course_lib.generators.official_ddpm import OFFICIAL, is_ddpm, load_ddpm
from course_lib.generators.stylegan2 import StyleGAN2
from course_lib.generators.vae import VAE
from course_lib.generators.vqvae import VQVAE
from course_lib.images import default_device, usable_device
from course_lib.weights import REMOTE, StoredWeights, fetch_weights, read_weights
from course_lib.weights.files import ASSETS

__all__ = ["Card", "Cards", "Generator", "interpolate", "list_generators", "load_generator"]

FAMILIES = {  # by the word that files of ours carry; a VAE's decoder is a DCGAN: it is asked first
    "vae": VAE, "vqvae": VQVAE, "glow": Flow, "realnvp": Flow, "dcgan": DCGAN,
    "biggan": BigGAN, "diffusion": Diffusion, "stylegan2": StyleGAN2,
}
STRANGERS = {  # a name's end, which no other kind has
    "synthesis.input.freqs": "StyleGAN3",
    "progression.0.conv1.conv.weight_orig": "the first StyleGAN",
    "progression.0.conv1.0.conv.weight_orig": "the first StyleGAN",
    "init.init.1.weight_orig": "a FastGAN",
    "G.initial_conv.0.weight": "a lightweight GAN",
    "S.net.0.weight": "a StyleGAN2 of lucidrains' stylegan2-pytorch",
    "time_embedding.linear_1.weight": "a diffusion model",
    "time_embed.0.weight": "a diffusion model",
    "first_stage_model.encoder.conv_in.weight": "a latent diffusion model",
}


def list_generators() -> Cards:
    """Cards of all generators that can be loaded by name; printing them shows a table.

    First those that ship with the course, then those that are downloaded when asked for.
    """
    beside = [path.with_suffix(".json") for path in sorted(ASSETS.glob("*.safetensors"))]
    cards = [Card.read(path) for path in beside if path.is_file()]
    shipped = [card for card in cards if card.family in FAMILIES]
    remote = [
        Card(one.name, one.family, one.resolution, one.bytes, one.license,
             f"downloaded when loaded, from {one.source}", remote=True)
        for one in REMOTE.values()
    ]
    remote += [
        Card(one.name, "diffusion", one.resolution, one.bytes, one.license,
             f"downloaded when loaded, from {one.hub} on the Hugging Face hub", remote=True)
        for one in OFFICIAL.values()
    ]
    return Cards(shipped + remote)


def load_generator(
    name_or_path: str | Path, *, device: torch.device | str | None = None
) -> Generator:
    """A generator by its shipped or official name, or from a file of weights.

    Its weights are frozen (they require no gradient); `tuning` makes copies that learn.

    Args:
        name_or_path: a name that `list_generators` knows; a .safetensors, official .pkl or
            alternative .pt file; or a diffusion model's folder in diffusers' layout.
        device: where to compute; `images.default_device()` if None.
    Raises:
        ValueError: no such name, the file is refused or of an unknown family, or torch can't
            compute on `device` here.
        FileNotFoundError: no such file.
    """
    device = default_device() if device is None else usable_device(device, "device")
    if not isinstance(name_or_path, str | Path):
        raise ValueError(
            f"name_or_path is a {type(name_or_path).__name__}, which names no generator: pass one "
            f"of list_generators(), or the path of a file."
        )
    if is_ddpm(name_or_path):
        return load_ddpm(name_or_path, device)
    path, name = _locate(name_or_path)
    weights = read_weights(path)
    if any(key.startswith("average.") for key in weights.tensors):
        raise ValueError(
            f"{path} is the checkpoint of a training run, not a generator yet: write one with "
            f"python -m course_lib.training.export."
        )
    generator = _family_of(weights, path).from_weights(weights, name).to(device)
    if (ASSETS / f"{name}.safetensors").is_file():
        generator.kind = Card.read(ASSETS / f"{name}.json").kind
    return generator


def _locate(name_or_path: str | Path) -> tuple[Path, str]:
    """The file of what a user names, and what the generator is called.

    Raises:
        ValueError: it is neither a known name nor looks like a file.
    """
    name = str(name_or_path)
    shipped = ASSETS / f"{name}.safetensors"
    if shipped.is_file():
        return shipped, name
    if name in REMOTE:
        return fetch_weights(name), name
    path = Path(name_or_path)
    if path.suffix or path.exists():
        alike = ASSETS / f"{path.stem}.safetensors"
        if alike.is_file() and path.is_file() and not alike.samefile(path):
            return path, path.name  # not the shipped one, whose encoder and directions don't fit
        return path, path.stem
    known = [card.name for card in list_generators()]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise ValueError(
        f"there is no generator named {name!r}{hint}: take one of {', '.join(known)}, or pass "
        f"a file of weights."
    )


def _family_of(weights: StoredWeights, path: Path) -> type[Generator]:
    """The family that the file names; of files that name none, the one whose weights they hold.

    Raises:
        ValueError: it is none that is known here.
    """
    known = {word: family for word, family in FAMILIES.items()
             if family.recognizes(weights.tensors)}
    if known:
        named = weights.settings.get("family")
        return known[named] if named in list(known) else next(iter(known.values()))
    stranger = _stranger(weights.tensors)
    raise ValueError(
        f"{path} holds {len(weights.tensors)} tensors, but of no generator known here"
        f"{f' (they look like {stranger})' if stranger else ''}: the families are "
        f"{', '.join(dict.fromkeys(family.__name__ for family in FAMILIES.values()))}."
    )


def _stranger(names: Iterable[str]) -> str | None:
    """What weights of these names look like, of the kinds that people bring and that don't load."""
    for end, kind in STRANGERS.items():
        if any(f".{name}".endswith(f".{end}") for name in names):
            return kind
    return None
