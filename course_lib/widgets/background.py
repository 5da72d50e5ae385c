"""Work that goes on while a person looks and paints: one piece at a time, which can be ended."""

import threading
from collections.abc import Callable

from course_lib.thrift import give_back_soon


class Background:
    """A thread for one piece of work; starting another ends the one before.

    Args:
        on_failure: told what went wrong, as in a thread nobody else would hear of it; then it is
            raised.
    """

    def __init__(self, on_failure: Callable[[Exception], object]) -> None:
        self._on_failure, self._ending = on_failure, threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[], object]) -> None:
        """Begin, once what runs has come to its end."""
        self.stop()
        self._ending.clear()
        self._thread = threading.Thread(target=self._guarded, args=(work,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask what runs to end, and wait until it has."""
        self._ending.set()
        self.wait()

    def wait(self) -> None:
        """Until the work is done; at once if asked from within it."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def pause(self, seconds: float) -> bool:
        """Let time pass; whether the work should end."""
        return self._ending.wait(seconds)

    @property
    def should_end(self) -> bool:
        """What the work asks now and then."""
        return self._ending.is_set()

    @property
    def runs(self) -> bool:
        """Whether the work is still under way."""
        return self._thread is not None and self._thread.is_alive()

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as failure:
            self._on_failure(failure)
            raise
        finally:
            give_back_soon()
