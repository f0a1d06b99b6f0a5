"""BB3 of the behaviours: threads that register and call at once, and forked children."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Library, custom_op, ops

THREADS = 8
X = np.ones(2)
ONE = "(Array x) -> Array"


def run_threads(work: Callable[[int], None]) -> None:
    """`work(0)` to `work(7)` at once; the first exception of any, raised here."""
    barrier = threading.Barrier(THREADS)
    failures: list[BaseException] = []

    def run(index: int) -> None:
        barrier.wait()
        try:
            work(index)
        except BaseException as error:
            failures.append(error)

    # Switching often makes it likelier that a thread stops between two steps.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=run, args=(index,)) for index in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive(), "a thread hangs"
    finally:
        sys.setswitchinterval(interval)
    if failures:
        raise failures[0]


def kernel(value: float) -> Callable[..., Any]:
    return lambda x: np.full(1, value)


# BB3
def test_concurrent_definitions_of_different_names(ns: str) -> None:
    def work(index: int) -> None:
        for turn in range(30):
            name = f"{ns}::f{index}_{turn}"
            f = custom_op(name, kernel(index), mutates_args=(), schema=ONE)
            assert f(X) == index
            f.register_kernel("cpu", kernel(-index))
            assert f(X) == -index and getattr(getattr(ops, ns), f.operator.name) is f

    run_threads(work)
    assert len(gpuops.operators(ns)) == THREADS * 30


# BB3
def test_concurrent_redefinition_of_one_name(ns: str) -> None:
    """Whoever calls gets a whole operator, old or new, or is told that it was replaced."""
    custom_op(f"{ns}::f", kernel(-1), mutates_args=(), schema=ONE)
    outcomes: list[set[str]] = [set() for _ in range(THREADS)]

    def work(index: int) -> None:
        for turn in range(60):
            if index % 2:
                f = custom_op(f"{ns}::f", kernel(index), mutates_args=(), schema=ONE)
                f.register_kernel("cpu", kernel(index + 100)) if turn % 3 else None
            try:
                value = float(getattr(ops, ns).f(X)[0])
            except gpuops.StaleOperatorError:
                outcomes[index].add("stale")
            else:
                outcomes[index].add("value")
                assert value == -1 or value % 100 in (1, 3, 5, 7), value

    def tolerant(index: int) -> None:
        try:
            work(index)
        except gpuops.StaleOperatorError:
            # Replaced by another thread before its kernel was registered.
            outcomes[index].add("stale")

    run_threads(tolerant)
    assert all("value" in seen for seen in outcomes)
    custom_op(f"{ns}::f", kernel(50), mutates_args=(), schema=ONE)
    assert getattr(ops, ns).f(X) == 50
    assert [op.name for op in gpuops.operators(ns)] == ["f"]


# BB3
def test_calls_beside_registrations(ns: str) -> None:
    f = custom_op(f"{ns}::f", kernel(0), mutates_args=(), schema=ONE)
    f.register_kernel("cpu", kernel(9))

    def work(index: int) -> None:
        for turn in range(100):
            if index < 2:
                handle = f.register_kernel("cpu", kernel(index + 1))
                handle.undo()
            elif index == 2:
                with f.set_kernel_enabled("cpu", False):
                    assert f(X) == 0
            elif index == 3:
                with Library(ns, "IMPL") as lib:
                    lib.impl("f", kernel(3), "cpu")
            elif index == 4 and turn % 10 == 0:
                with gpuops.debug():
                    assert float(f(X)[0]) in (1, 2, 3, 9)
            else:
                assert float(f(X)[0]) in (1, 2, 3, 9)

    run_threads(work)
    assert f(X) == 9
    assert f.operator.switched_off == 0
    assert len(f.operator.kernels["cpu"]) == 1


# BB3
def test_libraries_made_and_dropped_in_threads(ns: str) -> None:
    def work(index: int) -> None:
        for turn in range(40):
            lib = Library(ns, "FRAGMENT")
            lib.define(f"f{index}(Array x) -> Array")
            lib.impl(f"f{index}", kernel(turn))
            assert getattr(getattr(ops, ns), f"f{index}")(X) == turn
            if turn % 2:
                lib.destroy()
            del lib

    run_threads(work)
    assert gpuops.operators(ns) == []


# BB3
def test_the_first_call_of_a_lazy_kernel_from_all_threads(
    ns: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"lazy_{ns}.py").write_text(
        "import time\ntime.sleep(0.05)\ndef run(x):\n    return x + 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    f = custom_op(f"{ns}::f", kernel(0), mutates_args=(), schema=ONE)
    f.register_kernel("cpu", f"lazy_{ns}:run")

    def work(index: int) -> None:
        for _ in range(3):
            assert f(X).tolist() == [2, 2]

    run_threads(work)
    del sys.modules[f"lazy_{ns}"]


# BB3
def test_only_one_of_several_exclusive_definitions_wins(ns: str) -> None:
    won: list[Any] = []
    lost: list[str] = []

    def work(index: int) -> None:
        try:
            won.append(gpuops.define(f"{ns}::f", ONE))
        except gpuops.RegistrationError as error:
            lost.append(str(error))

    run_threads(work)
    assert len(won) == 1 and len(lost) == THREADS - 1
    assert all("is defined multiple times" in text for text in lost)
    won[0].undo()


# BB3
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")
def test_operators_work_in_a_forked_child(ns: str) -> None:
    f = custom_op(f"{ns}::f", kernel(1), mutates_args=(), schema=ONE)
    f(X)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()

    def child() -> None:
        f.register_kernel("cpu", kernel(2))
        g = custom_op(f"{ns}::g", kernel(3), mutates_args=(), schema=ONE)
        queue.put([float(f(X)[0]), float(g(X)[0]), float(f([X][0])[0])])

    with warnings.catch_warnings():
        # Python 3.12 warns of forking beside threads, and plugins of pytest may have some.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = context.Process(target=child)
        process.start()
    process.join(60)
    assert process.exitcode == 0
    assert queue.get() == [2.0, 3.0, 2.0]
    assert f(X) == 1


# BB3
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")
def test_forking_while_another_thread_registers(ns: str) -> None:
    """The child must not inherit a lock that a thread of the parent holds."""
    stop = threading.Event()

    def register() -> None:
        while not stop.is_set():
            custom_op(f"{ns}::busy", kernel(0), mutates_args=(), schema=ONE)

    thread = threading.Thread(target=register)
    thread.start()
    context = multiprocessing.get_context("fork")

    def child() -> None:
        f = custom_op(f"{ns}::f", kernel(1), mutates_args=(), schema=ONE)
        assert f(X) == 1

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            for _ in range(10):
                process = context.Process(target=child)
                process.start()
                process.join(30)
                code = process.exitcode
                process.kill()
                assert code == 0, "the child hangs" if code is None else "the child failed"
    finally:
        stop.set()
        thread.join()


# N11, BB3
def test_what_a_finaliser_defers_is_done_when_the_lock_is_free() -> None:
    """Whenever the garbage collector strikes: while the lock is held, or between its last steps."""
    from gpuops.locks import RegistryLock

    lock = RegistryLock()
    ran: list[str] = []
    with lock:
        lock.defer(lambda: ran.append("held"))
        with lock:
            lock.defer(lambda: ran.append("nested"))
        assert ran == []
    assert ran == ["held", "nested"]

    class Late:
        """The inner lock, with a finaliser that strikes just before it is released."""

        def __init__(self) -> None:
            self.inner, self.strikes = threading.RLock(), 1

        def acquire(self) -> None:
            self.inner.acquire()

        def release(self) -> None:
            if self.strikes:
                self.strikes -= 1
                lock._deferred.append(lambda: ran.append("late"))
            self.inner.release()

    lock._lock = Late()  # type: ignore[assignment]
    with lock:
        pass
    assert ran[2:] == ["late"]
    lock.defer(lambda: ran.append("free"))
    assert ran[3:] == ["free"]
