"""Numbers that are no ints and depend on data: `SymFloat`, `SymComplex`, `SymFlag`."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import gpuops
from gpuops import FakeMode, get_ctx, trace, xp
from gpuops.symbols import SymComplex, SymFlag, SymFloat, SymInt


@pytest.fixture(scope="module")
def ops():
    with gpuops.Library("fake_numbers", "FRAGMENT") as library:

        def define(schema, kernel, fake):
            name = schema.partition("(")[0]
            library.define(schema)
            library.impl(name, kernel, "cpu")
            library.register_fake(name, fake)

        for kind, returned in (
            (float, "float"),
            (complex, "complex"),
            (bool, "bool"),
            (int, "int"),
        ):
            define(
                f"{returned}_of(Array x) -> {returned}",
                lambda x, kind=kind: kind(x.sum()),
                lambda x, kind=kind: get_ctx().new_dynamic_number(kind),
            )
            define(
                f"take_{returned}(Array x, {returned} n, {returned}[] more=[]) -> Array",
                lambda x, n, more: x * n + sum(more),
                lambda x, n, more: x.new_empty(x.shape, np.result_type(x.dtype, type_of(n))),
            )
        define("scalar_of(Array x) -> Scalar", lambda x: float(x.sum()),
               lambda x: get_ctx().new_dynamic_number())  # fmt: skip
        yield gpuops.ops.fake_numbers


def type_of(number):
    return getattr(number, "type", int if type(number) is SymInt else type(number))


@pytest.mark.parametrize(
    ("name", "cls"), [("float", SymFloat), ("complex", SymComplex), ("bool", SymFlag)]
)
def test_a_fake_may_return_a_number_that_nobody_knows(ops, name, cls):
    with FakeMode() as mode:
        x = mode.from_array(np.ones(3))
        number = getattr(ops, f"{name}_of")(x)
        assert type(number) is cls and number.kind == name and copy.deepcopy(number) is number
        assert getattr(ops, f"take_{name}")(x, number, [number, number]).shape == (3,)
        assert type(ops.int_of(x)) is SymInt and type(ops.scalar_of(x)) is SymFloat
        assert (x * number).dtype == np.result_type(np.float64, cls.type)


@pytest.mark.parametrize(
    "use",
    [
        lambda n: n + 1,
        lambda n: 2.0 * n,
        lambda n: -n,
        lambda n: n > 0,
        lambda n: n == n,
        lambda n: float(n),
        lambda n: complex(n),
        lambda n: int(n),
        lambda n: 1 if n else 2,
        lambda n: xp.arange(n),
        lambda n: np.float64(2) * n,
    ],
)
def test_needing_its_value_is_an_error_that_says_where(ops, use):
    with FakeMode() as mode:
        number = ops.float_of(mode.from_array(np.ones(3)))
        with pytest.raises(gpuops.errors.UnknownSizeError) as caught:
            use(number)
    text = str(caught.value)
    assert "needs the float that f0 (a float; a number that fake_numbers::float_of" in text
    assert "test_numbers.py" in text and "0-d array" in text


def test_a_number_of_the_wrong_type_is_refused(ops):
    with FakeMode() as mode:
        x = mode.from_array(np.ones(3))
        with pytest.raises(gpuops.ArgumentError, match=r"take_float.*'n'"):
            ops.take_float(x, ops.complex_of(x))
        with pytest.raises(gpuops.ArgumentError, match="new_dynamic_number: kind must be float"):
            _call_fake(lambda x: get_ctx().new_dynamic_number(str))
    with pytest.raises(gpuops.errors.UnknownSizeError):
        ops.take_float(np.ones(3), ops.float_of(FakeMode().from_array(np.ones(3))))
    with pytest.raises(gpuops.ArgumentError, match="has no constructor"):
        SymFloat()


def _call_fake(fake):
    with gpuops.Library("fake_numbers_once", "DEF") as library:
        library.define("f(Array x) -> float")
        library.register_fake("f", fake)
        return gpuops.ops.fake_numbers_once.f(FakeMode().from_array(np.ones(2)))


def test_a_fake_that_returns_another_kind_is_refused():
    with pytest.raises(gpuops.ReturnError, match="its output is declared as float"):
        _call_fake(lambda x: get_ctx().new_dynamic_number(complex))


@pytest.mark.parametrize("mode", ["fake", "symbolic"])
def test_a_graph_hands_it_on(ops, mode):
    def fn(x):
        n = ops.float_of(x)
        return ops.take_float(x, n) + n, xp.full((2,), n), n, ops.bool_of(x)

    x = np.arange(3.0)
    graph = trace(fn, mode)(x)
    again = type(graph).from_text(graph.to_text())
    data = np.array([5.0, 1, 2])
    for made in (graph, again):
        for got, wanted in zip(made(data), fn(data), strict=True):
            np.testing.assert_array_equal(got, wanted)
    assert "take_float = ops.fake_numbers.take_float(x, float_of, [])" in graph.code
    assert "# float;" in graph.print_readable(print_output=False)
    names = dict(gpuops=gpuops, **graph.objects)
    exec(graph.code, names)
    np.testing.assert_array_equal(names["forward"](data)[0], fn(data)[0])


def test_a_number_of_another_tracing_is_refused(ops):
    kept = []
    trace(lambda x: kept.append(ops.float_of(x)), "fake")(np.ones(2))
    with pytest.raises(gpuops.TraceError, match="which no call in the graph returned"):
        trace(lambda x: ops.take_float(x, kept[0]), "fake")(np.ones(2))
    with pytest.raises(gpuops.TraceError, match="which no call in the graph returned"):
        trace(lambda x: kept[0], "fake")(np.ones(2))
