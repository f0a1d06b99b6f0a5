"""`register_autograd`: what a formula gets, what it may return, what is refused (behaviours R)."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import (
    Array,
    DiffArray,
    GradientError,
    Library,
    NoGradientError,
    RegistrationError,
    UsageError,
    grad,
    vjp,
    xp,
)
from gpuops.transforms.autograd.writes import LARGEST

X = np.array([1.0, 2.0, 3.0])


class Handle(gpuops.OpaqueBase):
    def __init__(self, factor: float) -> None:
        self.factor = factor


gpuops.register_opaque_type(Handle, "test_autograd.Handle", typ="reference")


def make_square(ns: str, **rules: Any) -> Any:
    @gpuops.custom_op(f"{ns}::square", mutates_args=())
    def square(x: Array) -> Array:
        return np.multiply(x, x, out=np.empty_like(x))

    if rules:
        square.register_autograd(rules.pop("backward"), **rules)
    return square


def keep_inputs(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs)


def square_backward(ctx: Any, g: Any) -> Any:
    (x,) = ctx.saved_arrays
    return g * 2 * x


def total(function: Any) -> Any:
    return lambda *args: xp.sum(function(*args))


# R1
@pytest.mark.parametrize("way", ["object", "qualname", "overload", "method", "library", "lib="])
def test_ways_to_register(ns: str, way: str) -> None:
    square = make_square(ns)
    rules = {"setup_context": keep_inputs}
    if way == "object":
        gpuops.register_autograd(square, square_backward, **rules)
    elif way == "qualname":
        gpuops.register_autograd(f"{ns}::square", square_backward, **rules)
    elif way == "overload":
        gpuops.register_autograd(square.default, square_backward, **rules)
    elif way == "method":
        assert square.register_autograd(square_backward, **rules) is square_backward
    with Library(ns, "FRAGMENT") as lib:
        if way == "library":
            lib.register_autograd("square", square_backward, **rules)
        elif way == "lib=":
            gpuops.register_autograd(square, square_backward, lib=lib, **rules)
        np.testing.assert_array_equal(grad(total(square))(X), 2 * X)
    if way in ("library", "lib="):
        # It went with the library.
        with pytest.raises(NoGradientError):
            grad(total(square))(X)


# R1: low level, and any attribute of ctx.
def test_low_level_operator_and_attributes(ns: str) -> None:
    with Library(ns, "DEF") as lib:
        lib.define("scale(Array x, float s) -> Array")
        lib.impl("scale", lambda x, s: x * s)

        def setup(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.s = inputs[1]
            ctx._pt_metadata = {"anything": object()}
            ctx.needs = ctx.needs_input_grad

        def backward(ctx: Any, g: Any) -> Any:
            assert set(ctx._pt_metadata) == {"anything"}
            assert ctx.needs == (True, False)
            return g * ctx.s, None

        lib.register_autograd("scale", backward, setup_context=setup)
        scale = getattr(gpuops.ops, ns).scale
        np.testing.assert_array_equal(grad(lambda x: xp.sum(scale(x, 3.0)))(X), [3, 3, 3])


# R1
@pytest.mark.parametrize(
    "name",
    ["free", "kept", "saved", "operator", "_saved", "_time", "_operator", "_constants", "inputs"],
)
def test_any_attribute_may_be_set(ns: str, name: str) -> None:
    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        keep_inputs(ctx, inputs, output)
        setattr(ctx, name, "mine")

    def backward(ctx: Any, g: Any) -> Any:
        assert getattr(ctx, name) == "mine"
        return square_backward(ctx, g)

    square = make_square(ns, backward=backward, setup_context=setup)
    np.testing.assert_array_equal(grad(total(square))(X), 2 * X)


# R2
def test_without_a_formula_forward_works_and_backward_says_what_to_register(ns: str) -> None:
    square = make_square(ns)
    seen = []

    def f(x: Any) -> Any:
        out = square(x)
        seen.append(out)
        return xp.sum(out)

    with pytest.raises(NoGradientError) as caught:
        grad(f)(X)
    assert type(seen[0]) is DiffArray
    assert seen[0].requires_grad
    np.testing.assert_array_equal(seen[0].value, X * X)
    text = str(caught.value)
    assert f"{ns}::square: no autograd formula was registered" in text
    assert f"gpuops.register_autograd('{ns}::square', backward" in text
    assert "'x'" in text
    assert f"{__file__}:" in text
    # What does not depend on the result needs no formula.
    np.testing.assert_array_equal(
        grad(lambda x: xp.sum(x) + 0 * xp.sum(gpuops.stop_gradient(square(x))))(X), 1
    )


# R3
def test_setup_is_called_once_and_only_if_a_gradient_is_needed(ns: str) -> None:
    calls = []

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        calls.append(inputs)
        ctx.save_for_backward(*inputs)

    square = make_square(ns, backward=square_backward, setup_context=setup)
    square(X)
    assert calls == []

    def silent(x: Any) -> Any:
        with gpuops.no_grad():
            out = square(x)
            assert type(out) is np.ndarray
        return xp.sum(x) + xp.sum(out)

    np.testing.assert_array_equal(grad(silent)(X), [1, 1, 1])
    assert calls == []
    # An array that no gradient is computed for.
    grad(lambda x: xp.sum(x) + xp.sum(square(X)))(X)
    assert calls == []
    grad(total(square))(X)
    assert len(calls) == 1
    assert type(calls[0]) is tuple
    assert calls[0][0] is X


def test_no_grad_silences_only_what_began_outside(ns: str) -> None:
    square = make_square(ns, backward=square_backward, setup_context=keep_inputs)

    def f(x: Any) -> Any:
        with gpuops.no_grad():
            inner = grad(total(square))(x)
        assert type(inner) is np.ndarray
        return xp.sum(inner * x)

    np.testing.assert_array_equal(grad(f)(X), 2 * X)


# R4, R5
def test_keyword_only_inputs_and_defaults(ns: str) -> None:
    seen: dict[str, Any] = {}

    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array, scale: float = 2.0, *, offset: float, power: int = 1) -> Array:
        return (x * scale) ** power + offset

    def setup(ctx: Any, inputs: Any, keyword_only_inputs: Any, output: Any) -> None:
        seen.update(inputs=inputs, keywords=dict(keyword_only_inputs), output=output)
        ctx.needs = ctx.needs_input_grad

    def backward(ctx: Any, g: Any) -> Any:
        seen["needs"] = ctx.needs
        return g * 2.0, None

    f.register_autograd(backward, setup_context=setup)
    np.testing.assert_array_equal(grad(lambda x: xp.sum(f(x, offset=1.0)))(X), [2, 2, 2])
    assert seen["inputs"][1:] == (2.0,)
    assert seen["inputs"][0] is X
    assert seen["keywords"] == {"offset": 1.0, "power": 1}
    assert type(seen["output"]) is np.ndarray
    # R9
    assert seen["needs"] == (True, False)


# R6: torch refuses keyword-only arrays; here they are differentiable.
def test_keyword_only_arrays(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array, *, y: Array, z: Array | None = None, more: list[Array]) -> Array:
        return x * y + sum(more) + (0 if z is None else z)

    def setup(ctx: Any, inputs: Any, keyword_only_inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0], keyword_only_inputs["y"])
        ctx.given = keyword_only_inputs["z"] is not None

    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_arrays
        needs.append(ctx.needs_input_grad)
        more = [g if needed else None for needed in ctx.needs_input_grad[3]]
        return g * y, g * x, g if ctx.given else None, more

    needs: list[Any] = []
    f.register_autograd(backward, setup_context=setup)
    y = np.array([4.0, 5.0, 6.0])
    found = grad(lambda x, y, m: xp.sum(f(x, y=y, more=[m, X])), argnums=(0, 1, 2))(X, y, X)
    for got, expected in zip(found, (y, X, np.ones(3)), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert needs == [(True, True, False, [True, False])]
    np.testing.assert_array_equal(grad(lambda z: xp.sum(f(X, y=y, z=z, more=[X])))(X), [1, 1, 1])
    f.register_autograd(lambda ctx, g: g)
    with pytest.raises(GradientError, match=r"expected 4, .*\(x, y, z, more\), got 1"):
        grad(lambda y: xp.sum(f(X, y=y, more=[X])))(X)


# R7
@pytest.mark.parametrize(("returned", "got"), [(1, 1), (3, 3)])
def test_wrong_number_of_gradients(ns: str, returned: int, got: int) -> None:
    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array, y: Array) -> Array:
        return x + y

    f.register_autograd(lambda ctx, g: (g,) * returned)
    with pytest.raises(GradientError) as caught:
        grad(lambda x: xp.sum(f(x, X)))(X)
    text = str(caught.value)
    assert f"{ns}::f" in text
    assert (
        f"incorrect number of gradients: expected 2, one for each input (x, y), got {got}" in text
    )
    assert "test_register_autograd.py:" in text


# R7, R8: defaults that were left out.
@pytest.mark.parametrize("number", [1, 2, 3])
def test_gradients_of_defaults_may_be_left_out(ns: str, number: int) -> None:
    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array, a: float = 1.5, b: int = 2) -> Array:
        return x * a * b

    seen = []

    def backward(ctx: Any, g: Any) -> Any:
        seen.append(ctx.needs_input_grad)
        return (g * 3.0, None, None)[:number]

    f.register_autograd(backward)
    np.testing.assert_array_equal(grad(lambda x: xp.sum(f(x)))(X), [3, 3, 3])
    # R9
    assert seen == [(True, False, False)]
    if number < 3:
        with pytest.raises(GradientError, match=f"expected 3, .* got {number}"):
            grad(lambda x: xp.sum(f(x, 1.0, 7)))(X)


# R10, R21
def test_list_inputs(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(xs: list[Array], ys: list[Array | None]) -> Array:
        return sum(xs[1:], xs[0]) + sum((y for y in ys if y is not None), 0 * xs[0])

    seen = []

    def backward(ctx: Any, g: Any) -> Any:
        seen.append(ctx.needs_input_grad)
        return [g * 2, None], [None, g * 3]

    f.register_autograd(backward)
    x, y = X.copy(), X.copy()
    gx, gy = grad(lambda x, y: xp.sum(f([x, X], [None, y])), argnums=(0, 1))(x, y)
    np.testing.assert_array_equal(gx, [2, 2, 2])
    np.testing.assert_array_equal(gy, [3, 3, 3])
    assert seen == [([True, False], [False, True])]


# R11
@pytest.mark.parametrize("returned", ["short", "tuple", "none", "array"])
def test_list_gradients_of_the_wrong_structure(ns: str, returned: str) -> None:
    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(xs: list[Array], s: float) -> Array:
        return (xs[0] + xs[1]) * s

    def backward(ctx: Any, g: Any) -> Any:
        return {"short": [g], "tuple": (g, g), "none": None, "array": g}[returned], None

    f.register_autograd(backward)
    expected = (
        r"Expected the return from backward to be of the same structure as the inputs: the "
        r"gradient of 'xs' must be a list of length 2"
    )
    with pytest.raises(GradientError, match=expected) as caught:
        grad(lambda x: xp.sum(f([x, X], 1.0)))(X)
    assert f"{ns}::f" in str(caught.value)


# R12, R18
def test_list_outputs_and_outputs_that_are_no_arrays(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::split", mutates_args=())
    def split(x: Array, at: int) -> tuple[list[Array], int, Array]:
        return [x[:at].copy(), x[at:].copy()], at, np.arange(2)

    seen = []

    def backward(ctx: Any, parts: Any, number: Any, indices: Any) -> Any:
        seen.append((parts, number, indices))
        return xp.concat(parts), None

    split.register_autograd(backward)

    def f(x: Any) -> Any:
        parts, number, indices = split(x, 1)
        assert number == 1
        assert type(indices) is np.ndarray
        assert [type(part) for part in parts] == [DiffArray, DiffArray]
        return xp.sum(parts[1] * 5)

    np.testing.assert_array_equal(grad(f)(X), [0, 5, 5])
    ((parts, number, indices),) = seen
    assert type(parts) is list
    np.testing.assert_array_equal(parts[0], [0])
    assert number is None
    np.testing.assert_array_equal(indices, [0, 0])


# R13
def test_recursion_repetition_and_several_calls(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(xs: list[Array], depth: int) -> Array:
        # A kernel that differentiates, and calls its own operator.
        inner = grad(lambda x: xp.sum(x * x))(xs[0])
        return inner if depth == 0 else f([xs[0], xs[1]], depth - 1)

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.depth = inputs[1]
        ctx.save_for_backward(*inputs[0])

    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_arrays
        if ctx.depth:
            f([x, y], ctx.depth - 1)
            return vjp(lambda x: f([x, y], ctx.depth - 1), x)[1](g)[0], None
        return [g * 2, None], None

    def list_backward(ctx: Any, g: Any) -> Any:
        found = backward(ctx, g)[0]
        return (found if type(found) is list else [found, None]), None

    f.register_autograd(list_backward, setup_context=setup)

    def twice(x: Any) -> Any:
        return f([x, X], 2) + 3 * f([x, X], 1)

    out, back = vjp(twice, X)
    np.testing.assert_array_equal(out, 8 * X)
    for _ in range(3):
        np.testing.assert_array_equal(back(np.ones(3), retain_graph=True)[0], [8, 8, 8])


# R14: nothing is kept when all is done.
def test_nothing_is_leaked(ns: str) -> None:
    square = make_square(ns, backward=square_backward, setup_context=keep_inputs)

    class Marked:
        pass

    marks = []

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark = Marked()
        marks.append(weakref.ref(ctx.mark))
        ctx.save_for_backward(*inputs)

    square.register_autograd(square_backward, setup_context=setup)
    gc.disable()
    try:
        grad(total(square))(X)
        assert marks[0]() is None
        out, back = vjp(square, X)
        assert marks[1]() is not None
        back(np.ones(3))
        assert marks[1]() is None
        del out, back
        grad(lambda x: xp.sum(x) + 0 * xp.sum(gpuops.stop_gradient(square(x))))(X)
        assert marks[2]() is None
    finally:
        gc.enable()


# R14: arguments are found wherever a schema can have arrays.
def test_where_gradients_are_looked_for(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array | None, xs: list[Array], *, k: Array | None = None) -> Array:
        return xs[0] * 1.0

    def requires(*args: Any, **kwargs: Any) -> bool:
        found = []
        grad(lambda x: found.append(f(*place(args, x), **place(kwargs, x))) or xp.sum(x))(X)
        return type(found[0]) is DiffArray

    def place(value: Any, x: Any) -> Any:
        if isinstance(value, dict):
            return {key: place(item, x) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(place(item, x) for item in value)
        return x if isinstance(value, str) else value

    y = None
    assert requires("x", [X])
    assert requires(None, ["x"])
    assert requires(None, [X, "x"])
    assert requires(y, [X], k="x")
    assert not requires(None, [X], k=None)


# R15
@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("f(Array(a!) x) -> ()", "it mutates 'x'"),
        ("f(Array x) -> ()", "it returns nothing"),
        ("f(Array(a) x) -> Array(a)", "it returns a view of an argument"),
    ],
)
def test_operators_that_are_not_functional_are_refused(ns: str, schema: str, why: str) -> None:
    with Library(ns, "DEF") as lib:
        lib.define(schema)
        expected = f"Cannot register autograd formula for non-functional operator {ns}::f: {why}"
        with pytest.raises(RegistrationError, match=expected):
            lib.register_autograd("f", lambda ctx, *g: g)


@pytest.mark.parametrize("what", ["backward", "setup_context"])
def test_what_is_no_function_or_takes_the_wrong_arguments_is_refused(ns: str, what: str) -> None:
    square = make_square(ns)
    good = {"backward": square_backward, "setup_context": keep_inputs}
    backward, setup = ({**good, what: 5}[key] for key in good)
    with pytest.raises(UsageError, match=f"{ns}::square.*{what} is required to be a callable"):
        square.register_autograd(backward, setup_context=setup)
    backward, setup = ({**good, what: lambda a, b, c: None}[key] for key in good)
    with pytest.raises(RegistrationError, match=f"{what}.*cannot take its arguments"):
        square.register_autograd(backward, setup_context=setup)


# R16 is torch's older form, a dictionary of gradients by name; there is no way to register one
# here, so that a dictionary is refused as any other object is.
def test_a_dictionary_of_gradients_is_refused(ns: str) -> None:
    square = make_square(ns, backward=lambda ctx, g: {"x": g})
    with pytest.raises(GradientError, match="'x' to be an array or None, got dict of length 1"):
        grad(total(square))(X)


# R17: which outputs are differentiable is said with mark_non_differentiable.
def test_mark_non_differentiable(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array) -> tuple[Array, Array]:
        return x * 2, x * 3

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark_non_differentiable(output[1])

    seen = []

    def backward(ctx: Any, first: Any, second: Any) -> Any:
        seen.append(second)
        return first * 2

    f.register_autograd(backward, setup_context=setup)

    def g(x: Any) -> Any:
        first, second = f(x)
        assert type(first) is DiffArray
        assert type(second) is np.ndarray
        return xp.sum(first * second)

    np.testing.assert_array_equal(grad(g)(X), 6 * X)
    np.testing.assert_array_equal(seen[0], [0, 0, 0])

    f.register_autograd(backward, setup_context=lambda ctx, inputs, output: (
        ctx.mark_non_differentiable(inputs[0])
    ))  # fmt: skip
    with pytest.raises(GradientError, match=f"{ns}::f: mark_non_differentiable takes outputs"):
        grad(g)(X)


def test_mark_non_differentiable_of_the_only_output(ns: str) -> None:
    square = make_square(
        ns,
        backward=square_backward,
        setup_context=lambda ctx, inputs, output: ctx.mark_non_differentiable(output),
    )
    np.testing.assert_array_equal(grad(lambda x: xp.sum(square(x) * x))(X), X * X)


# R18
@pytest.mark.parametrize("materialize", [True, False])
def test_unused_outputs(ns: str, materialize: bool) -> None:
    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array) -> tuple[Array, Array]:
        return x * 2, np.ones((2, 2), np.float32)

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.set_materialize_grads(materialize)

    seen = []

    def backward(ctx: Any, first: Any, second: Any) -> Any:
        seen.append(second)
        return first * 2

    f.register_autograd(backward, setup_context=setup)
    grad(lambda x: xp.sum(f(x)[0]))(X)
    if materialize:
        assert (seen[0].shape, seen[0].dtype) == ((2, 2), np.float32)
        assert not seen[0].any()
    else:
        assert seen == [None]


# R18
def test_integer_outputs_never_require_a_gradient(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::order", mutates_args=())
    def order(x: Array) -> Array:
        return np.argsort(x)

    order.register_autograd(lambda ctx, g: pytest.fail("called"))
    found = []
    grad(lambda x: found.append(order(x)) or xp.sum(x))(X)
    assert type(found[0]) is np.ndarray


# R19
@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.ones(5), r"invalid gradient at index 0 - got \[5\] but expected .*\[3\]"),
        (np.ones((3, 2)), r"invalid gradient at index 0 - got \[3, 2\]"),
        (np.ones(()), r"invalid gradient at index 0 - got \[\]"),
        (1.5, "gradient of 'x' to be an array or None, got float 1.5"),
        ([1.0], "gradient of 'x' to be an array or None, got list"),
        (gpuops.FakeArray((3,)), "gradient of 'x' to be an array or None, got .*FakeArray"),
        (
            np.array([1, 2, 3], object),
            "gradient of 'x' to be an array of numbers, .*object",
        ),
        (np.array(["a", "b", "c"]), "gradient of 'x' to be an array of numbers, .*<U1"),
    ],
)
def test_wrong_gradients_are_refused(ns: str, returned: Any, message: str) -> None:
    square = make_square(ns, backward=lambda ctx, g: returned)
    with pytest.raises(GradientError, match=message) as caught:
        grad(total(square))(X)
    assert f"{ns}::square" in str(caught.value)


# R19
def test_gradients_are_reduced_and_cast(ns: str) -> None:
    square = make_square(ns, backward=lambda ctx, g: np.ones((4, 3)))
    np.testing.assert_array_equal(grad(total(square))(X), [4, 4, 4])
    found = grad(total(square))(X.astype(np.float32))
    assert found.dtype == np.float32
    square.register_autograd(lambda ctx, g: None)
    np.testing.assert_array_equal(grad(total(square))(X), [0, 0, 0])
    # A NumPy scalar, which NumPy's reductions give.
    square.register_autograd(lambda ctx, g: np.float64(7))
    assert grad(total(square))(np.asarray(2.0)) == 7


def test_several_gradients_are_a_tuple(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array, y: Array) -> Array:
        return x * y

    f.register_autograd(lambda ctx, g: [g, g])
    with pytest.raises(GradientError, match=r"expected 2, .*\(x, y\), got 1 \(list of length 2; "):
        grad(lambda x: xp.sum(f(x, X)))(X)


def test_a_gradient_for_what_is_no_array_is_refused(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array, s: float) -> Array:
        return x * s

    f.register_autograd(lambda ctx, g: (g, g))
    with pytest.raises(GradientError, match="gradient of 's', which is float and has none"):
        grad(lambda x: xp.sum(f(x, 2.0)))(X)


# R20
def test_double_backward(ns: str) -> None:
    square = make_square(ns, backward=square_backward, setup_context=keep_inputs)
    second = grad(lambda x: xp.sum(grad(total(square))(x) ** 2))
    np.testing.assert_allclose(second(X), 8 * X)
    assert gpuops.gradgradcheck(square, X)


# R20
def test_going_back_a_second_time(ns: str) -> None:
    square = make_square(ns, backward=square_backward, setup_context=keep_inputs)
    _, back = vjp(square, X)
    back(np.ones(3), retain_graph=True)
    back(np.ones(3))
    with pytest.raises(GradientError, match=r"a second time.*retain_graph=True"):
        back(np.ones(3))


# R20
@pytest.mark.parametrize("kind", ["formula", "xp"])
def test_a_saved_array_that_was_modified(ns: str, kind: str) -> None:
    @gpuops.custom_op(f"{ns}::add_one", mutates_args={"x"})
    def add_one(x: Array) -> None:
        x += 1

    square = make_square(ns, backward=square_backward, setup_context=keep_inputs)
    function = square if kind == "formula" else (lambda x: x * x)
    x, other = X.copy(), X.copy()
    _, back = vjp(function, x)
    add_one(other)
    back(np.ones(3), retain_graph=True)
    # A view of it.
    add_one(x[1:])
    name = f"{ns}::square" if kind == "formula" else "xp::multiply"
    with pytest.raises(GradientError, match=f"{name}.*modified since.*version"):
        back(np.ones(3))


# R20
@pytest.mark.parametrize(
    ("function", "what", "noticed"),
    [
        (lambda x: x * x, "argument", True),
        (lambda x: x * 2, "argument", False),  # not needed
        (xp.exp, "argument", False),
        (xp.exp, "result", True),
        (xp.sin, "result", False),
        (lambda x: xp.sum(x * x), "argument", True),
        (lambda x: xp.sin(xp.copy(x)), "argument", False),
        (lambda x: xp.sin(x[1:]), "argument", True),  # a view of it
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_writes_of_numpy_between_the_passes(
    function: Any, what: str, noticed: bool, order: Any
) -> None:
    x = np.arange(1.0, 7.0).reshape(2, 3).copy(order)
    out, back = vjp(function, x)
    back(np.ones_like(out), retain_graph=True)
    written = x if what == "argument" else out
    # Swapped: a sum would not tell.
    written[...] = written[::-1].copy()
    if not noticed:
        back(np.ones_like(out))
        return
    for _ in range(2):
        with pytest.raises(GradientError, match="modified since the call"):
            back(np.ones_like(out), retain_graph=True)


def test_large_arrays_are_not_looked_at() -> None:
    """What it would cost: see `gpuops.transforms.autograd.writes`."""
    x = np.ones(LARGEST // 8 + 1)
    _, back = vjp(lambda x: x * x, x)
    x[:] = 5
    np.testing.assert_array_equal(back(np.ones_like(x))[0], 10)


# R20
def test_registering_again_and_late(ns: str) -> None:
    square = make_square(ns)
    with pytest.raises(NoGradientError):
        grad(total(square))(X)
    first = gpuops.register_autograd(square, square_backward, setup_context=keep_inputs)
    np.testing.assert_array_equal(grad(total(square))(X), 2 * X)
    second = gpuops.register_autograd(square, lambda ctx, g: g * 5)
    np.testing.assert_array_equal(grad(total(square))(X), [5, 5, 5])
    second.undo()
    np.testing.assert_array_equal(grad(total(square))(X), 2 * X)
    first.undo()
    with pytest.raises(NoGradientError):
        grad(total(square))(X)


# R21
def test_writing_to_an_argument_is_an_error(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::add_one", mutates_args={"x"})
    def add_one(x: Array) -> None:
        x += 1

    def by_operator(x: Any) -> Any:
        add_one(x)
        return xp.sum(x)

    def by_index(x: Any) -> Any:
        x[0] = 1.0
        return xp.sum(x)

    def by_assignment(x: Any) -> Any:
        x += 1.0
        return xp.sum(x)

    x = X.copy()
    for function in (by_operator, by_index, by_assignment):
        with pytest.raises(GradientError, match=r"writes to an argument \(a leaf\)"):
            grad(function)(x)
    np.testing.assert_array_equal(x, X)


# J6
def test_inplace_operators(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::double_", mutates_args={"x"}, tags=gpuops.Tag.inplace)
    def double_(x: Array) -> Array:
        x *= 2
        return x

    seen = []

    def f(x: Any) -> Any:
        y = xp.copy(x)
        out = double_(y)
        assert out is y
        seen.append(out)
        return xp.sum(out)

    with pytest.raises(NoGradientError, match=f"{ns}::double_: no autograd formula"):
        grad(f)(X)
    assert seen[0].requires_grad
    np.testing.assert_array_equal(seen[0].value, 2 * X)


# J9
def test_out_operators(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::double", mutates_args={"out"}, tags=gpuops.Tag.out)
    def double(x: Array, *, out: Array) -> Array:
        np.multiply(x, 2, out=out)
        return out

    def f(x: Any) -> Any:
        return xp.sum(double(x, out=np.empty(3)))

    def into(x: Any) -> Any:
        return xp.sum(double(X, out=xp.copy(x)))

    for function in (f, into):
        with pytest.raises(GradientError, match=f"{ns}::double.*don't support automatic diff"):
            grad(function)(X)

    def silent(x: Any) -> Any:
        with gpuops.no_grad():
            out = double(x, out=np.empty(3))
        return xp.sum(out * x)

    np.testing.assert_array_equal(grad(silent)(X), 2 * X)
    with pytest.raises(RegistrationError, match="Out variants do not support autograd"):
        double.register_autograd(lambda ctx, g: g)


def test_writing_a_result_where_its_gradient_would_be_lost(ns: str) -> None:
    def f(x: Any) -> Any:
        out = np.zeros(3)
        xp.copyto(out, x)
        return xp.sum(out)

    with pytest.raises(GradientError, match=r"xp::copyto: writes .*gradient would be lost"):
        grad(f)(X)

    def into_numpy(x: Any) -> Any:
        out = np.zeros(3)
        out[0] = x[0]
        return xp.sum(out)

    # NumPy says "setting an array element with a sequence", because of:
    with pytest.raises(ValueError, match="setting an array") as caught:
        grad(into_numpy)(X)
    assert isinstance(caught.value.__cause__, GradientError)
    assert "would lose its gradient" in str(caught.value.__cause__)
    assert "elements of an array like it (gpuops.xp.zeros_like" in str(caught.value.__cause__)
    assert "gpuops.stop_gradient(x)" in str(caught.value.__cause__)


# Y14
def test_opaque_objects_in_ctx(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::f", mutates_args=())
    def f(a: Handle, x: Array, b: Handle) -> Array:
        return x * a.factor * b.factor

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.a, _, ctx.b = inputs

    def backward(ctx: Any, g: Any) -> Any:
        assert (ctx.a, ctx.b) == (first, second)
        return None, g * ctx.a.factor * ctx.b.factor, None

    first, second = Handle(2), Handle(5)
    f.register_autograd(backward, setup_context=setup)
    np.testing.assert_array_equal(grad(lambda x: xp.sum(f(first, x, second)))(X), [10, 10, 10])


# -- forward ---------------------------------------------------------------------------------------


def make_logistic(ns: str) -> tuple[Any, Any, list[str]]:
    """An operator, another that also returns what its gradient needs, and which of them ran."""
    ran: list[str] = []

    @gpuops.custom_op(f"{ns}::logistic", mutates_args=())
    def logistic(x: Array, scale: float = 1.0) -> Array:
        ran.append("logistic")
        return scale / (1 + np.exp(-x))

    @gpuops.custom_op(f"{ns}::logistic_and_slope", mutates_args=())
    def with_slope(x: Array, scale: float) -> tuple[Array, Array]:
        ran.append("with_slope")
        y = 1 / (1 + np.exp(-x))
        return scale * y, scale * y * (1 - y)

    for op, outputs in ((logistic, 1), (with_slope, 2)):
        fakes = [lambda x, scale=1.0: x.new_empty(x.shape), lambda x, scale: (
            x.new_empty(x.shape), x.new_empty(x.shape))]  # fmt: skip
        op.register_fake(fakes[outputs - 1])
    return logistic, with_slope, ran


def keep_slope(ctx: Any, inputs: Any, output: Any, residuals: Any) -> None:
    ctx.save_for_backward(residuals["slope"])


def times_slope(ctx: Any, g: Any) -> Any:
    return g * ctx.saved_arrays[0], None


def test_forward_is_called_in_the_operators_place(ns: str) -> None:
    logistic, with_slope, ran = make_logistic(ns)

    def forward(x: Any, scale: float) -> Any:
        y, slope = with_slope(x, scale)
        return y, {"slope": slope}

    logistic.register_autograd(times_slope, setup_context=keep_slope, forward=forward)
    expected = logistic(X, 2.0)
    assert ran == ["logistic"]
    out, back = vjp(lambda x: logistic(x, 2.0), X)
    assert ran == ["logistic", "with_slope"], "defaults are filled in, and the kernel does not run"
    np.testing.assert_allclose(out, expected)
    (found,) = back(np.ones(3))
    np.testing.assert_allclose(found, expected * (1 - expected / 2))
    graph = gpuops.trace(lambda x: grad(total(logistic))(x), "fake")(X)
    assert [n.operator.name for n in graph.nodes if "logistic" in n.operator.name] == [
        "logistic_and_slope"
    ]

    def constant(x: Any) -> Any:
        with gpuops.no_grad():
            return xp.sum(x * logistic(x))

    ran.clear()
    grad(constant)(X)
    logistic(X)
    assert ran == ["logistic"] * 2, "without a gradient it is the operator that runs"


def test_forward_with_keyword_only_inputs_and_several_outputs(ns: str) -> None:
    @gpuops.custom_op(f"{ns}::divmod", mutates_args=())
    def parts(x: Array, *, by: float) -> tuple[Array, Array]:
        return np.floor(x / by), x % by

    def forward(x: Any, *, by: float) -> Any:
        return parts(x, by=by), by

    seen: list[Any] = []

    def setup(ctx: Any, inputs: Any, keyword_only_inputs: Any, output: Any, residuals: Any) -> None:
        seen.append((len(inputs), dict(keyword_only_inputs), len(output), residuals))

    parts.register_autograd(lambda ctx, a, b: b, setup_context=setup, forward=forward)
    np.testing.assert_array_equal(grad(lambda x: xp.sum(parts(x, by=2.0)[1]))(X), np.ones(3))
    assert seen == [(1, {"by": 2.0}, 2, 2.0)]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda x: x, r"must return a pair \(output, residuals\), got numpy.ndarray"),
        (lambda x: (x, 1, 2), r"must return a pair \(output, residuals\), got tuple"),
        (lambda x: ((x, x), None), "must return Array as output 0, got tuple"),
        (lambda x: (None, None), "must return Array as output 0, got None"),
    ],
)
def test_what_forward_must_return(ns: str, returned: Any, message: str) -> None:
    logistic, _, _ = make_logistic(ns)
    logistic.register_autograd(
        times_slope, setup_context=keep_slope, forward=lambda x, scale: returned(x)
    )
    with pytest.raises(GradientError, match=message) as caught:
        vjp(logistic, X)
    assert f"{ns}::logistic: forward (at {__file__}:" in str(caught.value)


def test_forward_is_checked_when_it_is_registered(ns: str) -> None:
    logistic, _, _ = make_logistic(ns)
    with pytest.raises(UsageError, match="forward is required to be a callable, got int"):
        logistic.register_autograd(times_slope, setup_context=keep_slope, forward=3)
    with pytest.raises(UsageError, match="forward takes a setup_context"):
        logistic.register_autograd(times_slope, forward=lambda x, scale: None)
    with pytest.raises(RegistrationError, match=r"setup_context.* cannot take its arguments"):
        logistic.register_autograd(
            times_slope, setup_context=keep_inputs, forward=lambda x, scale: None
        )
    with pytest.raises(
        RegistrationError,
        match=r"forward\(x\) at .* cannot take .* \(x, scale\) passed by position",
    ):
        logistic.register_autograd(times_slope, setup_context=keep_slope, forward=lambda x: None)
    with Library(ns, "FRAGMENT") as lib:
        lib.register_autograd(
            "logistic", times_slope, setup_context=keep_slope, forward=lambda x, scale: (x, {})
        )
        with pytest.raises(KeyError, match="slope"):
            vjp(logistic, X)
    with pytest.raises(NoGradientError):
        grad(total(logistic))(X)
