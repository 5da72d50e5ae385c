"""Parts that somebody has looked at and named: kept as a file, and those that ship."""

from collections.abc import Sequence
from pathlib import Path

from course_lib.generators.base import Generator
from course_lib.parts.finding import Parts
from course_lib.shapes import Latent, Mask
from course_lib.weights import read_weights, save_weights
from course_lib.weights.files import ASSETS


def save_parts(parts: Parts, path: str | Path) -> None:
    """Write parts and their names as safetensors, in half precision.

    Raises:
        FileNotFoundError: the folder does not exist.
    """
    tensors = {name: getattr(parts, name) for name in ("centers", "scale", "contributions")}
    clusters = {name: list(numbers) for name, numbers in parts.clusters.items()}
    save_weights(path, tensors, settings={"layer": parts.layer, "clusters": clusters})


def load_parts(path: str | Path) -> Parts:
    """Read what `save_parts` wrote.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file holds something else.
    """
    stored = read_weights(path)
    try:
        clusters = {name: tuple(ones) for name, ones in stored.settings["clusters"].items()}
        return Parts(stored.settings["layer"], clusters=clusters, **stored.tensors)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} holds no parts ({error}), so nothing can be carried over by it: name a file "
            f"that save_parts wrote."
        ) from error


def shipped_parts(generator: Generator, of: str | None = None) -> Parts:
    """The parts that were found and named for a shipped generator.

    Args:
        of: of which of the things that it draws, where there are several: "tops".
    Raises:
        ValueError: the generator has no styles.
        FileNotFoundError: nobody has named any for it, or for these things.
    """
    generator.require_capability("style_slices")
    path = ASSETS / f"{generator.name}{f'-{of}' if of else ''}-parts.safetensors"
    if not path.is_file():
        raise FileNotFoundError(_missing(generator, of))
    found = load_parts(path)
    return Parts(found.layer, *(getattr(found, name).to(generator.device)
                                for name in ("centers", "scale", "contributions")), found.clusters)


def named_mask(
    generator: Generator, latent: Latent, names: Sequence[str], *, space: str
) -> Mask | None:
    """Where parts of these names lie in the picture of a code, (h, w) at their layer's size.

    None if nobody has named any for this generator.
    """
    if not generator.offers("style_slices"):
        return None
    try:
        parts = shipped_parts(generator)
    except FileNotFoundError:
        return None
    chosen = [number for number, name in enumerate(parts.names) if name in names]
    return parts.masks(generator, latent, space=space)[0, chosen].sum(dim=0) > 0


def _missing(generator: Generator, of: str | None) -> str:
    others = (path.stem.removesuffix("-parts")
              for path in ASSETS.glob(f"{generator.name}-*-parts.safetensors"))
    named = sorted(name.removeprefix(f"{generator.name}-") for name in others
                   if not (ASSETS / f"{name}.safetensors").exists())  # cats-128 is no sort of cats
    what = f"the parts of {generator.name}" + (f", {of}," if of else "")
    if named:
        return (f"nobody has named {what} as such, since it draws several things: say of which, "
                f"of={' or of='.join(map(repr, named))}.")
    return (f"nobody has named {what} yet, so there are none to load: find them with "
            f"parts.find_parts, look at their masks, and name them.")
