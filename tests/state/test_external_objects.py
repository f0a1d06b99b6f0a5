"""The table of objects that graphs refer to by index."""

from __future__ import annotations

import gc
import os
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import gpuops
from gpuops import external_objects as table
from gpuops.external_objects import (
    construct_external_object,
    get_external_object_by_index,
    has_user_objects,
    register_graph_created_object,
    register_user_object,
    reset_user_object_tracking,
    restore,
    set_external_object_by_index,
    snapshot,
    store_user_object_weakrefs,
)
from tests.forks import passes_in_child


class Handle:
    pass


class Slotted:
    """Cannot be referred to weakly."""

    __slots__ = ()


@pytest.fixture(autouse=True)
def _empty_table() -> Iterator[None]:
    reset_user_object_tracking()
    yield
    reset_user_object_tracking()


# Z1
def test_store_replaces_the_whole_table() -> None:
    first, second, third = Handle(), Handle(), Handle()
    register_user_object(Handle())
    store_user_object_weakrefs(first, second)
    assert get_external_object_by_index(0) is first
    assert get_external_object_by_index(1) is second
    store_user_object_weakrefs(third)
    assert get_external_object_by_index(0) is third
    with pytest.raises(IndexError, match="external object 1 is not registered"):
        get_external_object_by_index(1)
    assert register_user_object(first) == 1
    store_user_object_weakrefs()
    assert not has_user_objects()


# Z2
@pytest.mark.parametrize("index", [2, 99, -1, -2])
def test_an_unknown_index_says_which_and_how_many_there_are(index: int) -> None:
    first, second = Handle(), Handle()
    store_user_object_weakrefs(first, second)
    with pytest.raises(gpuops.ExternalObjectError, match="not registered") as caught:
        get_external_object_by_index(index)
    text = str(caught.value)
    assert f"external object {index} is " in text
    assert "has 2 objects, with indices up to 1" in text
    assert ("negative" in text) == (index < 0)
    reset_user_object_tracking()
    with pytest.raises(IndexError, match="not registered. This thread's table is empty"):
        get_external_object_by_index(0)


# Z2
def test_a_dead_object_is_named_by_its_source() -> None:
    handle, other = Handle(), Handle()
    assert register_user_object(other) == 0
    assert register_user_object(handle, "L['handle']") == 1
    del handle
    gc.collect()
    with pytest.raises(ReferenceError, match="is no longer alive") as caught:
        get_external_object_by_index(1)
    assert isinstance(caught.value, gpuops.DeadObjectError)
    text = str(caught.value)
    assert "external object 1, L['handle'] (of type " in text and "Handle" in text
    assert "has 2 objects, with indices up to 1; 1 of them dead" in text
    assert get_external_object_by_index(0) is other


@pytest.mark.parametrize("index", [None, "0", 1.0, True])
def test_an_index_is_an_int(index: Any) -> None:
    register_user_object(handle := Handle())
    for function in (
        get_external_object_by_index,
        lambda i: set_external_object_by_index(i, handle),
    ):
        with pytest.raises(TypeError, match="the index must be an int, got"):
            function(index)


def test_numpy_integers_are_ints() -> None:
    import numpy as np

    register_user_object(handle := Handle())
    assert get_external_object_by_index(np.int64(0)) is handle  # type: ignore[arg-type]


# Z3
def test_a_snapshot_brings_the_first_objects_back() -> None:
    mine = [Handle() for _ in range(3)]
    store_user_object_weakrefs(*mine)
    saved = snapshot()
    assert len(saved) == 3

    def another_frame() -> None:
        store_user_object_weakrefs(Handle())
        register_user_object(mine[0])
        set_external_object_by_index(7, Handle())

    another_frame()
    restore(saved)
    assert [get_external_object_by_index(i) for i in range(3)] == mine
    assert register_user_object(Handle()) == 3
    # What came later did not get into the snapshot.
    restore(saved)
    with pytest.raises(IndexError, match="has 3 objects"):
        get_external_object_by_index(3)
    with pytest.raises(TypeError, match="restore takes what snapshot\\(\\) returned, got dict"):
        restore({})  # type: ignore[arg-type]


def test_a_snapshot_keeps_what_the_table_kept_and_no_more() -> None:
    user, made = Handle(), Handle()
    seen_user, seen_made = weakref.ref(user), weakref.ref(made)
    register_user_object(user)
    register_graph_created_object(made)
    saved = snapshot()
    reset_user_object_tracking()
    del user, made
    gc.collect()
    assert seen_user() is None and seen_made() is not None
    restore(saved)
    assert get_external_object_by_index(1) is seen_made()
    reset_user_object_tracking()
    del saved
    gc.collect()
    assert seen_made() is None


# Z4
def test_indices_count_up_and_users_own_their_objects() -> None:
    handles = [Handle() for _ in range(4)]
    assert [register_user_object(handle) for handle in handles] == [0, 1, 2, 3]
    found = weakref.ref(handles[2])
    del handles
    gc.collect()
    assert found() is None
    assert register_user_object(keep := Handle()) == 4
    assert get_external_object_by_index(4) is keep


# Z4, Z6
def test_what_a_graph_made_lives_until_the_reset() -> None:
    made = Handle()
    found = weakref.ref(made)
    assert register_graph_created_object(made, Handle) == 0
    del made
    gc.collect()
    assert get_external_object_by_index(0) is found()
    assert has_user_objects()
    reset_user_object_tracking()
    assert not has_user_objects()
    gc.collect()
    assert found() is None
    assert register_user_object(keep := Handle()) == 0
    assert get_external_object_by_index(0) is keep


# Z5
@pytest.mark.parametrize(
    "refused",
    [
        lambda: register_user_object(Slotted(), "L['s']"),
        lambda: register_user_object(3),
        lambda: register_graph_created_object(Slotted()),
        lambda: store_user_object_weakrefs(Handle(), Slotted(), Handle()),
        lambda: set_external_object_by_index(0, Slotted()),
        lambda: set_external_object_by_index(5, 3),
        lambda: set_external_object_by_index(-1, Handle()),
        lambda: register_graph_created_object(Handle(), 3),  # type: ignore[arg-type]
    ],
)
def test_a_refused_object_changes_nothing(refused: Callable[[], Any]) -> None:
    first, second = Handle(), Handle()
    store_user_object_weakrefs(first, second)
    with pytest.raises(gpuops.GpuopsError):
        refused()
    assert get_external_object_by_index(0) is first
    assert get_external_object_by_index(1) is second
    assert len(snapshot()) == 2
    assert register_user_object(first) == 2


# Z5
def test_a_refused_object_is_named() -> None:
    for expected in (IndexError, TypeError, gpuops.ExternalObjectError):
        with pytest.raises(expected, match="L\\['s'\\] .*Slotted.* cannot be referred to weakly"):
            register_user_object(Slotted(), "L['s']")
    with pytest.raises(RuntimeError, match="store_user_object_weakrefs: object 1: int 3 cannot be"):
        store_user_object_weakrefs(Handle(), 3)


# Z7
def test_setting_replaces_without_keeping_what_was_there() -> None:
    user = Handle()
    register_user_object(user, "L['user']")
    seen = []
    for _ in range(3):
        new = Handle()
        seen.append(weakref.ref(new))
        set_external_object_by_index(0, new)
        del new
        gc.collect()
        assert get_external_object_by_index(0) is seen[-1]()
        assert all(ref() is None for ref in seen[:-1])
    assert table.source_of(0) == "L['user']"
    set_external_object_by_index(3, user)
    assert get_external_object_by_index(3) is user
    assert register_user_object(user) == 4


def test_objects_that_a_graph_makes_are_made_anew() -> None:
    index = register_graph_created_object(first := Handle(), Handle, "made in the graph")
    second = construct_external_object(index)
    assert second is not first and get_external_object_by_index(index) is second
    found = weakref.ref(second)
    third = construct_external_object(index)
    del second
    gc.collect()
    assert found() is None and get_external_object_by_index(index) is third
    register_user_object(first)
    with pytest.raises(
        gpuops.ExternalObjectError, match="cannot be made anew.*without a construct_"
    ):
        construct_external_object(1)
    with pytest.raises(gpuops.ExternalObjectError, match="external object 9 is not registered"):
        construct_external_object(9)


def test_objects_that_use_the_table_as_they_die() -> None:
    class Talkative:
        def __del__(self) -> None:
            lengths.append(len(snapshot()))
            register_user_object(keep)

    lengths: list[int] = []
    keep = Handle()
    register_graph_created_object(Talkative())
    register_user_object(keep)
    reset_user_object_tracking()
    gc.collect()
    assert lengths == [0]
    assert get_external_object_by_index(0) is keep


# -- threads, forks, memory ------------------------------------------------------------------------


def test_sixteen_threads_have_tables_of_their_own() -> None:
    failures: list[str] = []
    started = threading.Barrier(16)

    def work(number: int) -> None:
        handles = [Handle() for _ in range(number + 1)]
        started.wait()
        for _ in range(200):
            reset_user_object_tracking()
            indices = [register_user_object(handle) for handle in handles]
            saved = snapshot()
            store_user_object_weakrefs(handles[-1])
            if get_external_object_by_index(0) is not handles[-1]:
                failures.append(f"thread {number}: a foreign object")
            restore(saved)
            found = [get_external_object_by_index(index) for index in indices]
            if indices != list(range(number + 1)) or found != handles:
                failures.append(f"thread {number}: {indices}")

    register_user_object(mine := Handle())
    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert get_external_object_by_index(0) is mine and len(snapshot()) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_has_its_parents_table() -> None:
    register_user_object(handle := Handle())

    def finds_it_and_resets() -> bool:
        found = get_external_object_by_index(0)
        reset_user_object_tracking()
        return found is handle and not has_user_objects()

    assert passes_in_child(finds_it_and_resets)
    assert get_external_object_by_index(0) is handle


def test_a_million_registrations_take_no_memory() -> None:
    handles = [Handle() for _ in range(10)]

    def replays(number: int) -> None:
        for _ in range(number):
            store_user_object_weakrefs(*handles[:5])
            index = register_user_object(handles[5])
            made = register_graph_created_object(Handle(), Handle)
            set_external_object_by_index(made, Handle())
            get_external_object_by_index(index)

    replays(100)
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        # Tracing allocations is slow; the rest runs without it, and would show in the process.
        replays(2000)
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 20_000
    blocks = _blocks()
    replays(125_000)  # eight registrations each
    assert _blocks() - blocks < 1000


def test_objects_that_died_are_not_remembered_for_ever() -> None:
    keep, first = [Handle() for _ in range(3)], Handle()
    indices = [register_user_object(handle) for handle in keep]
    register_graph_created_object(first)
    for number in range(20_000):
        register_user_object(Handle(), f"L['h{number}']")
    assert len(snapshot()) < 10_000
    last = register_user_object(Handle(), "L['last']")
    assert last == 20_004
    with pytest.raises(
        gpuops.DeadObjectError, match=r"object 20004, L\['last'\] .*no longer alive"
    ):
        get_external_object_by_index(last)
    with pytest.raises(gpuops.DeadObjectError, match="object 10 is no longer alive, nor are many"):
        get_external_object_by_index(10)
    with pytest.raises(gpuops.ExternalObjectError, match="object 20005 is not registered"):
        get_external_object_by_index(20_005)
    for index, handle in zip([*indices, 3], [*keep, first], strict=True):
        assert get_external_object_by_index(index) is handle
    saved = snapshot()
    reset_user_object_tracking()
    with pytest.raises(gpuops.ExternalObjectError, match="object 10 is not registered"):
        get_external_object_by_index(10)
    restore(saved)
    with pytest.raises(gpuops.DeadObjectError, match="object 10 is no longer alive"):
        get_external_object_by_index(10)
    blocks = _blocks()
    for _ in range(100_000):
        register_user_object(Handle())
    assert _blocks() - blocks < 60_000  # at most so many entries, and not a hundred thousand


def _blocks() -> int:
    import sys

    gc.collect()
    return sys.getallocatedblocks()


# -- against a model -------------------------------------------------------------------------------


class Model(RuleBasedStateMachine):
    """Random calls, and what they should do to a list of (object or None, kept by the table)."""

    def __init__(self) -> None:
        super().__init__()
        reset_user_object_tracking()
        self.entries: dict[int, weakref.ref[Handle]] = {}
        self.owned: list[Handle] = []
        self.kept: set[int] = set()
        self.next = 0
        self.saved: Any = None

    def _new(self, *, owned: bool) -> Handle:
        handle = Handle()
        if owned:
            self.owned.append(handle)
        return handle

    def _put(self, index: int, handle: Handle, *, kept: bool) -> None:
        self.entries[index] = weakref.ref(handle)
        (self.kept.add if kept else self.kept.discard)(index)
        self.next = max(self.next, index + 1)

    @rule()
    def user(self) -> None:
        handle = self._new(owned=True)
        index = register_user_object(handle)
        assert index == self.next
        self._put(index, handle, kept=False)

    @rule()
    def made(self) -> None:
        handle = self._new(owned=False)
        index = register_graph_created_object(handle)
        assert index == self.next
        self._put(index, handle, kept=True)

    @rule(index=st.integers(0, 6))
    def replace(self, index: int) -> None:
        handle = self._new(owned=False)
        set_external_object_by_index(index, handle)
        self._put(index, handle, kept=True)

    @rule(number=st.integers(0, 3))
    def store(self, number: int) -> None:
        handles = [self._new(owned=True) for _ in range(number)]
        store_user_object_weakrefs(*handles)
        self.entries, self.kept, self.next = {}, set(), 0
        for index, handle in enumerate(handles):
            self._put(index, handle, kept=False)

    @rule()
    def reset(self) -> None:
        reset_user_object_tracking()
        self.entries, self.kept, self.next = {}, set(), 0

    @rule()
    def owner_drops_all(self) -> None:
        self.owned.clear()

    @rule()
    def save(self) -> None:
        self.saved = (snapshot(), dict(self.entries), set(self.kept), self.next)

    @precondition(lambda self: self.saved is not None)
    @rule()
    def bring_back(self) -> None:
        saved, entries, kept, following = self.saved
        restore(saved)
        self.entries, self.kept, self.next = dict(entries), set(kept), following

    @invariant()
    def agrees(self) -> None:
        assert has_user_objects() == bool(self.entries)
        for index in range(8):
            expected = self.entries.get(index)
            if expected is None:
                with pytest.raises(gpuops.ExternalObjectError, match="not registered"):
                    get_external_object_by_index(index)
            elif index in self.kept or expected() is not None:
                assert get_external_object_by_index(index) is expected()
                assert expected() is not None
            else:
                with pytest.raises(gpuops.DeadObjectError, match="no longer alive"):
                    get_external_object_by_index(index)

    def teardown(self) -> None:
        reset_user_object_tracking()


Model.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestModel = Model.TestCase
