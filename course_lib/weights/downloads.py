"""Weights that are downloaded when someone asks for them by name, and kept.

What is known of each file, and how: `ffhq` has the digest and size that several independent
public repositories give for NVIDIA's file. `church` and `car` are published by NVIDIA as
TensorFlow pickles only, so these are somebody's conversion to the alternative .pt layout; digest
and size are those in the Git LFS pointers that its host shows. For the three `afhq` files no
digest was found that is surely of NVIDIA's own files; their size is that of a mirror's copies,
rounded to millions. The three `biggan-deep` files are DeepMind's weights as they were converted
for pytorch-pretrained-BigGAN, whose read-me gives their sizes. Not verified: that the addresses
still answer, and that the files agree, since none of them was downloaded when this table was
written.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from course_lib.checks import require_option
from course_lib.weights.files import Refusal, require_sha256, require_weights_file, sha256_of

if TYPE_CHECKING:
    import requests

NVIDIA = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained"
BIGGAN = "https://s3.amazonaws.com/models.huggingface.co/biggan"
CONVERTED = ("https://huggingface.co/ZeqiangLai/StyleGAN2/resolve/"
             "bb4e00dc8ac0afbb9e0a5b6f72754c679673ee2e")
PATIENCE = (10, 60)  # seconds for a server to answer, and between two pieces


@dataclass(frozen=True)
class RemoteWeights:
    """One file of weights that can be downloaded.

    Attributes:
        name: what `fetch_weights` knows it by.
        family, resolution: of the generator; height and width in pixels.
        url: where the file is.
        bytes: its size, in whole millions where sha256 is None.
        sha256: its digest; None where none is published. Then the digest of the first download
            is noted beside the file, and the file checked against the note from then on.
        license: of the weights.
        source: who made the file.
    """

    name: str
    family: str
    resolution: int
    url: str
    bytes: int
    sha256: str | None
    license: str
    source: str

    @property
    def file_name(self) -> str:
        """What the file is called at its source, and in the cache."""
        return urlsplit(self.url).path.rsplit("/", 1)[-1]

    def __str__(self) -> str:
        return (f"{self.name} ({self.family}, {self.resolution}x{self.resolution}, "
                f"{self.bytes / 1e6:.0f} MB)")


def _official(
    name: str, resolution: int, file: str, count: int, sha256: str | None = None
) -> RemoteWeights:
    return RemoteWeights(
        name, "stylegan2", resolution, f"{NVIDIA}/{file}", count, sha256,
        "NVIDIA Source Code License, non-commercial", "NVlabs/stylegan2-ada-pytorch",
    )


def _converted(name: str, resolution: int, file: str, count: int, sha256: str) -> RemoteWeights:
    return RemoteWeights(
        name, "stylegan2", resolution, f"{CONVERTED}/{file}", count, sha256,
        "Nvidia Source Code License-NC, non-commercial",
        "NVlabs/stylegan2, as converted in ZeqiangLai/StyleGAN2 on Hugging Face",
    )


def _biggan(name: str, resolution: int, count: int) -> RemoteWeights:
    return RemoteWeights(
        name, "biggan", resolution, f"{BIGGAN}/{name}-pytorch_model.bin", count, None,
        "Apache 2.0, as DeepMind's on TensorFlow Hub", "huggingface/pytorch-pretrained-BigGAN",
    )


REMOTE: dict[str, RemoteWeights] = {one.name: one for one in (
    _official("ffhq", 1024, "ffhq.pkl", 381_624_121,
              "a205a346e86a9ddaae702e118097d014b7b8bd719491396a162cca438f2f524c"),
    _official("afhq-cat", 512, "afhqcat.pkl", 364_000_000),
    _official("afhq-dog", 512, "afhqdog.pkl", 364_000_000),
    _official("afhq-wild", 512, "afhqwild.pkl", 364_000_000),
    _converted("church", 256, "stylegan2-church-config-f.pt", 120_878_283,
               "596f59f0ab72d3d5e821846dbf53fff0406c0103ff4fa46ae0a2508d80b3a2d0"),
    _converted("car", 512, "stylegan2-car-config-f.pt", 123_949_595,
               "c69f161fd576801027cbaa8b09142b5dd9f508034b2d0f4a2a0cdcbc1d587c9c"),
    _biggan("biggan-deep-128", 128, 201_000_000),
    _biggan("biggan-deep-256", 256, 224_000_000),
    _biggan("biggan-deep-512", 512, 225_000_000),
)}


def fetch_weights(name: str, *, folder: str | Path | None = None) -> Path:
    """The file of the weights called `name`: the one in the cache, else downloaded into it.

    A download shows its progress; one that broke off goes on where it stopped. A file that was
    put into the folder by hand, under its own name, is taken as if it had been downloaded.

    Args:
        name: a key of `REMOTE`.
        folder: the cache; the environment variable COURSE_WEIGHTS if None, else pooch's own
            place for "safety-wheels".
    Raises:
        ValueError: no such name, or the file is not the one that was promised.
        ConnectionError: it is not in the cache and can't be downloaded now.
    """
    require_option(name, list(REMOTE), "name")
    card = REMOTE[name]
    path = _cache(folder) / card.file_name
    if not path.is_file():
        _download(card, path)
    _check(card, path)
    return path


def is_downloaded(name: str, *, folder: str | Path | None = None) -> bool:
    """Whether the weights called `name` are in the cache, so that nothing need be downloaded.

    Raises:
        ValueError: no such name.
    """
    require_option(name, list(REMOTE), "name")
    return (_cache(folder) / REMOTE[name].file_name).is_file()


def _cache(folder: str | Path | None) -> Path:
    chosen = folder or os.environ.get("COURSE_WEIGHTS", "").strip()
    if not chosen:
        import pooch  # only here: machines that train have none

        chosen = pooch.os_cache("safety-wheels")
    return Path(chosen).expanduser()


def _check(card: RemoteWeights, path: Path) -> None:
    """Compare with the registered digest, else with the noted one; note it the first time."""
    try:
        require_weights_file(path)
    except Refusal as refusal:
        raise ValueError(f"{path} {refusal}") from refusal
    note = path.with_name(path.name + ".sha256")
    if card.sha256 is not None or note.is_file():
        require_sha256(path, card.sha256 or note.read_text(encoding="latin-1"))
    elif os.access(path.parent, os.W_OK):  # a shared folder may be for reading only
        note.write_text(sha256_of(path) + "\n", encoding="ascii")


def _download(card: RemoteWeights, path: Path) -> None:
    """Bring the file to `path`, whole and with the promised digest, or not at all."""
    import pooch
    import requests

    part = path.with_name(path.name + ".part")

    def fetch(url: str, output_file: str | Path, _: object) -> None:
        _resume(url, part, blindly=card.sha256 is not None)
        part.replace(output_file)

    digest = None if card.sha256 is None else f"sha256:{card.sha256}"
    try:
        with _quiet(pooch.get_logger()):
            pooch.retrieve(card.url, digest, fname=path.name, path=path.parent, downloader=fetch)
    except (requests.RequestException, ConnectionError) as error:
        kept = part.stat().st_size if part.is_file() else 0
        again = f"ask again to go on behind the {kept / 1e6:.1f} MB that came" if kept else (
            "go online and ask again"
        )
        raise ConnectionError(
            f"{card} is not in the cache and can't be downloaded now ({_reason(error)}): {again}, "
            f"or get {card.url} by other means and put it at {path}."
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{card.url} delivered another file than the registered one ({error}), so it was "
            f"deleted: ask again, and if that doesn't help, its publisher has changed the file."
        ) from error


def _resume(url: str, part: Path, *, blindly: bool) -> None:
    """Download to `part`, behind what is there already.

    A server that sends an ETag or a date is asked whether the file is still the same; from one
    that sends neither it goes on only `blindly`, where a digest will tell. A server that knows
    no ranges sends the whole file, which then starts over.
    """
    import requests

    stamp = part.with_name(part.name + ".stamp")
    same = stamp.read_text(encoding="latin-1") if stamp.is_file() else ""
    have = part.stat().st_size if part.is_file() and (same or blindly) else 0
    headers = {"Accept-Encoding": "identity"}  # the lengths are to be those of the file
    if have:
        headers |= {"Range": f"bytes={have}-"} | ({"If-Range": same} if same else {})
    with requests.get(url, headers=headers, stream=True, timeout=PATIENCE) as answer:
        if answer.status_code == 416:  # nothing lies behind what is there
            if answer.headers.get("Content-Range") != f"bytes */{have}":
                part.unlink()
                return _resume(url, part, blindly=blindly)
        else:
            _require_file(answer)
            dated = answer.headers.get("Last-Modified", "")
            stamp.write_text(answer.headers.get("ETag", dated), encoding="latin-1")
            _save(answer, part, have if answer.status_code == 206 else 0)
    stamp.unlink(missing_ok=True)
    try:
        require_weights_file(part)
    except Refusal as refusal:
        part.unlink()
        raise ConnectionError("what came is no file of weights") from refusal


def _require_file(answer: "requests.Response") -> None:
    if not answer.ok:
        raise ConnectionError(f"the server answered {answer.status_code} {answer.reason}")
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        raise ConnectionError("a web page came instead: a login, quota or error notice")


def _save(answer: "requests.Response", part: Path, start: int) -> None:
    """Write what comes to `part`, from byte `start` on, under a progress bar."""
    from tqdm.auto import tqdm

    total = start + int(answer.headers.get("Content-Length", 0))
    with (part.open("ab" if start else "wb") as file,
          tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=part.stem) as bar):
        for block in answer.iter_content(1 << 16):
            file.write(block)
            bar.update(len(block))


def _reason(error: OSError) -> str:
    """In few words; the messages of requests fill a paragraph."""
    import requests

    if isinstance(error, ConnectionError):  # Python's own: ours
        return str(error)
    for kind, words in (
        (requests.exceptions.ChunkedEncodingError, "the connection broke off"),
        (requests.Timeout, "the server took too long to answer"),
        (requests.ConnectionError, "the server can't be reached"),
    ):
        if isinstance(error, kind):
            return words
    return type(error).__name__


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Pooch would report each step, and advise to register the digest."""
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
