"""Reads what `torch.save` wrote, in torch's mode that runs no code.

Beside that, it looks at a file's plan before torch does: a file that unpacks to more than its own
size would fill the memory, and one that nests tuples too deep would crash Python.
"""

import argparse
import io
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import closing

import torch

from course_lib.weights.files import Damage, Refusal, unneeded_name

TORCH_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # a torch file from before torch 1.6
LEGACY_PICKLES = 5  # at the beginning of such a file: magic, protocol, system, content, keys
MAX_TUPLES = 20_000  # a checkpoint of generator, discriminator and optimisers has about 5000


def load_checkpoint(stream: io.BufferedReader | io.BytesIO) -> object:
    """The content of a torch file, zip or legacy; it stands at its beginning.

    Raises:
        Refusal: it asks for more than data, or is no checkpoint.
        Damage: it breaks off, or is not written as its format is.
    """
    try:
        _require_sound(stream)
        with warnings.catch_warnings():  # about how torch itself stores numbers
            warnings.simplefilter("ignore")
            # A training run's arguments: names and values, which never do anything.
            with torch.serialization.safe_globals([argparse.Namespace]):
                return torch.load(stream, map_location="cpu", weights_only=True)
    except Refusal:
        raise
    except Exception as error:  # a broken file makes torch raise nearly every kind
        asked = re.search(r"GLOBAL (\S+)", str(error))
        if asked:
            raise unneeded_name(asked[1]) from error
        if "TorchScript" in str(error):
            raise Refusal(
                "is a TorchScript program, not a checkpoint: save the weights alone, with "
                "torch.save(model.state_dict(), ...), where you trust the program."
            ) from error
        raise Damage(
            f"can't be read as a torch file without running code ({type(error).__name__}), so it "
            f"is damaged, unfinished or no checkpoint: download it again."
        ) from error


def _require_sound(stream: io.BufferedReader | io.BytesIO) -> None:
    with closing(_pickles(stream)) as pickles:
        tuples = sum(
            instruction.name.startswith("TUPLE")
            for pickle in pickles for instruction, _, _ in pickletools.genops(pickle)
        )
    if tuples > MAX_TUPLES:
        raise Refusal(
            f"makes {tuples} tuples, far more than weights need, so it can't be trusted: download "
            f"it again from its publisher."
        )
    stream.seek(0)


def _pickles(stream: io.BufferedReader | io.BytesIO) -> Iterator[io.IOBase]:
    """The parts of a torch file that are programs; the rest are numbers."""
    start = stream.read(2)
    stream.seek(0)
    if start != b"PK":
        for _ in range(LEGACY_PICKLES):
            yield stream
        return
    with zipfile.ZipFile(stream) as archive:
        entries = archive.infolist()
        plans = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
        if not plans:
            raise Refusal(
                "is a zip file but no checkpoint: unpack it, and pass the file of weights inside."
            )
        if sum(entry.file_size for entry in entries) > stream.seek(0, io.SEEK_END):
            raise Refusal(
                "unpacks to more than its own size, which no checkpoint does, so it can't be "
                "trusted: download it again from its publisher."
            )
        for entry in plans:
            with archive.open(entry) as plan:
                yield plan
