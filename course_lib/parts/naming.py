"""Parts that somebody has looked at and named: kept as a file, and those that ship."""

from pathlib import Path

from course_lib.generators.base import Generator
from course_lib.parts.finding import Parts
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


def shipped_parts(generator: Generator) -> Parts:
    """The parts that were found and named for a shipped generator.

    Raises:
        ValueError: the generator has no styles.
        FileNotFoundError: nobody has named any for it.
    """
    generator.require_capability("style_slices")
    path = ASSETS / f"{generator.name}-parts.safetensors"
    if not path.is_file():
        raise FileNotFoundError(
            f"nobody has named the parts of {generator.name} yet, so there are none to load: find "
            f"them with parts.find_parts, look at their masks, and name them."
        )
    found = load_parts(path)
    return Parts(found.layer, *(getattr(found, name).to(generator.device)
                                for name in ("centers", "scale", "contributions")), found.clusters)
