"""`grad`, `value_and_grad`, `vjp`, `jacrev`: arguments, nesting, errors; and the reverse pass."""

from __future__ import annotations

import threading
import weakref
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import (
    ArgumentError,
    DiffArray,
    FakeMode,
    GradientError,
    UsageError,
    grad,
    jacrev,
    trace,
    value_and_grad,
    vjp,
    vmap,
    xp,
)

X = np.array([0.5, 1.0, 2.0])
Pair = namedtuple("Pair", "a b")


def f(x: Any) -> Any:
    return xp.sum(xp.sin(x) * x)


def df(x: Any) -> Any:
    return np.cos(x) * x + np.sin(x)


def test_pytrees_argnums_and_aux() -> None:
    def loss(weights: Any, x: Any, *, scale: float = 1.0) -> Any:
        pair, (c, nothing) = weights["p"], weights["t"]
        assert nothing is None
        return xp.sum(pair.a * x + pair.b * c) * scale, {"x": x * 2, "n": 3}

    weights = {"p": Pair(X, X * 2), "t": (X.astype(np.float32), None)}
    found, aux = grad(loss, has_aux=True)(weights, X, scale=2.0)
    assert type(found["p"]) is Pair
    np.testing.assert_array_equal(found["p"].a, 2 * X)
    np.testing.assert_allclose(found["p"].b, 2 * X)
    assert found["t"][0].dtype == np.float32
    assert found["t"][1] is None
    assert aux["n"] == 3
    (value, _), (by_weights, by_x) = value_and_grad(loss, (0, -1), has_aux=True)(weights, X)
    assert type(value) is np.ndarray and value.shape == ()
    np.testing.assert_array_equal(by_x, X)
    assert by_weights.keys() == weights.keys()
    _, back, aux = vjp(loss, weights, X, has_aux=True)
    assert type(aux["x"]) is np.ndarray
    np.testing.assert_array_equal(back(np.float64(3))[1], 3 * X)


def test_numbers_as_arguments_and_constants_as_results() -> None:
    assert grad(lambda x: x**3)(2.0) == 12
    assert type(grad(lambda x: x**3)(2.0)) is np.ndarray
    assert grad(lambda x: np.float64(3))(2.0) == 0
    np.testing.assert_array_equal(grad(lambda x: xp.sum(X))(X), [0, 0, 0])
    assert grad(lambda z: xp.real(z * xp.conj(z)))(3 + 4j) == 6 + 8j


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: grad(f)(np.arange(3)), ArgumentError, "argument 0 of f must hold floating-point"),
        (
            lambda: grad(f)({"a": [X, "s"]}),
            ArgumentError,
            r"argument 0\['a'\]\[1\] of f .* str 's'",
        ),
        (lambda: grad(f, 2)(X), ArgumentError, "argnums has 2, but f was given 1"),
        (lambda: grad(f, "x"), UsageError, "argnums must be an int or several ints"),
        (lambda: grad(f, (0, 0)), UsageError, "argnums has an argument twice"),
        (lambda: grad(f, (0, -1))(X), UsageError, r"argument of f twice: \(0, -1\)"),
        (lambda: grad(f, True), UsageError, "argnums must be an int or several ints, got True"),
        (lambda: grad(f, (0.0,)), UsageError, "argnums must be an int or several ints"),
        (lambda: grad(f, -2)(X), ArgumentError, "argnums has -2, but f was given 1"),
        (lambda: grad(3), UsageError, "takes a function, got int 3"),
        (lambda: vjp(3, X), UsageError, "vjp takes a function"),
        (
            lambda: grad(lambda x: x)(X),
            GradientError,
            r"return a scalar .*float64\[3\]; take a sum",
        ),
        (lambda: grad(lambda x: (x, x))(1.0), GradientError, "return a scalar .*tuple of length 2"),
        (lambda: grad(lambda x: None)(X), GradientError, "return a scalar .*got None"),
        (lambda: grad(lambda x: xp.sum(x) * 1j)(X), GradientError, "must return a real scalar"),
        (lambda: grad(xp.argmax)(X), GradientError, r"floating-point scalar, got .*int64\[\], wh"),
        (
            lambda: grad(lambda x: xp.sum(x) > 1)(X),
            GradientError,
            "floating-point scalar, got .*b",
        ),
        (lambda: grad(f, has_aux=True)(X), UsageError, "must return a pair"),
        (lambda: vjp(f, 3), ArgumentError, "argument 0 of f .* int 3. .*let the function close"),
        (lambda: vjp(f, X)[1](1j), GradientError, "output of f must .* dtype float64, got .*compl"),
        (
            lambda: vjp(f, X)[1](gpuops.FakeArray(())),
            GradientError,
            "output of f must .* device cpu, got .*FakeArray",
        ),
        (lambda: vjp(xp.sin, X)[1](X[:2]), GradientError, r"xp::sin .* shape \(3,\)"),
        (lambda: vjp(f, X)[1](X), GradientError, r"gradient for output of f must .* shape \(\)"),
        (lambda: vjp(f, X)[1](X, X), GradientError, "structure of the outputs of f"),
        (lambda: jacrev(lambda x: x * 1j)(X), GradientError, "must return real arrays"),
        (lambda: jacrev(lambda x: 3)(X), GradientError, "must return arrays, got int 3"),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_arrays_must_not_outlive_their_differentiation() -> None:
    kept = []
    grad(lambda x: kept.append(x) or xp.sum(x))(X)
    with pytest.raises(UsageError, match=r"xp::sin was called .* differentiation that has ended"):
        xp.sin(kept[0])


def test_argnums_of_other_kinds() -> None:
    def product(x: Any, y: Any) -> Any:
        return xp.sum(x * y)

    np.testing.assert_array_equal(grad(product, np.int64(-1))(X, 2 * X), X)
    for several in (range(2), [0, 1], (np.int32(0), -1)):
        found = grad(product, several)(X, 2 * X)
        assert type(found) is tuple and len(found) == 2
        np.testing.assert_array_equal(found[1], X)
        assert type(jacrev(product, several)(X, 2 * X)) is tuple


def test_gradients_for_results_that_are_whole_or_plain_numbers() -> None:
    _, back = vjp(lambda x: (xp.sum(x), x * 1j), X)
    (found,) = back((2, np.array([1, 2j, 3])))
    np.testing.assert_array_equal(found, [2, 4, 2])


def test_gradients_are_arrays_of_their_own() -> None:
    """They can be written to, and nothing else changes."""
    cotangent = np.ones(3)
    x, y = X.copy(), X.copy()
    for function in (
        lambda x, y: x + y,
        lambda x, y: (x * 1.0, y)[1] + x,
        lambda x, y: xp.concat([x, y])[:3] + xp.concat([y, x])[:3],
        lambda x, y: xp.reshape(xp.reshape(x, (3, 1)), (3,)) + xp.flip(y),
    ):
        out, back = vjp(function, x, y)
        found = back(cotangent)
        known = [x, y, out, cotangent, *found]
        before = [array.copy() for array in known]
        for index, array in enumerate(known):
            array += 1
            before[index] += 1
            for other, expected in zip(known, before, strict=True):
                np.testing.assert_array_equal(other, expected)
    (found,) = vjp(lambda x: x, x)[1](cotangent)
    assert not np.shares_memory(found, cotangent)
    spread = grad(xp.sum)(x)
    spread[0] = 5
    np.testing.assert_array_equal(spread, [5, 1, 1])
    one = grad(lambda x: xp.sum(x))(np.ones(1))
    one += 1
    assert one == 2


def test_control_flow_on_values() -> None:
    def g(x: Any) -> Any:
        return xp.sum(x * x) if xp.sum(x) > 0 else -xp.sum(x)

    np.testing.assert_array_equal(grad(g)(X), 2 * X)
    np.testing.assert_array_equal(grad(g)(-X), [-1, -1, -1])


# Each of two nested gradients is of its own variable.
def test_perturbations_are_not_confused() -> None:
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1
    assert grad(lambda x: x * grad(lambda y: x * y * y)(3.0))(2.0) == 24
    assert grad(grad(grad(lambda x: x**4)))(2.0) == 48


def test_inside_and_around_vmap_and_trace() -> None:
    rows = np.stack([X, X + 1])
    np.testing.assert_allclose(vmap(grad(f))(rows), df(rows))
    np.testing.assert_allclose(grad(lambda r: xp.sum(vmap(f)(r)))(rows), df(rows))
    second = vmap(grad(lambda x: xp.sum(grad(f)(x) ** 2)))(rows)
    expected = np.stack([grad(lambda x: xp.sum(grad(f)(x) ** 2))(row) for row in rows])
    np.testing.assert_allclose(second, expected)
    for mode in ("real", "fake", "symbolic"):
        graph = trace(grad(f), mode)(X)
        np.testing.assert_allclose(graph(X), df(X))
    np.testing.assert_allclose(graph(np.arange(5.0)), df(np.arange(5.0)))

    def traced_within(x: Any) -> Any:
        return xp.sum(trace(lambda y: xp.sin(y) * x)(x)(x))

    np.testing.assert_allclose(grad(traced_within)(X), df(X))
    for mode in ("real", "fake", "symbolic"):

        def by_graph(x: Any, mode: str = mode) -> Any:
            # `scale` is of the transformations around the tracing, and is not its argument.
            scale = xp.sum(x) / xp.sum(x)
            return trace(lambda y: xp.sum(xp.sin(y) * y) * scale, mode)(x)(x)

        np.testing.assert_allclose(grad(by_graph)(X), df(X))
        np.testing.assert_allclose(vmap(by_graph)(rows), [f(row) for row in rows])
        np.testing.assert_allclose(vmap(grad(by_graph))(rows), df(rows))
        np.testing.assert_allclose(grad(lambda r: xp.sum(vmap(by_graph)(r)))(rows), df(rows))
        found = vmap(lambda x, mode=mode: trace(grad(f), mode)(x)(x))(rows)
        np.testing.assert_allclose(found, df(rows))

        def of_rows(r: Any, mode: str = mode) -> Any:
            return xp.sum(trace(vmap(f), mode)(r)(r))

        np.testing.assert_allclose(grad(of_rows)(rows), df(rows))
    hessian = jacrev(grad(f))(X)
    np.testing.assert_allclose(hessian, np.diag(2 * np.cos(X) - X * np.sin(X)), atol=1e-12)


def test_fakes() -> None:
    mode = FakeMode()
    found = grad(f)(mode.from_array(X.astype(np.float32)))
    assert (found.shape, found.dtype) == ((3,), np.float32)


def test_jacrev_of_pytrees() -> None:
    def g(x: Any, y: Any) -> Any:
        return {"a": xp.outer(x, y["s"]), "b": xp.sum(x), "c": X}

    found = jacrev(g, (0, 1))(X, {"s": X[:2]})
    by_x, by_y = found["a"]
    assert by_x.shape == (3, 2, 3) and by_y["s"].shape == (3, 2, 2)
    np.testing.assert_array_equal(by_x, np.einsum("ik,j->ijk", np.eye(3), X[:2]))
    np.testing.assert_array_equal(found["b"][0], [1, 1, 1])
    np.testing.assert_array_equal(found["c"][0], np.zeros((3, 3)))


def test_methods_operators_and_numpy_functions() -> None:
    def g(x: Any) -> Any:
        y = np.exp(x).reshape(1, 3).T
        y = y @ y.T + x[None] / 2 - x[:, None] ** 2
        y += 1.0
        y[0] = x
        return np.sum(np.where(y > 1.1, y, -y)) + x.mean() - abs(x).max()

    assert gpuops.gradcheck(g, X)


@pytest.mark.parametrize("like", [xp.zeros_like, np.zeros_like, np.ones_like, np.empty_like])
def test_an_array_like_one_that_is_differentiated_can_be_filled(like: Any) -> None:
    def g(x: Any) -> Any:
        y = like(x)
        y[1:] = x[:-1] ** 2
        y[0] = 2.0
        return xp.sum(y * x)

    assert gpuops.gradcheck(g, X) and gpuops.gradgradcheck(g, X)
    np.testing.assert_allclose(
        grad(g)(X), [2 + 2 * X[0] * X[1], X[0] ** 2 + 2 * X[1] * X[2], X[1] ** 2]
    )
    rows = np.stack([X, X + 1])
    np.testing.assert_allclose(vmap(grad(g))(rows), [grad(g)(row) for row in rows])
    np.testing.assert_array_equal(grad(lambda x: xp.sum(like(x)[:0]))(X), [0, 0, 0])


def test_writing_to_an_array_with_views_is_refused() -> None:
    def g(x: Any) -> Any:
        y = x * 2
        row = y[:2]
        y += 1.0
        return xp.sum(row)

    with pytest.raises(GradientError, match="of which there are views"):
        grad(g)(X)


def test_a_chain_of_100_000_operators_does_not_recurse() -> None:
    def chain(x: Any) -> Any:
        for _ in range(100_000):
            x = xp.negative(x)
        return xp.sum(x)

    np.testing.assert_array_equal(grad(chain)(X), [1, 1, 1])

    def unused(x: Any) -> Any:
        y = x
        for _ in range(100_000):
            y = xp.negative(y)
        return xp.sum(x)

    np.testing.assert_array_equal(grad(unused)(X), [1, 1, 1])


def test_many_paths_are_gone_along_once() -> None:
    """Of 2**60 paths: each node once, when all that depend on it are done."""

    def doubled(x: Any) -> Any:
        for _ in range(60):
            x = x + x
        return xp.sum(x)

    np.testing.assert_array_equal(grad(doubled)(X), np.full(3, 2.0**60))


def test_the_reverse_pass_frees_what_it_is_done_with() -> None:
    alive: list[weakref.ref[Any]] = []
    most = []

    @gpuops.custom_op("test_frees::f", mutates_args=())
    def op(x: gpuops.Array) -> gpuops.Array:
        return x + 1

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        saved = np.array(output)
        alive.append(weakref.ref(saved))
        ctx.save_for_backward(saved)

    def backward(ctx: Any, g: Any) -> Any:
        most.append(sum(reference() is not None for reference in alive))
        return g

    op.register_autograd(backward, setup_context=setup)
    try:
        grad(lambda x: xp.sum(op(op(op(op(x))))))(X)
    finally:
        op.undo()
    assert most == [4, 3, 2, 1]


def test_threads_do_not_meet() -> None:
    results: dict[int, Any] = {}

    def work(number: int) -> None:
        for _ in range(20):
            results[number] = grad(lambda x: xp.sum(x * x * number))(X)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        np.testing.assert_array_equal(results[number], 2 * number * X)


def test_the_type_and_its_metadata() -> None:
    def g(x: Any) -> Any:
        assert type(x) is DiffArray
        assert (x.shape, x.dtype, x.ndim, x.size, len(x)) == ((3,), np.float64, 1, 3, 3)
        assert (x.strides, x.itemsize, x.nbytes, x.device) == ((8,), 8, 24, gpuops.Device("cpu"))
        assert x.flags.c_contiguous
        assert repr(x).startswith("DiffArray(array([0.5, 1. , 2. ])")
        assert x.new_empty((2,)).shape == (2,)
        with pytest.raises(GradientError, match="a NumPy array was made of it"):
            np.asarray(x)
        with pytest.raises(GradientError, match="a number was made of it"):
            x[0].item()
        with pytest.raises(TypeError, match="only integer arrays can be an index"):
            [1, 2][x[0]]
        return xp.sum(gpuops.stop_gradient({"x": x})["x"] * x)

    np.testing.assert_array_equal(grad(g)(X), X)
