"""Symbolic sizes: arithmetic against Python's ints, bounds, conditions, and errors."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import gpuops
from gpuops import (
    Array,
    DynamicShapeError,
    FakeArray,
    FakeMode,
    ShapeError,
    UnknownSizeError,
    custom_op,
    get_ctx,
)
from gpuops.errors import ArgumentError, GraphError
from gpuops.symbols import (
    ShapeEnv,
    SymBool,
    SymInt,
    broadcast_shapes,
    known_equal,
    product,
    require_equal,
    sym_max,
    sym_min,
)
from gpuops.symbols.algebra import parse, text

BINARY = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "max": lambda a, b: sym_max(a, b),
    "min": lambda a, b: sym_min(a, b),
}

# Expressions as trees: a symbol's number, an int, or an operation.
TREES = st.recursive(
    st.one_of(st.sampled_from(["a", "b"]), st.integers(-3, 8)),
    lambda inner: st.tuples(st.sampled_from(sorted(BINARY)), inner, inner),
    max_leaves=6,
)


def compute(tree: Any, values: dict[str, Any]) -> Any:
    if isinstance(tree, str):
        return values[tree]
    if isinstance(tree, int):
        return tree
    name, left, right = tree
    return BINARY[name](compute(left, values), compute(right, values))


def number(size: Any, env: ShapeEnv, a: int, b: int) -> int:
    """The value of a size for given values of the two symbols of `env`."""
    if not isinstance(size, SymInt):
        return size
    values = dict(zip(env.symbols, (a, b), strict=True))
    return int(size.expr.subs(values))


@settings(max_examples=150, deadline=None)
@given(TREES, st.integers(0, 9), st.integers(1, 9))
def test_arithmetic_is_that_of_ints(tree: Any, a: int, b: int) -> None:
    env = ShapeEnv()
    symbols = {"a": env.new_dynamic(), "b": env.new_dynamic(low=1)}
    try:
        expected = compute(tree, {"a": a, "b": b})
        found = compute(tree, symbols)
    except (ZeroDivisionError, RecursionError):
        assume(False)
    assert number(found, env, a, b) == expected
    if isinstance(found, SymInt):
        # Its text is Python with the same value, and can be read back.
        assert eval(str(found), {"u0": a, "u1": b, "max": max, "min": min}) == expected
        names = {symbol.name: expr for expr, symbol in env.symbols.items()}
        again = env.wrap(parse(str(found), names))
        assert number(again, env, a, b) == expected


COMPARE = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
COMPARISONS = st.tuples(st.sampled_from(sorted(COMPARE)), TREES, TREES)


def holds(comparison: Any, values: dict[str, int]) -> bool:
    kind, left, right = comparison
    try:
        return bool(COMPARE[kind](compute(left, values), compute(right, values)))
    except ZeroDivisionError:
        return False


@settings(max_examples=150, deadline=None)
@given(st.lists(COMPARISONS, min_size=1, max_size=3), COMPARISONS)
def test_what_is_required_is_used_rightly(required: Any, asked: Any) -> None:
    """Whatever follows from recorded conditions holds for all values that meet them."""
    env = ShapeEnv()
    symbols = {"a": env.new_dynamic(high=5), "b": env.new_dynamic(low=1, high=4)}
    every = [{"a": a, "b": b} for a in range(6) for b in range(1, 5)]
    for comparison in required:
        every = [values for values in every if holds(comparison, values)]
        kind, left, right = comparison
        try:
            condition = COMPARE[kind](compute(left, symbols), compute(right, symbols))
            env.require(condition, "required")
        except ZeroDivisionError:
            assume(False)
        except ShapeError:
            assert not every
            return
    kind, left, right = asked
    try:
        decided = COMPARE[kind](compute(left, symbols), compute(right, symbols))
    except ZeroDivisionError:
        assume(False)
    if isinstance(decided, SymBool):
        return
    for values in every:
        try:
            truth = COMPARE[kind](compute(left, values), compute(right, values))
        except ZeroDivisionError:
            continue
        assert truth == decided


@settings(max_examples=150, deadline=None)
@given(TREES, TREES, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
def test_what_bounds_decide_is_right_for_every_value(left: Any, right: Any, kind: str) -> None:
    compare = COMPARE[kind]
    env = ShapeEnv()
    symbols = {"a": env.new_dynamic(high=5), "b": env.new_dynamic(low=1, high=4)}
    try:
        decided = compare(compute(left, symbols), compute(right, symbols))
    except ZeroDivisionError:
        assume(False)
    if isinstance(decided, SymBool):
        return
    for a in range(6):
        for b in range(1, 5):
            try:
                values = {"a": a, "b": b}
                truth = compare(compute(left, values), compute(right, values))
            except ZeroDivisionError:
                continue
            assert truth == decided


@pytest.mark.parametrize(
    ("compare", "expected"),
    [
        (lambda s: s >= 2, True),
        (lambda s: s < 2, False),
        (lambda s: s == 0, False),
        (lambda s: s != 1, True),
        (lambda s: s > 9, False),
        (lambda s: s <= 9, True),
        (lambda s: s * 2 + 1 > s, True),
        (lambda s: s // 2 <= s, True),
        (lambda s: (s + 1) // 2 <= s, True),
        (lambda s: s % 4 < 4, True),
        (lambda s: 2 * s + 1 == 2 * s, False),
        (lambda s: 2 * s == 7, False),
        (lambda s: s - s == 0, True),
        (lambda s: s * 4 // 4 == s, True),
        (lambda s: sym_max(s, 1) == s, True),
        (lambda s: sym_min(s, 100) == s, True),
        (lambda s: s < 2.5 - 1, False),
        (lambda s: s >= 1.5, True),
        (lambda s: s == 2.5, False),
        (lambda s: s < math.inf, True),
        (lambda s: s > -math.inf, True),
        (lambda s: s == math.nan, False),
        (lambda s: s < 10.5, True),
        (lambda s: s == "two", False),
    ],
)
def test_bounds_decide_what_they_can(compare: Any, expected: bool) -> None:  # Q4
    assert compare(ShapeEnv().new_dynamic(low=2, high=9)) is expected


def test_sizes_are_ints_in_all_else() -> None:
    s = ShapeEnv().new_dynamic(low=1)
    assert str(s * 2 + 1) == "2*u0 + 1" and f"{s:>4}" == "  u0"
    assert divmod(s * 4, 2)[1] == 0 and divmod(7, s)[0] is not None
    assert str(-s) == "-u0" and +s is s and abs(s) is s and round(s) is s
    assert math.floor(s) is s and math.ceil(s) is s and math.trunc(s) is s
    assert str(s << 2) == "4*u0" and str((s * 8) >> 1) == "4*u0"
    assert str(s & 7) == "((u0) % (8))" and str((s + 3) & -4) == str((s + 3) // 4 * 4)
    assert str(s**2) == "u0**2" and str(2**s) == "2**u0"
    assert str(product((2, s, s))) == "2*u0**2" and str(sum((s, s, 1))) == "2*u0 + 1"
    assert math.prod((s, 3)) == s * 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(s)
    with pytest.raises(ZeroDivisionError, match="divided by 0"):
        s // 0
    with pytest.raises(TypeError, match="unsupported operand"):
        s + "a"
    with pytest.raises(ArgumentError, match="has no constructor"):
        SymInt(3)
    with pytest.raises(ArgumentError, match="come from different modes"):
        s + ShapeEnv().new_dynamic()


def test_an_unknown_size_cannot_be_branched_on(ns: str) -> None:  # Q4
    size = dynamic_output(ns).shape[0]
    with pytest.raises(UnknownSizeError) as caught:
        _ = 1 if size < 7 else 2  # the author's line
    message = str(caught.value)
    assert message.startswith("the program branches on u0 < 7, which depends on u0 (at least 0; ")
    assert f"axis 0 of the output of {ns}::pick, made in the fake of {ns}::pick" in message
    assert "test_symbols.py" in message
    assert "`_ = 1 if size < 7 else 2  # the author's line`" in message
    for needs in (int, float, bool, range, lambda s: [1, 2][s], lambda s: s / 2, lambda s: s * 0.5):
        with pytest.raises(UnknownSizeError, match="u0"):
            needs(size)
    with pytest.raises(UnknownSizeError, match="Use sym_max and sym_min"):
        max(size, 1)


def dynamic_output(ns: str, **bounds: int) -> FakeArray:
    """The fake output, of a size that depends on data, of a new operator ``pick``."""

    @custom_op(f"{ns}::pick", mutates_args=())
    def pick(x: Array) -> Array:
        return x[x > 0]

    @pick.register_fake
    def _(x: Any) -> Any:
        return x.new_empty((get_ctx().new_dynamic_size(**bounds),))

    out: FakeArray = pick(FakeMode().from_array(np.zeros(5)))
    return out


def test_a_dynamic_size_is_kept_in_shapes(ns: str) -> None:  # Q1
    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array) -> Array:
        return x

    @f.register_fake
    def _(x: Any) -> Any:
        size = get_ctx().new_dynamic_size()
        return x.new_empty((size, size * 2 + 1, size))

    out = f(FakeMode().from_array(np.zeros(3)))
    assert str(out.shape) == "(u0, 2*u0 + 1, u0)"
    assert out.shape[0] is out.shape[2] and out.shape[1] == out.shape[0] * 2 + 1
    assert str(out.strides) == "(16*u0**2 + 8*u0, 8*u0, 8)" and out.flags.c_contiguous
    assert str(f(out).shape) == "(u1, 2*u1 + 1, u1)"


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"min": -1}, "min must be greater than or equal to 0, got -1"),
        ({"min": 3, "max": 2}, "got min=3, max=2"),
        ({"max": True}, "max must be an int, got True"),
        ({"min": "s"}, "min must be a number, got the SymInt u0"),
        ({"max": "s"}, "max must be a number, got the SymInt u0"),
    ],
)
def test_bad_bounds_are_value_errors(ns: str, bounds: dict[str, Any], message: str) -> None:  # Q2
    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array) -> Array:
        return x

    @f.register_fake
    def _(x: Any) -> Any:
        ctx = get_ctx()
        symbol = ctx.new_dynamic_size()
        given = {name: symbol if value == "s" else value for name, value in bounds.items()}
        return x.new_empty((ctx.new_dynamic_size(**given),))

    with pytest.raises(ValueError, match=message) as caught:
        f(FakeMode().from_array(np.zeros(3)))
    assert isinstance(caught.value, ShapeError)


@pytest.mark.parametrize("mode", [None, FakeMode(shape_env=None)], ids=["no mode", "no env"])
def test_without_a_shape_env_there_are_no_dynamic_sizes(ns: str, mode: Any) -> None:  # Q3, Q5
    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array) -> Array:
        return x

    f.register_fake(lambda x: x.new_empty((get_ctx().new_dynamic_size(),)))
    fake = FakeArray((3,)) if mode is None else mode.from_array(np.zeros(3))
    with pytest.raises(DynamicShapeError, match=rf"{ns}::f has a data-dependent shape") as caught:
        f(fake)
    assert isinstance(caught.value, RuntimeError) and "dynamic output shape" in str(caught.value)


def test_a_branch_on_an_input_size_is_taken_and_recorded() -> None:
    env = ShapeEnv()
    s, t = env.new_input(4, origin="x.shape[0]"), env.new_input(4, origin="y.shape[0]")
    assert s > 2
    assert s > 1  # decided by the condition before
    assert s == t
    assert int(t * 2) == 8
    assert [str(c) for c in env.conditions] == ["2 < s0", "s0 == s1", "2*s1 == 8"]
    assert [c.location.file for c in env.conditions] == [__file__] * 3
    assert (s == 4) is True and s + t == 8
    assert env.hint(s) == 4


def test_a_wrong_branch_on_input_sizes_is_recorded_as_its_negation() -> None:
    env = ShapeEnv()
    s = env.new_input(4, origin="x.shape[0]")
    assert not s > 5 and s != 7 and s != 1
    assert [str(c) for c in env.conditions] == ["s0 <= 5", "s0 != 1"]
    # 7 is above 5: that it is another was known.
    assert (s == 6) is False


def test_checks_record_conditions(ns: str) -> None:
    env_of: list[ShapeEnv] = []

    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array, y: Array) -> Array:
        return x

    @f.register_fake
    def _(x: Any, y: Any) -> Any:
        ctx = get_ctx()
        env_of.append(ctx.mode.shape_env)
        ctx.check(x.shape[0] <= 8, "at most 8 rows")
        size = ctx.check_equal(x.shape[0], y.shape[0], "rows")
        return x.new_empty((size,))

    mode = FakeMode()
    env = mode.shape_env
    assert env is not None
    with mode:
        a, b = FakeArray((env.new_dynamic(),)), FakeArray((env.new_dynamic(),))
        out = f(a, b)
        assert out.shape[0] is a.shape[0]
        assert [str(c) for c in env.conditions] == ["u0 <= 8", "u0 == u1"]
        assert [c.message for c in env.conditions] == [
            f"{ns}::f: at most 8 rows", f"{ns}::f: rows",
        ]  # fmt: skip
        assert (a.shape[0] == b.shape[0]) is True and (b.shape[0] <= 8) is True
        assert f(FakeArray((3,)), FakeArray((3,))).shape == (3,)
        with pytest.raises(ShapeError, match=rf"{ns}::f: at most 8 rows"):
            f(FakeArray((9,)), FakeArray((9,)))
        with pytest.raises(ShapeError, match=rf"{ns}::f: rows: 3 and 4"):
            f(FakeArray((3,)), FakeArray((4,)))
        big = FakeArray((env.new_dynamic(low=9),))
        with pytest.raises(ShapeError, match="at most 8 rows"):
            f(big, big)
    assert len(env.conditions) == 2


def test_equalities_are_used_afterwards() -> None:
    env = ShapeEnv()
    a, b, c = (env.new_dynamic() for _ in range(3))
    env.require(a == b, "")
    env.require(b * 2 == c, "")
    env.require(a >= 3, "")
    assert a == b and c == a * 2
    assert (c >= 6) is True and (b < 3) is False
    env.require(c == 8, "")
    assert int(a) == 4 and int(c) == 8
    with pytest.raises(ShapeError, match="no"):
        env.require(a == 5, "no")


def test_broadcasting_with_symbols() -> None:
    env = ShapeEnv()
    u, v = env.new_dynamic(), env.new_dynamic()
    assert broadcast_shapes((u, 1), (3,)) == (u, 3)
    assert broadcast_shapes((1,), (u,))[0] is u
    assert not env.conditions
    assert broadcast_shapes((u,), (v,))[0] is u
    assert broadcast_shapes((v,), (5,)) == (5,)
    assert [str(c) for c in env.conditions] == ["u0 == u1", "u1 == 5"]
    with pytest.raises(ShapeError, match=r"cannot be broadcast together: \(u0\) \(4\)"):
        broadcast_shapes((u,), (4,))


def test_broadcasting_with_input_sizes_follows_the_inputs() -> None:
    env = ShapeEnv()
    s, one, other = (env.new_input(n, origin="x") for n in (4, 1, 4))
    assert broadcast_shapes((s,), (one,))[0] is s
    assert broadcast_shapes((one,), (s,))[0] is s
    assert broadcast_shapes((s,), (other,))[0] is s
    assert [str(c) for c in env.conditions] == ["s1 == 1", "s0 == s2"]
    with pytest.raises(ShapeError, match="cannot be broadcast"):
        broadcast_shapes((s,), (3,))


def test_known_equal_never_records() -> None:
    env = ShapeEnv()
    u, v = env.new_dynamic(), env.new_input(3, origin="x")
    assert known_equal(u * 2, u + u) and not known_equal(u, v) and not known_equal(v, 3)
    assert not env.conditions
    assert require_equal(v, 3, "v") == 3 and require_equal(3, v, "v") == 3


def test_sizes_pass_as_int_arguments(ns: str) -> None:  # Q6
    seen = []

    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array, n: int, shape: list[int], s: gpuops.Scalar) -> Array:
        return x

    @f.register_fake
    def _(x: Any, n: Any, shape: Any, s: Any) -> Any:
        seen.append((n, s))
        return x.new_empty(shape)

    out = dynamic_output(ns)
    size = out.shape[0]
    result = f(out, size, [size * 2, 3], size)
    assert seen[0][0] is size and seen[0][1] is size
    assert str(result.shape) == "(2*u0, 3)"
    with pytest.raises(UnknownSizeError, match="the program needs the number that u0 is"):
        f(np.zeros(3), size, [1], 1)


def test_symint_is_a_type_hint() -> None:  # Q6
    def f(x: Array, n: SymInt, shape: list[SymInt], m: SymInt | None = None) -> SymInt: ...

    found = gpuops.infer_schema(f, mutates_args=())
    assert found == "(Array x, SymInt n, SymInt[] shape, SymInt? m=None) -> SymInt"


def test_numpys_numbers_go_with_sizes() -> None:
    s = ShapeEnv().new_dynamic(low=1)
    assert str(np.int64(2) * s) == "2*u0" and str(s + np.int64(2)) == "u0 + 2"
    assert (np.int64(0) < s) is True and (np.int64(0) == s) is False


def test_the_authors_line_is_not_one_of_numpys() -> None:
    s = ShapeEnv().new_dynamic()
    with pytest.raises(UnknownSizeError, match=r"at .*test_symbols.py:\d+: `np.full\(s, 1.0\)`"):
        np.full(s, 1.0)


def test_an_input_size_given_to_a_real_kernel_becomes_its_number(ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array, n: int, shape: list[int]) -> Array:
        assert type(n) is int and type(shape[0]) is int
        return np.full(shape, n)

    env = ShapeEnv()
    s = env.new_input(4, origin="x.shape[0]")
    assert f(np.zeros(3), s, [s, 2]).tolist() == [[4, 4]] * 4
    assert [str(c) for c in env.conditions] == ["s0 == 4"]


def test_expressions_of_sizes_are_read_and_nothing_else() -> None:
    env = ShapeEnv()
    env.new_dynamic()
    names = {"u0": next(iter(env.symbols))}
    assert text(parse("max(u0 // 2, 3) % 5 - -1", names)) == "((max(((u0) // (2)), 3)) % (5)) + 1"
    for bad in ("__import__('os')", "u1", "u0.real", "[u0]", "u0 / 2", "1.5", "u0 +", "abs(u0)"):
        with pytest.raises(GraphError, match="is no expression of sizes"):
            parse(bad, names)


def test_sympy_is_loaded_at_first_use() -> None:
    import subprocess
    import sys

    code = (
        "import sys, gpuops, gpuops.transforms.fake as f; gpuops.FakeArray((3,)).strides;"
        "assert 'sympy' not in sys.modules; f.FakeMode().shape_env.new_dynamic();"
        "assert 'sympy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_sympy_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from gpuops.symbols import _sympy

    _sympy.sympy.cache_clear()
    monkeypatch.setitem(sys.modules, "sympy", None)
    with pytest.raises(ImportError, match=r"need SymPy: pip install 'gpuops\[symbolic\]'"):
        ShapeEnv().new_dynamic()
    monkeypatch.undo()
    assert str(ShapeEnv().new_dynamic()) == "u0"
