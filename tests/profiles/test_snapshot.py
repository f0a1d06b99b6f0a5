"""Snapshots: what was changed is put back in place, and what cannot be is named."""

from __future__ import annotations

import array
import collections
import functools
import io
import itertools
import queue
import random
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuops
from gpuops.profiles.snapshot import Snapshot


class Slotted:
    __slots__ = ("__private", "value")

    def __init__(self):
        self.value, self.__private = [1], 2

    def spoil(self):
        self.value.append(3)
        del self.__private

    def state(self):
        return self.value, self.__private


class Holder(Slotted):
    """Has a dictionary beside the slots."""


def _counter():
    n = 0

    def count():
        nonlocal n
        n += 1
        return n

    return count


def test_attributes_and_slots():  # X17
    holder = Holder()
    holder.extra = inner = {"a": [0]}
    holder.me = holder
    before = Snapshot()
    before.add(holder)
    holder.spoil()
    holder.extra["a"].append(1)
    holder.extra = None
    holder.new = 1
    assert before.restore() == []
    assert holder.state() == ([1], 2) and holder.extra is inner and inner == {"a": [0]}
    assert not hasattr(holder, "new") and holder.me is holder


@pytest.mark.parametrize(
    ("make", "change", "look"),
    [
        (lambda: np.random.default_rng(3), lambda g: g.random(5), lambda g: g.random()),
        (lambda: np.random.PCG64(3), lambda g: g.random_raw(), lambda g: g.random_raw()),
        (lambda: np.random.RandomState(3), lambda g: g.rand(5), lambda g: g.rand()),
        (lambda: random.Random(3), lambda g: g.gauss(), lambda g: g.gauss()),
        (
            lambda: io.BytesIO(b"abc"),
            lambda f: f.write(b"xyzw"),
            lambda f: (f.tell(), f.getvalue()),
        ),
        (lambda: array.array("d", [1, 2]), lambda a: a.append(3), list),
        (lambda: bytearray(b"ab"), lambda b: b.reverse(), bytes),
        (lambda: collections.deque([1], maxlen=1), lambda d: d.append(2), list),
        (lambda: collections.OrderedDict(a=1, b=2), lambda d: d.move_to_end("a"), list),
        (lambda: collections.defaultdict(list), lambda d: d[1], dict),
        (lambda: collections.Counter("aab"), lambda c: c.update("b"), dict),
        (lambda: {1, 2}, lambda s: s.add(3), sorted),
        (lambda: ([1], 2), lambda t: t[0].clear(), lambda t: t[0]),
        (_counter, lambda f: f(), lambda f: f()),
        (lambda: functools.partial(len, [1]), lambda p: p.args[0].append(1), lambda p: p()),
        (lambda: [].append, lambda m: m(1), lambda m: m.__self__),
        (lambda: np.array([[1], 2], object), lambda a: a[0].append(2), lambda a: list(a)),
        (lambda: np.arange(3.0)[::-1], lambda a: a.fill(0), list),
        (lambda: np.arange(3.0), lambda a: a.resize(5, refcheck=False), list),
        (
            lambda: np.zeros(2, [("a", "i4"), ("b", "f8")]),
            lambda a: a["b"].fill(1),
            lambda a: a["b"].sum(),
        ),
        (lambda: gpuops.random.RNGState(3), lambda s: s.reserve(9), repr),
        (lambda: gpuops.make_opaque([1]), lambda o: gpuops.set_payload(o, 3), gpuops.get_payload),
    ],
)
def test_the_kinds_of_state(make, change, look):  # X17
    value, fresh = make(), make()
    before = Snapshot()
    before.add([value])
    change(value)
    assert before.restore() == []
    np.testing.assert_equal(look(value), look(fresh))


def test_a_queue_and_its_lock():
    jobs = queue.Queue()
    jobs.put(1)
    before = Snapshot()
    before.add(gpuops.make_opaque(jobs))
    jobs.get()
    assert before.restore() == [] and jobs.get() == 1
    lock = threading.Lock()
    before.add(lock)
    lock.acquire()
    assert before.restore() == [] and lock.locked()  # somebody may be waiting for it


def test_what_cannot_be_put_back_is_named():  # X17
    holder = Holder()
    holder.numbers, holder.steps = itertools.count(), iter(i for i in range(3))
    holder.still = iter([1, 2])
    before = Snapshot()
    before.add(holder)
    next(holder.numbers)
    next(holder.steps)
    lost = before.restore()
    assert len(lost) == 2 and all("it has changed, and nothing can put it back" in x for x in lost)
    assert any("itertools.count in an object of type" in x for x in lost)


class Closed:
    def __getattribute__(self, name):
        raise RuntimeError("planted")


def test_what_refuses_to_be_looked_into_is_named_and_nothing_fails():
    class Dead:
        pass

    held = [weakref.proxy(Dead()), Closed(), [1]]
    before = Snapshot()
    before.add(held)
    held[2].append(2)
    held.append(3)
    lost = before.restore()
    assert held[2] == [1] and len(held) == 3
    assert lost and all("it may have changed, and cannot be looked into" in text for text in lost)


def test_generators_that_spawn_are_named():
    generator = np.random.default_rng(3)
    before = Snapshot()
    before.add(generator)
    generator.spawn(1)
    (lost,) = before.restore()
    assert "it has spawned others" in lost


def test_the_first_state_counts_also_of_overlapping_arrays():
    base = np.arange(6)
    view = base[2:4]
    before = Snapshot()
    before.add(view)
    view[:] = -1
    before.add(base)
    before.add(view)
    base[:] = -2
    before.restore()
    assert base.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_read_only_array_is_left_unless_it_changed():
    x = np.arange(3)
    before = Snapshot()
    before.add(x)
    x.flags.writeable = False
    assert before.restore() == []
    x.flags.writeable = True
    x[0] = 9
    x.flags.writeable = False
    (lost,) = before.restore()
    assert "read-only" in lost


_trees = st.recursive(
    st.integers() | st.text(max_size=3) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=12,
)


def _containers(tree):
    found, waiting = [], [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, (list, dict)):
            found.append(item)
            waiting += item.values() if isinstance(item, dict) else item
    return found


@given(_trees, st.data())
def test_any_nested_structure_comes_back_with_its_identities(tree, data):  # X17
    import copy

    containers, wanted = _containers(tree), copy.deepcopy(tree)
    before = Snapshot()
    before.add(tree)
    for container in containers:
        match data.draw(st.integers(0, 2)):
            case 0:
                container.clear()
            case 1 if isinstance(container, list):
                container.append(container)
            case 1:
                container["new"] = containers[0]
    assert before.restore() == [] and tree == wanted
    assert [id(c) for c in _containers(tree)] == [id(c) for c in containers]
