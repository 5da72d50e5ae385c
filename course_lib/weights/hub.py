"""Models that other packages download from the Hugging Face hub, and keep."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


def hub_folder() -> str | None:
    """Where they are kept: COURSE_WEIGHTS if it is set, else the hub's own place, None."""
    return os.environ.get("COURSE_WEIGHTS", "").strip() or None


@contextmanager
def from_hub(model: object, instead: str) -> Iterator[None]:
    """While a model is read: from the cache, else downloaded into it.

    Args:
        model: what it is, and how large; instead: what to do without it.
    Raises:
        ConnectionError: it is not in the cache, and can't be downloaded now.
    """
    try:
        with _impatient_hub():
            yield
    except Exception as error:  # of several packages, none of which promises which
        reason = str(error).strip().split("\n")[0].split("Last error")[0]
        raise ConnectionError(
            f"{model} is not in the cache and can't be downloaded now "
            f"({(reason or type(error).__name__).strip(' .')}): go online and ask again, or "
            f"{instead}, which ships with the course."
        ) from error


@contextmanager
def _impatient_hub() -> Iterator[None]:
    """Where the models' host can't be reached only the cache counts: no minute of trying again."""
    from huggingface_hub import constants

    before, level = constants.HF_HUB_OFFLINE, logging.root.manager.disable
    logging.disable(logging.ERROR)  # what went wrong is told in a sentence
    try:
        socket.create_connection((urlsplit(constants.ENDPOINT).hostname, 443), timeout=5).close()
    except OSError:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
        logging.disable(level)
