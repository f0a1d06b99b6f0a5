"""How long a check goes on drawing inputs."""

from __future__ import annotations

import time

__all__ = ["Budget"]

# While others use the machine, or a kernel waits for something, the clock on the wall runs on.
_WAITING = 5.0


class Budget:
    """Some seconds of this thread's own work, or a few times as many by the clock.

    A busy machine would else draw fewer inputs than a quiet one from the same seed.

    Args:
        seconds: of work.
    """

    def __init__(self, seconds: float) -> None:
        self._worked = time.thread_time() + seconds
        self._waited = time.perf_counter() + _WAITING * seconds

    @property
    def is_spent(self) -> bool:
        """Whether the time is over."""
        return time.thread_time() > self._worked or time.perf_counter() > self._waited
