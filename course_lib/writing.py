"""Files that appear whole or not at all."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write to, which takes the place of `path` in the end if nothing failed.

    Its name is its own, so that two may write one file, the later one winning, and nothing else in
    the folder is touched. It takes over the old file's permissions; a link goes on to point there.
    """
    path = Path(os.path.realpath(path))
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        yield part
        with suppress(FileNotFoundError):
            shutil.copymode(path, part)
        part.replace(path)
    finally:
        with suppress(OSError):  # which would hide why it failed
            part.unlink(missing_ok=True)
