"""Files that appear whole or not at all."""

import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write to, which takes the place of `path` in the end if nothing failed.

    Its name is its own, so that two may write one file, the later one winning, and nothing else in
    the folder is touched. It has the old file's permissions, or those of any new file, even where
    the writer chose others (safetensors': none but the owner reads). A link goes on to point there.
    """
    path = Path(os.path.realpath(path))
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        part.touch()
        mode = (path if path.exists() else part).stat().st_mode
        yield part
        part.chmod(stat.S_IMODE(mode))
        part.replace(path)
    finally:
        with suppress(OSError):  # which would hide why it failed
            part.unlink(missing_ok=True)
