"""Section A of the behaviours: names, schema strings, tags; and what a schema is."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, Library, Tag, custom_op, define, is_functional, parse_schema
from gpuops.namespaces import Namespace
from gpuops.schema import MISSING, RESERVED_NAMES, parse_qualname
from gpuops.tags import layout_constraint


def noop(x: Array) -> Array:
    return x.copy()


# A1
@pytest.mark.parametrize(
    "name",
    [
        "foo",
        "a::b::c",
        "",
        "::x",
        "a::",
        "1a::b",
        "a-b::c",
        "a::b c",
        "a::b.",
        "a::b.c.d",
        "a::1",
        "a:b",
    ],
)
def test_malformed_names_get_one_message(name: str) -> None:
    for refuse in (
        lambda: custom_op(name, noop, mutates_args=()),
        lambda: define(name, "(Array x) -> Array"),
        lambda: parse_qualname(name),
    ):
        with pytest.raises(ValueError, match='expected "namespace::name"') as caught:
            refuse()
        assert repr(name) in str(caught.value)


# A1
@pytest.mark.parametrize("name", ["__class__", "__init__", "__dict__", "__getattr__", "__repr__"])
def test_names_that_every_python_object_has(ns: str, name: str) -> None:
    """``ops.<ns>.__class__`` is Python's own: an operator of that name could not be found."""
    for refuse in (
        lambda: custom_op(f"{ns}::{name}", noop, mutates_args=()),
        lambda: define(f"{ns}::{name}", "(Array x) -> Array"),
        lambda: gpuops.Library(ns, "FRAGMENT").define(f"{name}(Array x) -> Array"),
    ):
        with pytest.raises(ValueError, match=f"'{name}' is a reserved operator name"):
            refuse()
    # Others with underscores are as good as any.
    op = custom_op(f"{ns}::__xor__", noop, mutates_args=())
    assert getattr(gpuops.ops, ns).__xor__ is op
    assert set(vars(Namespace)) <= RESERVED_NAMES


# A2
def test_overload_in_the_name(ns: str) -> None:
    op = custom_op(f"{ns}::f.ov", noop, mutates_args=())
    assert op.operator.overload == "ov"
    assert str(op.operator) == f"{ns}.f.ov"
    assert getattr(gpuops.ops, ns).f.ov is op.operator


# A2
@pytest.mark.parametrize("name", [3, None, b"a::b", ["a::b"]])
def test_a_name_that_is_no_string(name: object) -> None:
    with pytest.raises(TypeError, match="must be a string") as caught:
        custom_op(name, noop, mutates_args=())  # type: ignore[call-overload]
    assert type(name).__name__ in str(caught.value)


# A3
def test_reserved_namespace() -> None:
    for refuse in (
        lambda: custom_op("prim::f", noop, mutates_args=()),
        lambda: Library("prim", "DEF"),
        lambda: Library("prim", "FRAGMENT"),
        lambda: define("prim::f", "(Array x) -> Array"),
    ):
        with pytest.raises(ValueError, match="'prim' is a reserved namespace"):
            refuse()


# A4
def test_define_wants_a_nameless_schema(ns: str) -> None:
    with pytest.raises(ValueError, match="expected schema to look like"):
        define(f"{ns}::foo", "foo(Array x) -> Array")
    assert not gpuops.operators(ns)


# A5
@pytest.mark.parametrize(
    "text",
    [
        "(Array x) -> Array",
        "(Array x) -> Array out",
        "(Array x) -> (Array out, Array)",
        "(Array x, Array[] ys) -> (Array, int, float, bool, Scalar, Array[])",
        "(Array? x, Array?[] xs, Array[]? ys, Array?[]? zs) -> ()",
        "(int[] a, SymInt[] b, int? c, SymInt? d, int[2] e, int[]? f) -> Array",
        "(Scalar a, Scalar? b, float a2, float? b2, bool[] c, complex z) -> Array",
        "(Array x, *, str mode, dtype d, device v, order o) -> Array",
        "() -> Array",
        "() -> ()",
        "(Array(a!) x, Array(b!)[] xs, Array(c!)? y, Array(d!)?[] ys) -> ()",
        "(Array(a) x) -> Array(a)",
        "(Array(a|b) x, Array(c!) y) -> (Array(c!), Array(a))",
        "(Array x) -> (Array)",
    ],
)
def test_supported_schemas_round_trip(ns: str, text: str) -> None:
    schema = parse_schema(text)
    assert str(schema) == text
    assert parse_schema(str(schema)) == schema
    with define(f"{ns}::f", text):
        (operator,) = gpuops.operators(ns)
        assert str(operator.schema) == f"{ns}::f{text}"
    assert not gpuops.operators(ns)


# A6
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(foo x) -> Array", "unknown type specifier 'foo'"),
        ("(Array x) -> foo", "unknown type specifier 'foo'"),
        ("(Arrya x) -> Array", "Did you mean 'Array'"),
        ("(int64_t x) -> Array", "Use `SymInt` or `int`"),
        ("(double x) -> Array", "Use `float`"),
        ("(Tensor x) -> Array", "Use `Array`"),
        ("(PyObject x) -> Array", "unknown type specifier 'PyObject'"),
    ],
)
def test_unknown_types(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_schema(text)
    _, line, caret = str(caught.value).split("\n")
    assert line.strip() == text
    bad = text[caret.index("^") - 4 :]
    assert bad.split()[0].rstrip(")") in message or "Arrya" in bad or bad.split()[0] in text


# A6
@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("(", 1),
        ("", 0),
        ("(Array x", 8),
        ("(Array x)", 9),
        ("(Array x) Array", 10),
        ("(Array x)) -> Array", 9),
        ("(Array x -> Array", 9),
        ("(Array x,) -> Array", 9),
        ("(Array) -> Array", 6),
        ("(Array x) -> Array out y", 23),
        ("(Array x) -> (Array", 19),
        ("(Array[ x) -> Array", 8),
        ("(int[][] x) -> Array", 6),
        ("(Array(a x) -> Array", 9),
        ("(int x=) -> Array", 7),
        ("(int x=[1) -> Array", 9),
        ("(Array x, *, *, int y) -> Array", 13),
        ("(Array x, *) -> Array", 10),
        ("f(@) -> Array", 2),
        ('(str s="abc) -> Array', 7),
        ("(int[a] x) -> Array", 5),
        ("(dtype d=nonsense) -> Array", 9),
        ("(str s=abc) -> Array", 7),
    ],
)
def test_syntax_errors_have_a_caret_at_the_position(text: str, position: int) -> None:
    with pytest.raises(gpuops.SchemaError) as caught:
        parse_schema(text)
    _, line, caret = str(caught.value).split("\n")
    assert line == "    " + text
    assert caret.index("^") - 4 == position, str(caught.value)


# A6
def test_a_registered_class_is_a_type() -> None:
    class Handle(gpuops.OpaqueBase):
        pass

    gpuops.register_opaque_type(Handle, "test_schema.Handle", typ="reference")
    schema = parse_schema("(Array x, test_schema.Handle h, test_schema.Handle? o=None) -> Array")
    assert schema.parameters[1].type.is_opaque
    assert parse_schema(str(schema)) == schema


# A7: NumPy has dtypes where torch has ScalarType, and memory orders where it has Layout and
# MemoryFormat; the torch names are read as those.
def test_lists_of_dtypes_devices_and_orders(ns: str) -> None:
    seen: list[object] = []

    def kernel(x: Array, d: list[object], v: list[object], o: list[object]) -> Array:
        seen.extend([d, v, o])
        return x.copy()

    define(f"{ns}::f", "(Array x, ScalarType[] d, device[] v, MemoryFormat[] o) -> Array")
    gpuops.impl(f"{ns}::f", "default", kernel)
    operator = gpuops.operators(ns)[0]
    operator(np.ones(1), (np.float32, np.dtype("int8")), ["cpu", "cuda:1"], ["C", "F"])
    assert seen == [
        [np.dtype("float32"), np.dtype("int8")],
        [gpuops.Device("cpu"), gpuops.Device("cuda:1")],
        ["C", "F"],
    ]
    assert all(type(value) is list for value in seen)
    with pytest.raises(TypeError, match="not one of C, F, A, K"):
        operator(np.ones(1), [], [], ["Z"])


# A7
def test_the_names_that_torchs_schemas_have_for_dtypes_and_orders() -> None:
    schema = parse_schema(
        "(ScalarType[] a, Layout[] b, MemoryFormat[] c, Device d, Layout? e) -> ()"
    )
    assert str(schema) == "(dtype[] a, order[] b, order[] c, device d, order? e) -> ()"


# A8
@pytest.mark.parametrize(
    "given", [Tag.flexible_layout, [Tag.flexible_layout], (Tag.flexible_layout,)]
)
def test_tags_are_a_list_with_the_default_tag_once(ns: str, given: object) -> None:
    op = custom_op(f"{ns}::f", noop, mutates_args=(), tags=given)  # type: ignore[call-overload]
    assert op.tags == [Tag.flexible_layout, Tag.compliant]
    again = custom_op(f"{ns}::g", noop, mutates_args=(), tags=(Tag.compliant, Tag.compliant))
    assert again.tags == [Tag.compliant]
    with define(f"{ns}::h", "(Array x) -> Array", tags=Tag.flexible_layout):
        assert getattr(gpuops.ops, ns).h.tags == [Tag.flexible_layout]
    with pytest.raises(ValueError, match=r"Tag members .* got 'fast'"):
        custom_op(f"{ns}::k", noop, mutates_args=(), tags=["fast"])  # type: ignore[list-item]


# A9
def test_layout_tags() -> None:
    assert layout_constraint([]) is Tag.needs_exact_strides
    assert layout_constraint([Tag.flexible_layout]) is Tag.flexible_layout
    assert layout_constraint([Tag.flexible_layout, Tag.needs_contiguous_strides]) is (
        Tag.needs_contiguous_strides
    )
    assert layout_constraint(list(Tag)) is Tag.needs_exact_strides


# A10
@pytest.mark.parametrize(
    ("text", "functional"),
    [
        ("f(Array x) -> Array", True),
        ("f(Array(a) x) -> Array", True),
        ("f(Array(a!) x) -> Array", False),
        ("f(Array(a) x) -> Array(a)", False),
        ("f(Array x) -> ()", False),
        ("f(Array(a)[] x) -> (Array, Array(a))", False),
    ],
)
def test_is_functional(text: str, functional: bool) -> None:
    assert is_functional(text) is functional
    assert is_functional(parse_schema(text)) is functional


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ("(int x=1, Array y) -> ()", "'y' without a default follows 'x'", "y)"),
        ("(Array x, int x) -> ()", "'x' appears twice", "x)"),
        ("(Array x, *, int lambda) -> ()", "'lambda' cannot be a parameter name", "lambda"),
        ("(Array x, int(a!) y) -> ()", "only arrays can alias", "y)"),
        ("(int x=1.5) -> ()", "'x' has default float 1.5, which is no int", "x="),
        ("(Array x=None) -> ()", "declare it optional", "x="),
        ("(int[2] x=[1]) -> ()", "length 1, but int\\[2\\] has length 2", "x="),
        ('(order o="Z") -> ()', "which is no order", "o="),
        ('(device dev="tpu") -> ()', "Expected one of cpu, cuda", "dev="),
        ("(Array x, bool b=1) -> ()", "which is no bool", "b="),
    ],
)
def test_what_parses_but_makes_no_sense_has_a_caret_at_the_parameter(
    text: str, message: str, at: str
) -> None:
    with pytest.raises(gpuops.SchemaError, match=message) as caught:
        parse_schema(text)
    _, line, caret = str(caught.value).split("\n")
    assert line == "    " + text
    assert caret.index("^") - 4 == text.index(at), str(caught.value)


def test_a_return_that_makes_no_sense() -> None:
    with pytest.raises(gpuops.SchemaError, match="return 1 is annotated .a., but only arrays can"):
        parse_schema("(Array x) -> (Array, int(a))")


def test_a_schema_is_frozen_and_can_be_copied_and_pickled() -> None:
    schema = parse_schema("a::b(Array x, *, float s=nan, dtype? d=None) -> (Array, Array)")
    with pytest.raises(AttributeError):
        schema.name = "c::d"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(schema.parameters[0])) == schema.parameters[0]
    assert pickle.loads(pickle.dumps(MISSING)) is MISSING
    assert copy.deepcopy(schema) == schema and copy.copy(schema) == schema
    again = pickle.loads(pickle.dumps(schema))
    assert again == schema and hash(again) == hash(schema) and str(again) == str(schema)
    assert hash(schema.parameters[0]) == hash(copy.copy(schema.parameters[0]))


# E3
def test_list_defaults_and_sizes() -> None:
    schema = parse_schema("(int[] a=[1,2], int[2] b=3, float[] c=[1], bool[] d=[]) -> ()")
    assert [p.default for p in schema.parameters] == [[1, 2], [3, 3], [1.0], []]
    assert parse_schema(str(schema)) == schema


# E1, E5
@pytest.mark.parametrize(
    "text",
    [
        '(str s="a\\"b\\\\n\\n") -> ()',
        "(float a=inf, float b=-inf, float c=nan, float d=-0.0, float e=1e-300) -> ()",
        "(complex a=(1+2j), complex b=1j, complex c=(-0-1j), complex d=3) -> ()",
        "(Scalar a=True, Scalar b=1, Scalar c=1.0, Scalar d=2j) -> ()",
        '(dtype d=float32, dtype e=">f4", dtype f=complex128, device v="cuda:1") -> ()',
        "(int a=-5, int[] b=[-1, 2], Array? c=None, int[]? d=None) -> ()",
    ],
)
def test_defaults_round_trip(text: str) -> None:
    schema = parse_schema(text)
    again = parse_schema(str(schema))
    assert again == schema
    assert str(again) == str(schema)
    for left, right in zip(schema.parameters, again.parameters, strict=True):
        assert type(left.default) is type(right.default)


# A3
def test_the_namespace_of_all_namespaces_takes_no_operators() -> None:
    for refuse in (
        lambda: custom_op("_::f", noop, mutates_args=()),
        lambda: Library("_", "DEF"),
        lambda: Library("_", "FRAGMENT"),
    ):
        with pytest.raises(ValueError, match="'_' is a reserved namespace"):
            refuse()
    Library("_", "IMPL").destroy()


# A8
@pytest.mark.parametrize("tags", [None, 3, "inplace", ["inplace"], [Tag.inplace, None]])
def test_what_is_no_tag(ns: str, tags: object) -> None:
    with pytest.raises(ValueError, match=r"tags= takes gpuops.Tag members .*, got"):
        custom_op(f"{ns}::f", noop, mutates_args=(), tags=tags)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"tags= takes gpuops.Tag members .*, got"):
        define(f"{ns}::f", "(Array x) -> Array", tags=tags)  # type: ignore[arg-type]
    assert not gpuops.operators(ns)


# A4, A6, A8
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"schema": "(Arry x) -> Array"}, "unknown type specifier 'Arry'"),
        ({"schema": "(Array x) ->"}, "expected a type, got 'the end of the schema'"),
        ({"tags": "inplace"}, "tags= takes gpuops.Tag members"),
        ({"tags": [Tag.inplace, Tag.out]}, "Tag.inplace and Tag.out are mutually exclusive"),
        ({"signature": "(n)"}, r"gufunc signature '\(n\)': expected exactly one '->'"),
    ],
)
def test_a_declaration_that_is_refused_is_named(ns: str, wrong: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"{ns}::f.*: {message}"):
        custom_op(f"{ns}::f", noop, mutates_args=(), **wrong)
    schema = wrong.get("schema", "(Array x) -> Array")
    if "signature" not in wrong:
        with pytest.raises(ValueError, match=rf"{ns}::f.*: {message}"):
            define(f"{ns}::f", schema, tags=wrong.get("tags", ()))
    if "schema" in wrong:
        library = Library(ns, "FRAGMENT")
        with pytest.raises(ValueError, match=rf"Library\('{ns}'.*made at .*: {message}"):
            library.define(f"f{schema}")
    assert not gpuops.operators(ns)


# B7
def test_numpys_generator_is_a_type_whether_or_not_it_was_used() -> None:
    import subprocess
    import sys

    code = "import gpuops; print(gpuops.parse_schema('(Array x, Generator g) -> Array'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(Array x, Generator g) -> Array\n"


def test_parameter_names_that_python_cannot_bind() -> None:
    for name in ("lambda", "None", "__debug__"):
        with pytest.raises(ValueError, match=f"'{name}' cannot be a parameter name"):
            parse_schema(f"(Array {name}) -> Array")


def test_every_error_is_a_gpuops_error_and_the_built_in_one_that_is_expected() -> None:
    from gpuops import errors

    for name in errors.__all__:
        cls = getattr(errors, name)
        if isinstance(cls, type) and issubclass(cls, Exception) and cls is not gpuops.GpuopsError:
            # A warning is no error, unless somebody makes it one.
            assert issubclass(cls, gpuops.GpuopsError | Warning)
            plain = (object, BaseException, Exception)
            builtin = [b for b in cls.__mro__ if b.__module__ == "builtins" and b not in plain]
            assert builtin, name
            assert getattr(gpuops, name) is cls
    for attempt, built_in in (
        (lambda: parse_schema(3), TypeError),  # type: ignore[arg-type]
        (lambda: define(3, "(Array x) -> Array"), TypeError),  # type: ignore[arg-type]
        (lambda: gpuops.infer_schema(3, mutates_args=()), TypeError),  # type: ignore[arg-type]
        (lambda: gpuops.register_opaque_type(3, typ="value"), TypeError),  # type: ignore[arg-type]
        (lambda: gpuops.Device("tpu"), ValueError),
    ):
        with pytest.raises(gpuops.GpuopsError) as caught:
            attempt()
        assert isinstance(caught.value, built_in)
