"""Running a compiled loop on several cores.

Numba's own parallel layers do not fit a library that is called from any thread: its `workqueue`
aborts the process when two threads enter it at once, and GNU OpenMP aborts in a forked child. A
compiled function that releases the GIL needs neither; Python's own threads are enough.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

__all__ = ["for_each_chunk", "threads"]

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def threads() -> int:
    """How many threads to use: NUMBA_NUM_THREADS, or as many as this process has cores."""
    wanted = os.environ.get("NUMBA_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def for_each_chunk(work: Callable[[int, int], object], rows: int, size: int, least: int) -> None:
    """Call ``work(start, stop)`` for consecutive ranges that make up ``range(rows)``.

    Args:
        work: releases the GIL for most of its time; ranges run at once, in any order.
        rows: what is divided.
        size: the number of elements in all rows, by which it is decided whether to divide.
        least: fewer elements than that are not worth a second thread.

    Raises:
        Exception: whatever `work` raised, after all ranges have ended.
    """
    # Before threads(), which takes half a microsecond.
    if size < least or least <= 0 or (parts := min(threads(), rows, size // least + 1)) <= 1:
        work(0, rows)
        return
    bounds = [rows * part // parts for part in range(parts + 1)]
    pool = _shared_pool()
    others = [pool.submit(work, *bounds[part : part + 2]) for part in range(1, parts)]
    try:
        work(bounds[0], bounds[1])
    finally:
        # The arrays must not be let go of while another thread works on them.
        for other in others:
            other.exception()
    for other in others:
        other.result()


def _shared_pool() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(threads() - 1, 1), thread_name_prefix="gpuops_kernels")
        return _pool


def _forget_pool() -> None:
    """A forked child has none of its parent's threads, and maybe a lock that one of them held."""
    global _pool, _lock
    _pool = None
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
