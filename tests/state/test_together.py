"""State in threads, in forked children, and in a graph that is replayed often."""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import Any

import numpy as np
import pytest

import gpuops
import gpuops_kernels as kernels
from gpuops import OpaqueBase, external_objects, trace
from gpuops.random import RNGState
from tests.forks import passes_in_child


class Counter(OpaqueBase):
    def __init__(self) -> None:
        self.calls = 0


gpuops.register_opaque_type(Counter, "test_together.Counter", typ="reference")
library = gpuops.Library("test_together", "DEF")
library.define("count(test_together.Counter c, Array x) -> Array")
count = gpuops.ops.test_together.count


def _count(c: Counter, x: np.ndarray) -> np.ndarray:
    c.calls += 1
    return x + c.calls


library.impl("count", _count)
library.register_fake("test_together::count", lambda c, x: x.new_empty(x.shape))

X = np.zeros(64, np.float32)


def _noisy(x: Any, rng: Any) -> Any:
    return kernels.dropout(kernels.dropout(x, 0.5, rng), 0.25, rng)


# -- random states in graphs -----------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["fake", "symbolic"])
def test_a_random_state_is_an_input_that_goes_on(mode: str) -> None:
    x = np.ones(64, np.float32)
    rng, by_hand = RNGState(3), RNGState(3)
    graph = trace(_noisy, mode)(x, rng)
    assert rng == by_hand, "tracing drew"
    assert [node.operator.name for node in graph.nodes] == ["dropout", "dropout"]
    for _ in range(3):
        assert np.array_equal(graph(x, rng), _noisy(x, by_hand))
    assert rng == by_hand
    other = RNGState(4)
    assert np.array_equal(graph(x, other), _noisy(x, RNGState(4)))


def test_a_draw_that_nothing_uses_is_still_drawn() -> None:
    rng, by_hand = RNGState(3), RNGState(3)

    def function(x):  # type: ignore[no-untyped-def]
        kernels.dropout(x, 0.5, rng)
        return kernels.dropout(x, 0.5, rng)

    graph = trace(function, "fake")(X + 1)
    assert [external.source.text for external in graph.externals] == ["L['rng']"]
    kernels.dropout(X + 1, 0.5, by_hand)
    assert np.array_equal(graph(X + 1), kernels.dropout(X + 1, 0.5, by_hand))
    assert rng == by_hand


# -- threads ---------------------------------------------------------------------------------------


def test_sixteen_threads_do_not_get_into_each_others_way() -> None:
    """Each with its own table, graphs and random state; what each gets is what it gets alone."""
    failures: list[str] = []
    together = threading.Barrier(16, timeout=60)

    def work(number: int) -> None:
        try:
            counter, rng, by_hand = Counter(), RNGState(number), RNGState(number)
            mine = Counter()
            together.wait()
            graph = trace(lambda x: kernels.dropout(count(counter, x), 0.5, rng), "fake")(X)
            external_objects.store_user_object_weakrefs(mine)
            for call in range(1, 21):
                got = graph(X)
                expected = kernels.dropout(X + call, 0.5, by_hand)
                if not np.array_equal(got, expected) or counter.calls != call:
                    failures.append(f"thread {number}, call {call}")
                if external_objects.get_external_object_by_index(0) is not mine:
                    failures.append(f"thread {number}: a foreign table")
        except Exception as error:
            failures.append(f"thread {number}: {error!r}")

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert not failures


def test_one_graph_in_many_threads() -> None:
    counter = Counter()
    graph = trace(lambda x: count(counter, x), "fake")(X)
    graph(X)
    counter.calls = 0
    results: list[float] = []

    def work() -> None:
        for _ in range(50):
            results.append(float(graph(X)[0]))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 400 and max(results) <= 400


# -- forks -----------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")
def test_graphs_with_state_work_in_a_forked_child() -> None:
    counter, rng, by_hand = Counter(), RNGState(5), RNGState(5)
    graph = trace(lambda x: kernels.dropout(count(counter, x), 0.5, rng), "fake")(X)
    first = graph(X)
    assert np.array_equal(first, kernels.dropout(X + 1, 0.5, by_hand))
    expected = kernels.dropout(X + 2, 0.5, by_hand.copy())
    assert passes_in_child(lambda: np.array_equal(graph(X), expected) and counter.calls == 2)
    # The child's state was its own.
    assert counter.calls == 1 and np.array_equal(graph(X), expected)


# -- memory ----------------------------------------------------------------------------------------


def test_replays_take_no_memory() -> None:
    """A million of them are bench/bench_state.py's to do."""
    counter = Counter()
    graph = trace(lambda x: count(counter, x), "fake")(X)

    def blocks() -> int:
        gc.collect()
        return sys.getallocatedblocks()

    for _ in range(100):
        graph(X)
    before = blocks()
    for _ in range(20_000):
        graph(X)
    assert blocks() - before < 200
    assert not external_objects.has_user_objects()
