"""What was read of opaque objects while tracing is compared when the graph runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Graph, GraphError, OpaqueBase, register_opaque_type, trace
from gpuops.snapshots import is_unchanged, snapshot_of
from gpuops.transforms.trace import reads as reads_module

X = np.arange(4.0)


class Store(OpaqueBase):
    def __init__(self, size: int = 3, **names: int) -> None:
        self.size = size
        self.names = dict(names)
        self.sizes = [1, 2]
        self.weights = np.zeros(2)
        self.asked: list[Any] = []
        self.count = 0
        self.child: Store | None = None

    def place(self, name: str, step: int = 1) -> int:
        self.asked.append(name)
        return self.names[name] * step

    def rounded(self, n: Any) -> Any:
        return -(-n // self.size) * self.size

    def beside(self, other: Store) -> int:
        return self.size + other.size

    def scaled(self, x: Any) -> Any:
        return x * self.size

    def following(self) -> int:
        self.count += 1
        return self.count

    def __len__(self) -> int:
        return len(self.names)


register_opaque_type(
    Store,
    "test_reads.Store",
    typ="reference",
    members={
        **dict.fromkeys(["size", "sizes", "weights", "extra", "place", "rounded"], "use_real"),
        **dict.fromkeys(["beside", "scaled", "following", "__len__"], "use_real"),
        "child": "inlined",
    },
)
GLOBAL = Store(a=5)


@pytest.fixture(scope="module", autouse=True)
def library() -> Iterator[gpuops.Library]:
    with gpuops.Library("test_reads", "DEF") as lib:
        lib.define("take(test_reads.Store s, Array x, int n) -> Array")
        lib.impl("take", lambda s, x, n: x + n)
        lib.register_fake("take", lambda s, x, n: x.new_empty(x.shape))
        lib.define("grow(test_reads.Store s) -> ()")
        lib.impl("grow", lambda s: setattr(s, "size", s.size + 1))
        lib.register_fake("grow", lambda s: None)
        lib.define("slot(test_reads.Store s, Array x) -> Array")
        lib.impl("slot", lambda s, x: np.resize(x, s.place("a")))
        lib.register_fake("slot", lambda s, x: x.new_empty((s.place("a"),)))
        yield lib


def ops() -> Any:
    return gpuops.ops.test_reads


def saved(graph: Graph) -> Graph:
    return Graph.from_text(graph.to_text())


# Y6, Y7
@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_what_a_method_gave_is_asked_again(mode: str) -> None:
    def function(s: Any, x: Any) -> Any:
        return ops().take(s, x, s.place("a", step=2))

    graph = trace(function, mode)(Store(a=5), X)
    for again in (graph, saved(graph)):
        store = Store(a=5, b=7)
        np.testing.assert_array_equal(again(store, X), X + 10)
        assert store.asked == ["a"], "once, before the graph runs"
        with pytest.raises(
            GraphError,
            match=r"input 's' had place\('a', step=2\) = 10 when the graph was traced, and it is "
            r"fixed so; now it is 12. Trace again",
        ):
            again(Store(a=6), X)
        with pytest.raises(GraphError, match=r"had place\('a', step=2\) = 10 .* KeyError\('a'\)"):
            again(Store(b=6), X)


# Y7
@pytest.mark.parametrize("mode", ["fake", "symbolic"])
def test_methods_that_fake_kernels_call_of_what_a_graph_found(mode: str) -> None:
    graph = trace(lambda x: ops().slot(GLOBAL, x), mode)(X)
    try:
        assert graph(X).shape == (5,)
        GLOBAL.names["a"] = 6
        with pytest.raises(GraphError, match=r"G\['GLOBAL'\] had place\('a'\) = 5 .* now it is 6"):
            graph(X)
    finally:
        GLOBAL.names["a"] = 5


def test_members_of_members() -> None:
    def function(s: Any, x: Any) -> Any:
        return ops().take(s.child, x, s.child.place("a"))

    outer = Store()
    outer.child = Store(a=1)
    graph = trace(function, "fake")(outer, X)
    assert graph(outer, X)[0] == 1
    outer.child = Store(a=2)
    for again in (graph, saved(graph)):
        with pytest.raises(GraphError, match=r"had child.place\('a'\) = 1 .* now it is 2"):
            again(outer, X)


def test_special_methods_are_methods() -> None:
    graph = trace(lambda s, x: ops().take(s, x, len(s)), "fake")(Store(a=1, b=2), X)
    graph(Store(c=1, d=2), X)
    with pytest.raises(GraphError, match=r"had __len__\(\) = 2 .* now it is 1"):
        graph(Store(c=1), X)


def test_sizes_that_are_symbols_are_asked_with_the_numbers_of_the_replay() -> None:
    def function(s: Any, x: Any) -> Any:
        return ops().take(s, x, s.rounded(x.shape[0]))

    graph = trace(function, "symbolic")(Store(3), X)
    for again in (graph, saved(graph)):
        for n in (4, 6, 7):
            expected = -(-n // 3) * 3
            np.testing.assert_array_equal(again(Store(3), np.zeros(n)), np.full(n, expected))
        # With a block of 4, sizes of 9 and 12 are rounded alike.
        assert again(Store(4), np.zeros(12))[0] == 12
        with pytest.raises(GraphError, match=r"had rounded\(13\) = 15 .* now it is 16"):
            again(Store(4), np.zeros(13))


def test_a_method_that_is_given_another_object() -> None:
    graph = trace(lambda s, t, x: ops().take(s, x, s.beside(t)), "fake")(Store(1), Store(2), X)
    assert graph(Store(2), Store(1), X)[0] == 3
    with pytest.raises(GraphError, match=r"had beside\(.*\) = 3 .* now it is 5"):
        graph(Store(1), Store(4), X)


def test_a_method_that_is_given_an_array_is_refused() -> None:
    with pytest.raises(
        gpuops.OpaqueAccessError,
        match="member 'scaled' of test_reads.Store is declared as USE_REAL.* with an array .*"
        "INLINED, or make it an operator",
    ):
        trace(lambda s, x: s.scaled(x), "fake")(Store(), X)


def test_a_method_that_gives_something_else_each_time() -> None:
    def function(s: Any, x: Any) -> Any:
        return ops().take(s, x, s.following() * s.following())

    graph = trace(function, "fake")(Store(), X)
    assert graph(Store(), X)[0] == 2
    used = Store()
    used.count = 5
    with pytest.raises(GraphError, match=r"had following\(\) = 1 .* now it is 6"):
        graph(used, X)


def test_whether_two_arguments_are_one_object() -> None:
    def function(s: Any, t: Any, x: Any) -> Any:
        return ops().take(s, x, 1 if s == t else 2)

    one = Store()
    same, different = (trace(function, "fake")(one, other, X) for other in (one, Store()))
    for graph, number in ((same, 1), (saved(same), 1), (different, 2), (saved(different), 2)):
        right, wrong = (one, one), (one, Store())
        if number == 2:
            right, wrong = wrong, right
        np.testing.assert_array_equal(graph(*right, X), X + number)
        with pytest.raises(GraphError, match=r"had is\(.*\) = (True|False) .* now it is"):
            graph(*wrong, X)


def test_a_class_that_compares_its_data_is_not_compared() -> None:
    lib_ops = gpuops.ops.test_reads

    def function(p: Any, q: Any, s: Any, x: Any) -> Any:
        return lib_ops.take(s, x, 1 if p == q else 2)

    first, second = gpuops.make_opaque([1]), gpuops.make_opaque([1])
    with pytest.raises(AttributeError, match="Tried to call __getattr__ with attr '__eq__'"):
        trace(function, "fake")(first, second, Store(), X)
    assert trace(function, "fake")(first, first, Store(), X)(first, first, Store(), X)[0] == 1


# -- values that change in place -------------------------------------------------------------------


def _append(store: Store) -> None:
    store.sizes.append(3)


def _write(store: Store) -> None:
    store.weights[0] = 1


@pytest.mark.parametrize(
    ("look", "change", "message"),
    [
        (lambda s: len(s.sizes), _append, r"had sizes = \[1, 2\] .* now it is \[1, 2, 3\]"),
        (lambda s: int(s.weights[0]), _write, r"had weights = array\(\[0., 0.\]\)"),
    ],
)
def test_the_same_list_or_array_with_something_else_in_it(
    look: Any, change: Any, message: str
) -> None:
    store = Store()
    graph = trace(lambda s, x: ops().take(s, x, look(s)), "fake")(store, X)
    graph(store, X)
    change(store)
    with pytest.raises(GraphError, match=message):
        graph(store, X)


def test_a_member_that_was_not_there() -> None:
    def function(s: Any, x: Any) -> Any:
        return ops().take(s, x, 1 if hasattr(s, "extra") else 0)

    store = Store()
    graph = trace(function, "fake")(store, X)
    graph(store, X)
    store.extra = 1  # type: ignore[attr-defined]
    with pytest.raises(GraphError, match="had extra = nothing when .* now it is 1"):
        graph(store, X)


def test_a_guard_that_gives_what_changes_in_place(ns: str) -> None:
    class Table(OpaqueBase):
        def __init__(self) -> None:
            self.rows = {"a": [1]}
            self.bias = np.zeros(2)

    register_opaque_type(
        Table, f"{ns}.Table", typ="reference", guard_fn=lambda table: [table.rows, table.bias]
    )
    with gpuops.Library(ns, "DEF") as lib:
        lib.define(f"use({ns}.Table t, Array x) -> Array")
        lib.impl("use", lambda t, x: x.copy())
        lib.register_fake("use", lambda t, x: x.new_empty(x.shape))
        use = gpuops.ops.__getattr__(ns).use
        for change in (
            lambda table: table.rows["a"].append(2),
            lambda table: table.rows.update(b=[]),
            lambda table: table.bias.__setitem__(0, 1),
        ):
            table = Table()
            graph = trace(use, "fake")(table, X)
            graph(table, X)
            change(table)
            with pytest.raises(GraphError, match="is guarded"):
                graph(table, X)


# -- where it is compared --------------------------------------------------------------------------


def test_what_calls_of_the_graph_change_is_compared_behind_them() -> None:
    def function(s: Any, x: Any) -> Any:
        ops().grow(s)
        return ops().take(s, x, s.size)

    # Fakes change nothing, so that tracing saw the size of before: the graph would be wrong.
    graph = trace(function, "fake")(Store(3), X)
    with pytest.raises(GraphError, match="had size = 3 when .* now it is 4"):
        graph(Store(3), X)
    # Real kernels do, and the graph is right.
    graph = trace(function, "real")(Store(3), X)
    for again in (graph, saved(graph)):
        np.testing.assert_array_equal(again(Store(3), X), X + 4)
        with pytest.raises(GraphError, match="had size = 4 when .* now it is 5"):
            again(Store(4), X)


def test_what_is_compared_is_in_the_replay_and_not_in_the_text() -> None:
    def function(s: Any, x: Any) -> Any:
        first = s.place("a") + s.place("a")
        ops().grow(s)
        return ops().take(s, x, first + s.place("a"))

    graph = trace(function, "fake")(Store(a=5), X)
    assert [(read.path, read.after and read.after.operator.name) for read in graph.reads] == [
        ("place", None),
        ("place", "grow"),
    ]
    assert "place" not in graph.code
    assert saved(graph).to_text() == graph.to_text()


def test_a_graph_from_a_text_calls_declared_members_only() -> None:
    graph = trace(lambda s, x: ops().take(s, x, s.place("a")), "fake")(Store(a=1), X)
    text = graph.to_text().replace('"path": "place"', '"path": "asked.append"')
    store = Store(a=1)
    with pytest.raises(GraphError, match="no member that is declared as USE_REAL"):
        Graph.from_text(text)(store, X)
    assert store.asked == []


def test_the_tester(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the comparison, the graph gives what it was traced with."""
    graph = trace(lambda s, x: ops().take(s, x, s.place("a")), "fake")(Store(a=5), X)
    monkeypatch.setattr(reads_module.Read, "check", lambda *args: None)
    assert graph(Store(a=6), X)[0] == 5


# -- comparison ------------------------------------------------------------------------------------


class Odd:
    def __eq__(self, other: object) -> Any:
        raise ZeroDivisionError

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        (1, 1, True),
        (1, True, False),
        (1, 1.0, False),
        (0.0, -0.0, False),
        (np.nan, np.nan, True),
        ([1, (2,)], [1, (2,)], True),
        ([1], (1,), False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ({1, 2}, {2, 1}, True),
        (np.array([np.nan, 1]), np.array([np.nan, 1]), True),
        (np.array([0.0]), np.array([-0.0]), False),
        (np.zeros(2), np.zeros(2, np.float32), False),
        (np.zeros(2), np.zeros((1, 2)), False),
        (np.array([[1], None], object), np.array([[1], None], object), True),
        (np.float32(1), np.float32(1), True),
        (np.float32("nan"), np.float32("nan"), True),
        (Odd(), Odd(), False),
        (len, len, True),
        (None, None, True),
        (None, 0, False),
    ],
)
def test_sameness(before: Any, now: Any, same: bool) -> None:
    assert is_unchanged(snapshot_of(before), now) is same


def test_a_container_inside_of_itself_has_a_snapshot() -> None:
    items: list[Any] = [1]
    items.append(items)
    assert snapshot_of(items) == [1, ...]
