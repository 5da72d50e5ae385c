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


def hub_reason(error: Exception) -> str:
    """Why a model did not come, in few words; of several packages, each with errors of its own."""
    reason = str(error).strip().split("\n")[0].split("Last error")[0]
    return (reason or type(error).__name__).strip(" .")


@contextmanager
def impatient_hub() -> Iterator[None]:
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
