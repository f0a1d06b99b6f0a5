"""Opaque types: registering classes, and their objects as arguments of operators."""

from __future__ import annotations

import gc
import logging
import weakref
from collections import namedtuple
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, Flag, IntEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuops
from gpuops import Array, MemberType, OpaqueBase, custom_op, is_opaque_type, register_opaque_type
from gpuops.opaque import guard_values, opaque_class, opaque_kind, opaque_name


class Queue(OpaqueBase):
    def __init__(self, *items: Any) -> None:
        self.items = list(items)


class PriorityQueue(Queue):
    pass


@dataclass(frozen=True)
class Window:
    """A value type whose repr evaluates."""

    left: int
    right: int


class Colour(Enum):
    RED = 1
    BLUE = 2


register_opaque_type(Queue, "test_opaque.Queue", typ="reference")
register_opaque_type(Window, "test_opaque.Window", typ="value")

X = np.arange(3.0)


# -- arguments -------------------------------------------------------------------------------------


# Y3
def test_instances_go_to_kernels_untouched_and_in_order(ns: str) -> None:
    seen: list[Any] = []

    @custom_op(f"{ns}::push", mutates_args=())
    def push(queue: Queue, x: Array) -> Array:
        seen.append(queue)
        queue.items.append(float(x[0]))
        return x + len(queue.items)

    first, second = Queue(), PriorityQueue()
    assert push(first, X).tolist() == [1, 2, 3]
    assert push(second, X).tolist() == [1, 2, 3]
    assert push(first, X + 1).tolist() == [3, 4, 5]
    assert [queue is expected for queue, expected in zip(seen, [first, second, first], strict=True)]
    assert seen[0] is seen[2] is first and seen[1] is second
    assert first.items == [0, 1] and second.items == [0]


# Y3, Y10, Y16
def test_hints_and_schema_strings_say_the_same(ns: str) -> None:
    def function(
        q: Queue,
        o: Queue | None,
        items: list[Queue],
        either: Sequence[Queue | None],
        most: list[Window] | None,
        *,
        w: Window = Window(1, 2),
    ) -> None: ...

    text = gpuops.infer_schema(function, mutates_args=())
    q, w = "test_opaque.Queue", "test_opaque.Window"
    assert (
        text == f"({q} q, {q}? o, {q}[] items, {q}?[] either, {w}[]? most, *, {w} w=<Window>) -> ()"
    )
    written = f"({q} q, {q}? o, {q}[] items, {q}?[] either, {w}[]? most) -> ()"
    assert str(gpuops.parse_schema(written)) == written


# Y10, Y16
def test_lists_optional_ones_and_defaults_reach_the_kernel(ns: str) -> None:
    fallback = Queue("fallback")
    got: list[Any] = []

    @custom_op(f"{ns}::all", mutates_args=())
    def all_kinds(
        x: Array,
        one: Queue = fallback,
        maybe: Queue | None = None,
        several: list[Queue] | None = None,
        gaps: list[Queue | None] | None = None,
        window: Window = Window(1, 2),
        windows: list[Window] | None = None,
    ) -> Array:
        got[:] = [one, maybe, several, gaps, window, windows]
        return x.copy()

    all_kinds(X)
    assert got == [fallback, None, None, None, Window(1, 2), None]
    a, b = Queue(), PriorityQueue()
    # Exact types go the quick way, tuples and subclasses the slow one; the kernel sees the same.
    all_kinds(X, a, a, [a], [a, None], Window(3, 4), [Window(3, 4)])
    assert got == [a, a, [a], [a, None], Window(3, 4), [Window(3, 4)]]
    all_kinds(X, b, b, (a, b), (None, b), Window(3, 4), ())
    assert got == [b, b, [a, b], [None, b], Window(3, 4), []]
    assert all(left is right for left, right in zip(got[2], [a, b], strict=True))


# Y15
@pytest.mark.parametrize(
    ("position", "value", "expected"),
    [
        (1, None, "argument 'one' .position 1. must be a test_opaque.Queue; got None"),
        (1, Window(1, 2), "argument 'one' .* must be a test_opaque.Queue; got an object of type"),
        (1, Queue, "argument 'one' .* got an object of type builtins.type|got an object of type"),
        (2, 3, "argument 'maybe' .* must be a test_opaque.Queue or None; got int 3"),
        (3, Queue(), "argument 'several' .* must be a list of test_opaque.Queue"),
        (
            3,
            [Queue(), None],
            "argument 'several' .* its item 1 must be a test_opaque.Queue; got None",
        ),
        (3, [X], "argument 'several' .* its item 0 must be a test_opaque.Queue; got numpy.ndarray"),
        (4, (1, 2), "keyword-only|argument 'window' .* must be a test_opaque.Window; got tuple"),
    ],
)
def test_a_wrong_class_or_none_is_refused_by_name(
    ns: str, position: int, value: Any, expected: str
) -> None:
    @custom_op(f"{ns}::strict", mutates_args=())
    def strict(
        x: Array, one: Queue, maybe: Queue | None, several: list[Queue], window: Window
    ) -> Array:
        raise AssertionError("the kernel must not run")

    values: list[Any] = [X, Queue(), None, [], Window(1, 2)]
    values[position] = value
    with pytest.raises(gpuops.ArgumentError, match=expected) as caught:
        strict(*values)
    assert str(caught.value).startswith(f"{ns}::strict: ")
    assert __file__ in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_operators_without_arrays_take_opaque_objects(ns: str) -> None:
    @custom_op(f"{ns}::size", mutates_args=())
    def size(queue: Queue) -> int:
        return len(queue.items)

    assert size(Queue(1, 2)) == size(PriorityQueue(1, 2)) == 2
    with pytest.raises(TypeError, match="argument 'queue'"):
        size(None)


def test_names_that_differ_in_dots_do_not_get_mixed_up(ns: str) -> None:
    class First(OpaqueBase): ...

    class Second(OpaqueBase): ...

    class Third(OpaqueBase): ...

    register_opaque_type(First, f"{ns}.a.b_c", typ="reference")
    register_opaque_type(Second, f"{ns}.a_b.c", typ="reference")
    # The name of what the generated call has for CUDA arrays.
    register_opaque_type(Third, "cuda_array", typ="reference")

    schema = f"({ns}.a.b_c a, {ns}.a_b.c b, cuda_array c, {ns}.a.b_c[] d, {ns}.a_b.c[] e, Array x)"
    mixed = custom_op(
        f"{ns}::mixed", lambda a, b, c, d, e, x: x + 1, mutates_args=(), schema=f"{schema} -> Array"
    )
    a, b, c = First(), Second(), Third()
    assert mixed(a, b, c, [a], [b], X).tolist() == [1, 2, 3]
    for wrong in [
        (b, b, c, [a], [b]),
        (a, a, c, [a], [b]),
        (a, b, c, [b], [b]),
        (a, b, c, [a], [a]),
    ]:
        with pytest.raises(TypeError, match="must be a"):
            mixed(*wrong, X)


# -- registering -----------------------------------------------------------------------------------


# Y12
def test_the_default_name_is_the_place_of_the_class() -> None:
    class Local(OpaqueBase): ...

    register_opaque_type(Local, typ="reference")
    function = test_the_default_name_is_the_place_of_the_class.__name__
    assert opaque_class(f"{__name__}.{function}.Local") is Local
    schema = gpuops.parse_schema(f"({__name__}.{function}.Local x) -> ()")
    assert schema.parameters[0].type.is_opaque


class _Point(namedtuple("_Point", "x y")):
    __slots__ = ()


# Y11
@pytest.mark.parametrize(
    "cls",
    [
        int, str, bool, float, complex, list, tuple, dict, set, bytes, object, range, type,
        type(None), Array, np.ndarray, np.float32, np.memmap, np.dtype, gpuops.Device,
        gpuops.FakeArray, gpuops.SymInt, _Point, type("Text", (str,), {}), type("N", (int,), {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("typ", ["reference", "value"])
def test_classes_that_are_known_already_are_refused(cls: type, typ: Any) -> None:
    with pytest.raises(gpuops.OpaqueTypeError, match="cannot be an opaque type|takes a class"):
        register_opaque_type(cls, typ=typ)


# Y11
def test_classes_that_are_pytrees_are_refused() -> None:
    optree = pytest.importorskip("optree", reason="gradients and batches need optree")

    class Pair(OpaqueBase): ...

    everywhere = vars(optree.registry)["__GLOBAL_NAMESPACE"]
    optree.register_pytree_node(
        Pair, lambda pair: ((), None, None), lambda data, children: Pair(), namespace=everywhere
    )
    try:
        with pytest.raises(gpuops.OpaqueTypeError, match="Pair cannot be .* a pytree node"):
            register_opaque_type(Pair, typ="reference")
    finally:
        optree.unregister_pytree_node(Pair, namespace=everywhere)
    register_opaque_type(Pair, typ="reference")


@pytest.mark.parametrize("cls", [None, 3, "Queue", Queue(), list[int]])
def test_what_is_no_class_is_refused(cls: Any) -> None:
    with pytest.raises(TypeError, match="takes a class"):
        register_opaque_type(cls, typ="reference")


# Y12
def test_missing_and_unknown_kinds_are_refused() -> None:
    class Plain(OpaqueBase): ...

    with pytest.raises(TypeError, match="typ"):
        register_opaque_type(Plain)  # type: ignore[call-arg]
    for typ in ("Reference", None, 1):
        with pytest.raises(ValueError, match="typ= must be 'reference' or 'value'"):
            register_opaque_type(Plain, typ=typ)  # type: ignore[arg-type]
    assert not is_opaque_type(Plain)


# Y12
def test_reference_types_derive_from_the_base() -> None:
    class Plain: ...

    with pytest.raises(TypeError, match="Plain must derive from gpuops.OpaqueBase"):
        register_opaque_type(Plain, typ="reference")
    assert not is_opaque_type(Plain)


# Y12
def test_a_second_registration_is_refused() -> None:
    class Once(OpaqueBase): ...

    class Other(OpaqueBase): ...

    register_opaque_type(Once, "test_opaque.Once", typ="reference")
    with pytest.raises(
        ValueError, match="registered already, as 'test_opaque.Once' at .*test_opaque"
    ):
        register_opaque_type(Once, "test_opaque.Twice", typ="reference")
    with pytest.raises(ValueError, match="'test_opaque.Once' is taken by .*Once.*test_opaque.py"):
        register_opaque_type(Other, "test_opaque.Once", typ="reference")
    assert not is_opaque_type(Other) and not is_opaque_type("test_opaque.Twice")
    # A subclass has its base's name until it gets one of its own.
    register_opaque_type(type("Sub", (Once,), {}), "test_opaque.Sub", typ="reference")


@pytest.mark.parametrize("name", ["", "a b", "a..b", ".a", "1a", "a-b", "ä.b", 3, "Array", "int"])
def test_malformed_and_reserved_names_are_refused(name: Any) -> None:
    class Unnamed(OpaqueBase): ...

    with pytest.raises(gpuops.SchemaError, match="is not a type name|is a word of schema strings"):
        register_opaque_type(Unnamed, name, typ="reference")
    assert not is_opaque_type(Unnamed)


# Y12
def test_a_bad_type_name_in_a_schema_is_no_type() -> None:
    with pytest.raises(gpuops.SchemaError, match="unknown type specifier"):
        gpuops.parse_schema("(test_opaque.Quue q) -> ()")


def _value_class(**members: Any) -> type:
    return type("Value", (), members)


# Y9
@pytest.mark.parametrize(
    ("cls", "missing"),
    [
        (_value_class(), "__eq__ and __hash__"),
        (_value_class(__eq__=lambda a, b: True, __repr__=lambda a: "V()"), "__hash__"),
        (_value_class(__hash__=lambda a: 1, __repr__=lambda a: "V()"), "__eq__"),
        (_value_class(__eq__=lambda a, b: True, __hash__=lambda a: 1), "__fx_repr__"),
    ],
)
def test_value_types_need_what_graphs_need(cls: type, missing: str) -> None:
    with pytest.raises(TypeError, match=missing):
        register_opaque_type(cls, typ="value")
    assert not is_opaque_type(cls)


# Y9
def test_value_types_have_no_guard() -> None:
    with pytest.raises(TypeError, match="value type .* needs no guard_fn"):
        register_opaque_type(
            _value_class(__eq__=lambda a, b: True, __hash__=lambda a: 1, __repr__=lambda a: "V()"),
            typ="value",
            guard_fn=lambda value: [],
        )


def test_malformed_guards_and_members_are_refused() -> None:
    class Plain(OpaqueBase): ...

    bad: list[tuple[dict[str, Any], str]] = [
        ({"guard_fn": 3}, "guard_fn of .*Plain must be a callable, got int 3"),
        ({"members": ["a"]}, "members of .*Plain must map names to MemberType"),
        ({"members": {"a b": MemberType.USE_REAL}}, "'a b' is not the name of an attribute"),
        ({"members": {"a": "real"}}, "'a' must be MemberType.USE_REAL or MemberType.INLINED"),
    ]
    for keywords, message in bad:
        with pytest.raises(gpuops.OpaqueTypeError, match=message):
            register_opaque_type(Plain, typ="reference", **keywords)
    assert not is_opaque_type(Plain)


# Y13
def test_what_is_an_opaque_type(caplog: pytest.LogCaptureFixture) -> None:
    class Standalone(Enum):
        A = 1

    with caplog.at_level(logging.DEBUG):
        for cls in (Queue, PriorityQueue, "test_opaque.Queue", Window, Colour, Standalone):
            assert is_opaque_type(cls), cls
        others: list[Any] = [Queue(), Window(1, 2), int, "int", "test_opaque.Nothing", "", None, 3]
        others += [list[int], Colour.RED, np.ndarray, [], {}, OpaqueBase, object]
        for other in others:
            assert not is_opaque_type(other), other
    assert not caplog.records
    assert opaque_kind("test_opaque.Queue") == "reference"
    assert opaque_kind("test_opaque.Window") == "value"
    assert opaque_kind("int") is None


# Y13
def test_the_registry_drops_collected_classes() -> None:
    def make() -> weakref.ref[type]:
        class Cell(OpaqueBase):
            total = 0

        # A guard that refers to its class must not keep it.
        register_opaque_type(
            Cell, "test_opaque.Cell", typ="reference", guard_fn=lambda cell: [Cell.total]
        )
        assert is_opaque_type("test_opaque.Cell")
        return weakref.ref(Cell)

    for _ in range(3):
        found = make()
        gc.collect()
        assert found() is None
        assert not is_opaque_type("test_opaque.Cell")


def test_a_cell_that_is_run_again_registers_its_new_class(ns: str) -> None:
    cell = compile(
        "import gpuops\n"
        "class Cell(gpuops.OpaqueBase): pass\n"
        "gpuops.register_opaque_type(Cell, typ='reference')\n",
        "<ipython-input>",
        "exec",
    )
    names: dict[str, Any] = {"__name__": f"{ns}_notebook"}
    exec(cell, names)
    first = names["Cell"]
    exec(cell, names)
    assert names["Cell"] is not first
    assert opaque_class(f"{ns}_notebook.Cell") is names["Cell"]


@pytest.mark.parametrize("kind", [Enum, IntEnum, Flag])
def test_enumerations_are_value_types(ns: str, kind: type[Enum]) -> None:
    numbers: Any = kind("numbers", {"ONE": 1, "TWO": 2})

    def pick(x, which):  # type: ignore[no-untyped-def]
        return x + which.value

    pick.__annotations__ = {"x": Array, "which": numbers, "return": Array}
    op = custom_op(f"{ns}::pick", pick, mutates_args=())
    assert op(X, numbers.TWO).tolist() == [2, 3, 4]
    assert opaque_kind(op.schema.parameters[1].type.base) == "value"
    with pytest.raises(TypeError, match="argument 'which'"):
        op(X, 2)


def test_each_enumeration_is_a_type_of_its_own() -> None:
    assert is_opaque_type(Enum) and is_opaque_type(IntEnum)

    class Speed(Enum):
        FAST = 1

    assert opaque_name(Speed) not in (opaque_name(Enum), opaque_name(Colour))
    assert opaque_name(Enum) == "enum.Enum"


def test_slots_and_other_bases_stay_possible() -> None:
    class Slotted(OpaqueBase):
        __slots__ = ("a",)

    class Mixin:
        pass

    class Both(Mixin, OpaqueBase):
        pass

    for cls in (Slotted, Both):
        register_opaque_type(cls, typ="reference")
        instance = cls()
        assert weakref.ref(instance)() is instance


# -- guards ----------------------------------------------------------------------------------------


# Y7
def test_guard_values_go_into_nested_objects() -> None:
    class Inner(OpaqueBase):
        def __init__(self, size: int) -> None:
            self.size = size

    class Outer(OpaqueBase):
        def __init__(self, *inner: Inner) -> None:
            self.inner = list(inner)
            self.calls = 0

    register_opaque_type(Inner, typ="reference", guard_fn=lambda i: [i.size])
    register_opaque_type(Outer, typ="reference", guard_fn=lambda o: [o.inner, Window(1, 2)])
    a, b = Inner(1), Inner(1)
    outer = Outer(a, b)
    before = guard_values(outer)
    outer.calls += 1
    assert guard_values(outer) == before
    a.size = 2
    assert guard_values(outer) != before
    a.size = 1
    assert guard_values(outer) == before
    # Another object with the same values is as good, one that counts as itself is not.
    outer.inner = [Inner(1), b]
    assert guard_values(outer) == before
    outer.inner = [b, b]
    assert guard_values(outer) == before
    outer.inner = [b]
    assert guard_values(outer) != before
    queues = [Queue(), Queue()]
    outer.inner = [queues[0]]
    before = guard_values(outer)
    outer.inner = [queues[1]]
    assert guard_values(outer) != before
    assert guard_values(Queue()) == () == guard_values(3)


def test_guards_of_objects_that_refer_to_each_other_end() -> None:
    class Node(OpaqueBase):
        other: Any = None

    register_opaque_type(Node, typ="reference", guard_fn=lambda node: [node.other])
    a, b = Node(), Node()
    a.other, b.other = b, a
    assert guard_values(a) == guard_values(a) == guard_values(b)
    b.other = None
    assert guard_values(a) != guard_values(b)


def test_a_guard_that_gives_no_list_is_named() -> None:
    class Bad(OpaqueBase): ...

    register_opaque_type(Bad, "test_opaque.BadGuard", typ="reference", guard_fn=lambda b: 3)
    with pytest.raises(
        gpuops.OpaqueTypeError, match="guard_fn of test_opaque.BadGuard must return"
    ):
        guard_values(Bad())


# -- what it costs ---------------------------------------------------------------------------------


def test_an_opaque_argument_goes_the_quick_way(ns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What that costs is bench/bench_opaque.py's to measure."""

    @custom_op(f"{ns}::quick", mutates_args=())
    def quick(x: Array, q: Queue, o: Queue | None, several: list[Queue]) -> Array:
        return x

    def slow(*args: Any) -> None:
        raise AssertionError("the slow path")

    operator = gpuops.ops.__getattr__(ns).quick.operator
    monkeypatch.setitem(operator.table.globals, operator.table.known("slow"), slow)
    for queue in (Queue(), PriorityQueue()):
        assert quick(X, queue, queue, [Queue()]) is X
    with pytest.raises(AssertionError, match="the slow path"):
        quick(X, 3, None, [])


# -- any objects -----------------------------------------------------------------------------------


@given(st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=6), st.booleans())
def test_any_list_of_objects_arrives_as_it_is(indices: list[int | None], as_tuple: bool) -> None:
    pool = [Queue(), PriorityQueue(), Queue(), PriorityQueue()]
    items = [None if index is None else pool[index] for index in indices]
    got = _listed(X, tuple(items) if as_tuple else items)
    assert got == len(items)
    assert all(left is right for left, right in zip(_seen, items, strict=True))


_seen: list[Any] = []


@custom_op("test_opaque::listed", mutates_args=())
def _listed(x: Array, queues: list[Queue | None]) -> int:
    _seen[:] = queues
    return len(queues)
