"""What a file is, by its first bytes and its digest, before anything in it is believed."""

import hashlib
from pathlib import Path

ASSETS = Path(__file__).parents[1] / "assets"  # what ships: weights and their cards


class Refusal(ValueError):
    """Why a file is refused: the rest of a sentence that begins with the file's name."""


class Damage(Refusal):
    """The file breaks off, or is not written as its format is."""


def to_path(path: object) -> Path:
    """A path from what a user passes, with ~ resolved; a `ValueError` if it names no file."""
    if not isinstance(path, str | Path):
        raise ValueError(
            f"path is a {type(path).__name__}, which names no file: pass a string or a Path."
        )
    return Path(path).expanduser()


def require_weights_file(path: Path) -> bytes:
    """The first bytes of a file that may hold weights.

    Raises:
        FileNotFoundError: no such file.
        Refusal: it is a folder, empty, or something that was saved in place of weights.
    """
    if path.is_dir():
        raise Refusal("is a folder, but weights are read from one file: pass the file inside it.")
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist, so there are no weights to read: check the path, or fetch "
            f"the file first."
        )
    with path.open("rb") as file:
        head = file.read(1024)
    if not head:
        raise Refusal(
            "is empty, so there are no weights in it: a download or copy broke off, so delete it "
            "and download it again."
        )
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<script", b"<!--")):
        raise Refusal(
            "is a web page, not weights: a quota notice, login page or error was saved in their "
            "place, so open the address in a browser, confirm there and download it again."
        )
    if text.startswith(b"version https://git-lfs"):
        raise Refusal(
            "is a Git LFS pointer, a note of three lines in place of the weights: run "
            "\"git lfs pull\" in its repository, or download the file from its web page."
        )
    return head


def unneeded_name(name: str) -> Refusal:
    """The refusal of a pickle that asks to import `name`."""
    if name.startswith(("dnnlib.tflib", "tensorflow")):
        return Refusal(
            f"holds a TensorFlow network ({name[:100]}), which only TensorFlow-era code can "
            f"rebuild: convert it first, with legacy.py of NVIDIA's stylegan2-ada-pytorch."
        )
    return Refusal(
        f"asks to import {name[:100]!r}, which weights don't need and which could run any "
        f"program, so nothing of it was run: get the weights as .safetensors, or from another "
        f"source."
    )


def sha256_of(path: Path) -> str:
    """The SHA-256 digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_sha256(path: str | Path, expected: str) -> None:
    """Raise a `ValueError` unless the file has this SHA-256 digest (hexadecimal)."""
    found = sha256_of(Path(path))
    if found != expected.strip().lower():
        raise ValueError(
            f"{path} has the SHA-256 digest {found} where {expected} is expected, so it is "
            f"damaged or another file: delete it and download it again."
        )
