"""Opaque objects in graphs: inputs, objects that are found again, and constants."""

from __future__ import annotations

import functools
import gc
import types
import weakref
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import (
    Graph,
    GraphError,
    MemberType,
    OpaqueBase,
    OpaqueObject,
    TraceError,
    get_payload,
    make_opaque,
    register_opaque_type,
    trace,
)
from gpuops import external_objects as table

X = np.arange(3.0)
MODES = ["real", "fake", "symbolic"]


class Counter(OpaqueBase):
    shared: Counter

    def __init__(self, size: int = 3, inner: Counter | None = None) -> None:
        self.size = size
        self.inner = inner
        self.calls: list[str] = []

    def half(self) -> int:
        return self.size // 2


class Sub(Counter):
    pass


@dataclass(frozen=True)
class Window:
    left: int
    right: float = 0.5


class Precise:
    """A value type that says how it is written."""

    def __init__(self, digits: int) -> None:
        self.digits = digits

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Precise) and self.digits == other.digits

    def __hash__(self) -> int:
        return self.digits

    def __fx_repr__(self) -> tuple[str, dict[str, Any]]:
        return f"Precise({self.digits})", {"Precise": Precise}


class Mode(Enum):
    FAST = 1
    SLOW = 2


register_opaque_type(
    Counter,
    "test_graph.Counter",
    typ="reference",
    guard_fn=lambda counter: [counter.size],
    members={"size": "use_real", "half": "inlined", "inner": MemberType.INLINED},
)
register_opaque_type(Window, "test_graph.Window", typ="value")
register_opaque_type(Precise, "test_graph.Precise", typ="value")

Counter.shared = Counter()
GLOBAL = Counter()
WINDOW = Window(1)
MODE = Mode.FAST
HOLDER = {"counters": [Counter(), Counter()]}

library = gpuops.Library("test_graph_objects", "DEF")
library.define("note(test_graph.Counter c, Array x, str text='note') -> Array")
library.define("tell(test_graph.Counter c) -> ()")
library.define("all(test_graph.Counter?[] cs, Array x) -> Array")
library.define("window(Array x, test_graph.Window w, test_graph.Precise? p=None) -> Array")
library.define(
    f"mode(Array x, {__name__}.Mode mode) -> Array" if gpuops.is_opaque_type(Mode) else ""
)
ops = gpuops.ops.test_graph_objects


def _note(c: Counter, x: Any, text: str) -> Any:
    c.calls.append(text)
    return x + len(c.calls)


library.impl("note", _note)
library.impl("tell", lambda c: c.calls.append("tell"))
library.impl("all", lambda cs, x: x + sum(len(c.calls) for c in cs if c is not None))
library.impl("window", lambda x, w, p: x * w.left + (0 if p is None else p.digits))
library.impl("mode", lambda x, mode: x * mode.value)
for _name in ("note", "all", "window", "mode"):
    _op = f"test_graph_objects::{_name}"
    _index = 1 if _name in ("note", "all") else 0
    library.register_fake(_op, lambda *args, i=_index: args[i].new_empty(args[i].shape))
library.register_fake("test_graph_objects::tell", lambda c: None)


def run_code(graph: Graph, *args: Any) -> Any:
    code = graph.code
    scope = dict(graph.objects)
    exec(code, scope)
    return scope["forward"](*args)


# -- reference objects as arguments ----------------------------------------------------------------


# Y4
@pytest.mark.parametrize("mode", ["fake", "symbolic"])
def test_capture_never_runs_the_real_object_and_replay_runs_each_call_once(mode: str) -> None:
    def function(c, x):  # type: ignore[no-untyped-def]
        ops.note(c, x, "unused")
        ops.tell(c)
        y = ops.note(c, x, "used")
        ops.note(c, y, "last")
        return y

    counter = Counter()
    graph = trace(function, mode)(counter, X)
    assert counter.calls == []
    assert [node.operator.name for node in graph.nodes] == ["note", "tell", "note", "note"]
    for other in (counter, Counter()):
        assert graph(other, X).tolist() == [3, 4, 5]
        assert other.calls == ["unused", "tell", "used", "last"]
    fresh = Counter()
    assert run_code(graph, fresh, X).tolist() == [3, 4, 5]
    assert fresh.calls == ["unused", "tell", "used", "last"]


# Y4: payload objects
def test_payload_objects_are_inputs(ns: str) -> None:
    with gpuops.Library(ns, "DEF") as lib:
        lib.define("push(OpaqueObject q, Array x) -> ()")
        lib.define("pop(OpaqueObject q) -> Array")
        lib.impl("push", lambda q, x: get_payload(q).append(x))
        lib.impl("pop", lambda q: get_payload(q).pop())
        lib.register_fake(f"{ns}::push", lambda q, x: None)
        lib.register_fake(f"{ns}::pop", lambda q: gpuops.FakeArray((3,)))
        own = gpuops.ops.__getattr__(ns)

        def function(q, x):  # type: ignore[no-untyped-def]
            own.push(q, x)
            own.push(q, x)
            return own.pop(q)

        graph = trace(function, "fake")(make_opaque([]), X)
        queue = make_opaque([])
        assert graph(queue, X) is X
        assert queue == make_opaque([X]) or len(get_payload(queue)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_nested_arguments_lists_and_none(mode: str) -> None:
    def function(group, x):  # type: ignore[no-untyped-def]
        return ops.all([group["a"], None, group["list"][0]], x)

    def group(*calls: int) -> dict[str, Any]:
        made = [Counter() for _ in calls]
        for counter, number in zip(made, calls, strict=True):
            counter.calls += ["call"] * number
        return {"a": made[0], "list": [made[1]]}

    graph = trace(function, mode)(group(1, 2), X)
    assert graph(group(3, 4), X).tolist() == [7, 8, 9]
    assert run_code(graph, group(1, 1), X).tolist() == [2, 3, 4]
    with pytest.raises(GraphError, match="input 'group_a' must be a test_graph.Counter, got None"):
        graph({"a": None, "list": [Counter()]}, X)


# Y7
def test_a_graph_refuses_when_guarded_values_change() -> None:
    graph = trace(ops.note, "fake")(Counter(3), X)
    busy = Counter(3)
    busy.calls += ["other", "state"]
    assert graph(busy, X).tolist() == [3, 4, 5]
    assert graph(Sub(3), X).tolist() == [1, 2, 3]
    with pytest.raises(
        GraphError, match=r"'c' is guarded: its guard_fn gave \(3,\) .* gives \(4,\)"
    ):
        graph(Counter(4), X)
    for wrong in (None, 3, make_opaque()):
        with pytest.raises(GraphError, match="input 'c' must be a test_graph.Counter, got"):
            graph(wrong, X)


class Reader(OpaqueBase):
    def __init__(self, size: int) -> None:
        self.size = size


register_opaque_type(
    Reader, "test_graph.Reader", typ="reference", members={"size": MemberType.USE_REAL}
)


@pytest.mark.parametrize("mode", MODES)
def test_what_was_read_of_an_object_is_checked_without_a_guard(ns: str, mode: str) -> None:
    with gpuops.Library(ns, "DEF") as lib:
        lib.define("fill(test_graph.Reader r, Array x) -> Array")
        lib.impl("fill", lambda r, x: np.resize(x, r.size))
        lib.register_fake(f"{ns}::fill", lambda r, x: x.new_empty((r.size,)))
        own = gpuops.ops.__getattr__(ns)
        # By the traced function, and by the fake kernel alone.
        functions = [lambda r, x: x * r.size]
        if mode != "real":
            functions.append(lambda r, x: own.fill(r, x))
        for function in functions:
            if mode == "real":
                function = lambda r, x: own.fill(r, x) if r.size == 3 else x  # noqa: E731
            elif function is functions[0]:
                function = lambda r, x: own.fill(r, x) if r.size == 3 else None  # noqa: E731
            graph = trace(function, mode)(Reader(3), X)
            assert graph(Reader(3), X).shape == (3,)
            with pytest.raises(
                GraphError, match="had size = 3 when the graph was traced.*now it is 4"
            ):
                graph(Reader(4), X)


class Tree(OpaqueBase):
    def __init__(self, size: int, child: Tree | None = None) -> None:
        self.size = size
        self.child = child


register_opaque_type(
    Tree, "test_graph.Tree", typ="reference", members={"size": "use_real", "child": "inlined"}
)


@pytest.mark.parametrize("where", ["function", "fake kernel", "fake kernel of the member"])
def test_what_was_read_of_a_member_is_checked_too(ns: str, where: str) -> None:
    with gpuops.Library(ns, "DEF") as lib:
        lib.define("take(test_graph.Tree t, Array x) -> Array")
        lib.impl("take", lambda t, x: x.copy())
        own = gpuops.ops.__getattr__(ns)
        seen: list[int] = []

        def fake(t: Any, x: Any) -> Any:
            if where == "fake kernel":
                seen.append(t.child.size)
            elif where != "function":
                seen.append(t.size)
            return x.new_empty(x.shape)

        lib.register_fake(f"{ns}::take", fake)

        def function(t: Any, x: Any) -> Any:
            if where == "function":
                seen.append(t.child.size)
            return own.take(t.child if where.endswith("member") else t, x)

        graph = trace(function, "fake")(Tree(1, Tree(2)), X)
        assert seen == [2]
        graph(Tree(7, Tree(2)), X)
        with pytest.raises(GraphError, match="had child.size = 2 when .* now it is 3"):
            graph(Tree(1, Tree(3)), X)
        with pytest.raises(GraphError, match="had child.size = 2 when .* has no attribute 'size'"):
            graph(Tree(1, None), X)


# Y7
def test_other_nested_objects_with_the_same_guarded_values_will_do(ns: str) -> None:
    class Part(OpaqueBase):
        def __init__(self, size: int) -> None:
            self.size = size
            self.calls = 0

    class Whole(OpaqueBase):
        def __init__(self, *parts: Part) -> None:
            self.parts = {"all": list(parts)}

    register_opaque_type(Part, f"{ns}.Part", typ="reference", guard_fn=lambda part: [part.size])
    register_opaque_type(
        Whole, f"{ns}.Whole", typ="reference", guard_fn=lambda whole: [whole.parts]
    )
    with gpuops.Library(ns, "DEF") as lib:
        lib.define(f"use({ns}.Whole w, Array x) -> Array")
        lib.impl("use", lambda w, x: x + sum(part.size for part in w.parts["all"]))
        lib.register_fake("use", lambda w, x: x.new_empty(x.shape))
        graph = trace(gpuops.ops.__getattr__(ns).use, "fake")(Whole(Part(1), Part(2)), X)
        right = Whole(Part(1), Part(2))
        right.parts["all"][0].calls = 5
        assert graph(right, X).tolist() == [3, 4, 5]
        for wrong in (Whole(Part(2), Part(1)), Whole(Part(1)), Whole(Part(1), Part(2), Part(3))):
            with pytest.raises(GraphError, match="input 'w' is guarded"):
                graph(wrong, X)


# Y6
def test_members_are_traced_and_nested_objects_are_found_in_the_argument() -> None:
    def function(c, x):  # type: ignore[no-untyped-def]
        return ops.note(c.inner, x, str(c.half()))

    graph = trace(function, "fake")(Counter(4, Counter()), X)
    assert "ops.test_graph_objects.note(c.inner, x, '2')" in graph.code
    inner = Counter()
    assert graph(Counter(4, inner), X).tolist() == [1, 2, 3]
    assert inner.calls == ["2"]
    assert run_code(graph, Counter(4, inner), X).tolist() == [2, 3, 4]
    again = Graph.from_text(graph.to_text())
    assert again.code == graph.code and again(Counter(4, inner), X).tolist() == [3, 4, 5]
    for other in (graph, again):
        with pytest.raises(GraphError, match="input 'c' had size = 4 when .* now it is 5"):
            other(Counter(5, inner), X)


# Y5
def test_a_traced_function_may_not_look_into_an_object() -> None:
    for look in (lambda c, x: c.calls, lambda c, x: setattr(c, "size", 4)):
        with pytest.raises(AttributeError, match="argument 'c' of the traced function"):
            trace(look, "fake")(Counter(), X)


def test_an_object_may_be_returned() -> None:
    counter = Counter()
    graph = trace(lambda c, x: (c, [GLOBAL], x))(counter, X)
    other = Counter()
    assert graph(other, X)[0] is other
    assert graph(other, X)[1][0] is GLOBAL


# -- objects that the function finds by itself -----------------------------------------------------


class Model:
    def __init__(self) -> None:
        self.counter = Counter()

    def method(self, x: Any) -> Any:
        return ops.note(self.counter, x, "method")

    def __call__(self, x: Any) -> Any:
        return ops.note(self.counter, x, "called")


def _helper(x: Any) -> Any:
    return ops.note(GLOBAL, x, "helper")


def _default(x: Any, c: Counter = GLOBAL) -> Any:
    return ops.note(c, x, "default")


MODEL = Model()


# Y8
@pytest.mark.parametrize(
    ("function", "source", "find"),
    [
        (lambda x: ops.note(GLOBAL, x), "G['GLOBAL']", lambda: GLOBAL),
        (lambda x: ops.note(Counter.shared, x), "G['Counter'].shared", lambda: Counter.shared),
        (
            lambda x: ops.note(HOLDER["counters"][1], x),
            "G['HOLDER']['counters'][1]",
            lambda: HOLDER["counters"][1],
        ),
        (lambda x: ops.note(MODEL.counter, x), "G['MODEL'].counter", lambda: MODEL.counter),
        (MODEL.method, "L['self'].counter", lambda: MODEL.counter),
        (MODEL, "L['self'].counter", lambda: MODEL.counter),
        (_helper, "G['GLOBAL']", lambda: GLOBAL),
        (lambda x: _helper(x), "G['GLOBAL']", lambda: GLOBAL),
        (_default, "L['c']", lambda: GLOBAL),
        (functools.partial(ops.note, GLOBAL), "partial.args[0]", lambda: GLOBAL),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_objects_around_a_function_are_found_again(
    function: Any, source: str, find: Any, mode: str
) -> None:
    graph = trace(function, mode)(X)
    assert [external.source.text for external in graph.externals] == [source]
    assert f"  # {source}\n" in graph.print_readable(print_output=False)
    before = len(find().calls)
    assert graph(X).tolist() == (X + before + 1).tolist()
    assert len(find().calls) == before + 1
    # The code has the index, and the table the object.
    assert "external_objects.get_external_object_by_index(0)" in graph.code
    table.store_user_object_weakrefs(find())
    run_code(graph, X)
    assert len(find().calls) == before + 2
    assert table.get_external_object_by_index(0) is find()
    table.reset_user_object_tracking()
    with pytest.raises(GraphError, match="looks up .*cannot be saved as text"):
        graph.to_text()


def test_a_variable_is_looked_up_at_each_replay_and_a_dead_one_is_named() -> None:
    h = Counter()
    graph = trace(lambda x: ops.note(h, x), "fake")(X)  # noqa: F821  # deleted below
    first, second = h, Counter()
    graph(X)
    h = second
    graph(X)
    assert (len(first.calls), len(second.calls)) == (1, 1)
    h = Counter(9)
    with pytest.raises(GraphError, match=r"L\['h'\] is guarded"):
        graph(X)
    h = None  # type: ignore[assignment]
    with pytest.raises(
        ReferenceError, match=r"external object 0, L\['h'\] \(a test_graph.Counter\)"
    ):
        graph(X)
    h = 3  # type: ignore[assignment]
    with pytest.raises(GraphError, match=r"L\['h'\] must be a test_graph.Counter, got int 3"):
        graph(X)
    del h
    with pytest.raises(gpuops.DeadObjectError, match=r"L\['h'\] .* is no longer alive"):
        graph(X)


def test_a_deleted_attribute_and_a_deleted_global_are_named() -> None:
    model = Model()
    graph = trace(model.method, "fake")(X)
    del model.counter
    with pytest.raises(gpuops.DeadObjectError, match=r"L\['self'\].counter .* is no longer alive"):
        graph(X)
    names: dict[str, Any] = {"ops": ops, "H": Counter(), "__name__": "elsewhere"}
    exec("def function(x): return ops.note(H, x)", names)
    graph = trace(names["function"], "fake")(X)
    del names["H"]
    with pytest.raises(gpuops.DeadObjectError, match=r"G\['H'\] .* is no longer alive"):
        graph(X)


def test_a_graph_owns_no_object() -> None:
    model = Model()
    found = weakref.ref(model.counter)
    graph = trace(model.method, "fake")(X)
    graph(X)
    model.counter = Counter()
    gc.collect()
    assert found() is None
    graph(X)


def test_the_table_of_the_caller_is_as_it_was(ns: str) -> None:
    mine, h = Counter(), Counter()

    @gpuops.custom_op(f"{ns}::look", mutates_args=())
    def look(c: OpaqueObject) -> None:
        get_payload(c).append(table.get_external_object_by_index(0))

    @look.register_fake
    def _(c):  # type: ignore[no-untyped-def]
        return None

    seen = make_opaque([])
    graph = trace(lambda x: [ops.note(h, x), look(seen)][0], "fake")(X)
    table.store_user_object_weakrefs(mine)
    graph(X)
    assert get_payload(seen) == [h] and table.get_external_object_by_index(0) is mine
    with pytest.raises(GraphError):
        graph(np.arange(4.0))
    assert table.get_external_object_by_index(0) is mine and len(table.snapshot()) == 1
    table.reset_user_object_tracking()


def test_only_objects_that_are_still_used_are_looked_up() -> None:
    dropped, kept = Counter(), Counter()
    operator = ops.note
    with gpuops.Library("test_graph_objects", "IMPL") as lib:
        gpuops.register_effect(operator, None, lib=lib)
        graph = trace(lambda x: [ops.note(dropped, x), ops.note(kept, x)][1], "fake")(X)
    assert [external.source.text for external in graph.externals] == ["L['kept']"]
    assert graph.externals[0].index == 0
    graph(X)
    assert len(kept.calls) == 1 and not dropped.calls


def test_objects_in_modules_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    outer, module = types.ModuleType("package"), types.ModuleType("package.module")
    outer.module, module.HANDLE = module, Counter()  # type: ignore[attr-defined]
    monkeypatch.setitem(globals(), "package", outer)
    graph = trace(lambda x: ops.note(package.module.HANDLE, x), "fake")(X)  # noqa: F821
    local = trace(lambda x: ops.note(module.HANDLE, x), "fake")(X)
    assert [e.source.text for e in local.externals] == ["L['module'].HANDLE"]
    assert [e.source.text for e in graph.externals] == ["G['package'].module.HANDLE"]
    module.HANDLE = None  # type: ignore[attr-defined]
    with pytest.raises(gpuops.DeadObjectError, match=r"G\['package'\].module.HANDLE"):
        graph(X)


# Y8
def test_an_object_that_is_made_while_tracing_is_refused() -> None:
    def function(x):  # type: ignore[no-untyped-def]
        made = Counter()
        return ops.note(made, x)

    for mode in MODES:
        with pytest.raises(TraceError, match="a reference object that it made itself") as caught:
            trace(function, mode)(X)
        assert "return ops.note(made, x)" in str(caught.value)


# -- values ----------------------------------------------------------------------------------------


# Y9
@pytest.mark.parametrize("mode", MODES)
def test_values_are_constants_whose_repr_evaluates(mode: str) -> None:
    def function(x, w):  # type: ignore[no-untyped-def]
        return ops.mode(ops.window(x, w, Precise(2)), Mode.SLOW)

    graph = trace(function, mode)(X, Window(3))
    code = graph.code
    assert "Window(left=3, right=0.5)" in code and "Precise(2)" in code and "Mode.SLOW" in code
    assert f"from {__name__} import Window" in code or "Window" in graph.objects
    expected = ((X * 3 + 2) * 2).tolist()
    assert graph(X, Window(3)).tolist() == run_code(graph, X, Window(3)).tolist() == expected
    with pytest.raises(
        GraphError, match=r"argument w was Window\(left=3.*fixed in it; got Window\(left=4"
    ):
        graph(X, Window(4))
    with pytest.raises(GraphError, match="fixed in it; got 3"):
        graph(X, 3)


# Y9
def test_values_around_a_function_are_checked_at_each_replay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    w = Window(1)
    graph = trace(lambda x: ops.window(x, w), "fake")(X)  # noqa: F821  # deleted below
    assert graph(X).tolist() == X.tolist()
    w = Window(1)  # an equal one
    graph(X)
    w = Window(2)
    with pytest.raises(GraphError, match=r"L\['w'\] was Window\(left=1.* now it is Window\(left=2"):
        graph(X)
    del w
    with pytest.raises(GraphError, match=r"L\['w'\] was Window.* now it is gone"):
        graph(X)
    graph = trace(lambda x: ops.mode(ops.window(x, WINDOW), MODE), "fake")(X)
    graph(X)
    monkeypatch.setitem(globals(), "MODE", Mode.SLOW)
    with pytest.raises(GraphError, match=r"G\['MODE'\] was <Mode.FAST: 1>"):
        graph(X)


class Wrong(Precise):
    def __fx_repr__(self) -> tuple[str, dict[str, Any]]:
        return "Precise(1 + 1)", {"Precise": Precise}


class Unknown(Precise):
    def __fx_repr__(self) -> tuple[str, dict[str, Any]]:
        return "Nowhere(2)", {}


class Malformed(Precise):
    def __fx_repr__(self) -> Any:
        return "Precise(2)"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Wrong(2), "evaluates to another value"),
        (Unknown(2), "does not evaluate where .*NameError"),
        (Malformed(2), "must return .text, names., it returned"),
    ],
)
def test_a_repr_that_does_not_evaluate_is_refused(value: Any, message: str) -> None:
    graph = trace(lambda x: ops.window(x, Window(1), value), "fake")(X)
    assert graph(X).tolist() == (X + 2).tolist()
    with pytest.raises(GraphError, match=message):
        assert graph.code


def test_values_are_saved_as_text() -> None:
    def function(x, w):  # type: ignore[no-untyped-def]
        return ops.mode(ops.window(x, w), Mode.SLOW)

    graph = trace(function, "symbolic")(X, Window(3))
    again = Graph.from_text(graph.to_text())
    assert again(np.ones(5), Window(3)).tolist() == [6] * 5
    assert again.code == graph.code
    with pytest.raises(GraphError, match="fixed in it"):
        again(X, Window(4))
    text = graph.to_text()
    with pytest.raises(GraphError, match="which is no value type here"):
        Graph.from_text(text.replace("test_graph.Window", "test_graph.Counter", 9).replace(
            "test_graph.Counter w", "test_graph.Window w"))  # fmt: skip
    with pytest.raises(GraphError, match="cannot have: KeyError"):
        Graph.from_text(text.replace('"SLOW"', '"SLOWER"'))
    with pytest.raises(GraphError, match="test_graph.Precise in the graph cannot be saved as text"):
        trace(lambda x: ops.window(x, Window(1), Precise(2)), "fake")(X).to_text()


def test_a_local_class_of_a_taken_name_is_an_object_of_the_graph() -> None:
    @dataclass(frozen=True)
    class x:
        n: int

    register_opaque_type(x, "test_graph.x", typ="value")
    with gpuops.Library("test_graph_local", "DEF") as lib:
        lib.define("f(Array x, test_graph.x v) -> Array")
        lib.impl("f", lambda x, v: x * v.n)
        graph = trace(lambda x, v: gpuops.ops.test_graph_local.f(x, v))(X, x(2))
        assert run_code(graph, X, x(2)).tolist() == (X * 2).tolist()
        assert "f(x, object_0)" in graph.code
