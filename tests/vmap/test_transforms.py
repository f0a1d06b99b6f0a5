"""`vmap` inside and around `grad` and `trace`; the rule of a gufunc signature."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuops
from gpuops import Array, grad, vmap, xp
from tests.vmap.batches import check
from tests.vmap.test_xp_properties import batches

X = np.random.default_rng(0).normal(size=(4, 3))
W = np.random.default_rng(1).normal(size=(3, 3))


def loss(w: Any, x: Any) -> Any:
    y = xp.tanh(x @ w) * x[::-1]
    return xp.sum(xp.where(y > 0, y**2, xp.cumsum(y) * y[0]))


EACH = np.stack([grad(loss)(W, x) for x in X])


# S12
def test_the_gradient_of_each_element() -> None:
    np.testing.assert_allclose(vmap(grad(loss), (None, 0))(W, X), EACH)
    np.testing.assert_allclose(vmap(grad(loss), (None, 1), 2)(W, X.T), np.moveaxis(EACH, 0, 2))


# S12
def test_the_gradient_through_a_batch() -> None:
    def total(w: Any) -> Any:
        return vmap(loss, (None, 0))(w, X).sum()

    np.testing.assert_allclose(grad(total)(W), EACH.sum(axis=0))
    assert gpuops.gradcheck(total, (W,))


# S12
def test_the_gradient_through_a_rule_that_calls_operators() -> None:
    @gpuops.custom_op("vmap_test::cube", mutates_args=())
    def cube(x: Array) -> Array:
        return x**3

    cube.register_autograd(
        lambda ctx, g: g * 3 * ctx.saved_arrays[0] ** 2,
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
    )
    cube.register_vmap(lambda info, in_dims, x: (cube(x), in_dims[0]))
    np.testing.assert_allclose(vmap(grad(lambda x: cube(x).sum()))(X), 3 * X**2)
    np.testing.assert_allclose(grad(lambda x: vmap(cube)(x).sum())(X), 3 * X**2)
    twice = vmap(grad(lambda x: grad(lambda y: cube(y).sum())(x).sum()))
    np.testing.assert_allclose(twice(X), 6 * X)
    cube.undo()


def test_batches_in_gradients_in_batches() -> None:
    def function(w: Any, x: Any) -> Any:
        return grad(lambda v: vmap(lambda y: loss(w, y * v))(X).sum())(x)

    expected = np.stack(
        [
            sum(grad(lambda v, y=y: loss(W, y * v))(x) for y in X)  # type: ignore[misc]
            for x in X
        ]
    )
    np.testing.assert_allclose(vmap(function, (None, 0))(W, X), expected)


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_a_graph_of_gradients_of_elements(mode: str) -> None:
    graph = gpuops.trace(vmap(grad(loss), (None, 0)), mode)(W, X)
    np.testing.assert_allclose(graph(W, X), EACH)


def test_tracing_one_element() -> None:
    def function(x: Any) -> Any:
        graph = gpuops.trace(lambda y: y * 2 + 1)(x)
        return graph(x) + graph(x * 2)

    np.testing.assert_allclose(vmap(function)(X), X * 6 + 2)


# -- gufunc signatures -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def product() -> Any:
    @gpuops.custom_op("vmap_test::product", mutates_args=(), signature="(m?,n),(n,p?)->(m?,p?)")
    def product(x: Array, y: Array) -> Array:
        return np.asarray(x @ y)

    yield product
    product.undo()


@pytest.fixture(scope="module")
def both() -> Any:
    @gpuops.custom_op("vmap_test::both", mutates_args=(), signature="(n),(),(3)->(),(n,3)")
    def both(x: Array, s: Array, *, y: Array) -> tuple[Array, Array]:
        return np.asarray((x * s[..., None]).sum(axis=-1) + y[..., 0]), (
            x[..., :, None] * s[..., None, None] * y[..., None, :]
        )

    yield both
    both.undo()


@settings(max_examples=100, deadline=None)
@given(
    st.data(),
    hnp.mutually_broadcastable_shapes(signature="(m?,n),(n,p?)->(m?,p?)", max_dims=2, max_side=3),
)
def test_a_signature_is_a_rule(product: Any, data: Any, shapes: Any) -> None:
    arrays, dims = data.draw(batches(*shapes.input_shapes))
    check(product, arrays, dims)


@settings(max_examples=60, deadline=None)
@given(
    st.data(),
    hnp.mutually_broadcastable_shapes(signature="(n),(),(3)->(n,3)", max_dims=2, max_side=3),
)
def test_several_outputs_fixed_sizes_and_keywords(both: Any, data: Any, shapes: Any) -> None:
    arrays, dims = data.draw(batches(*shapes.input_shapes))
    check(lambda x, s, y: both(x, s, y=y), arrays, dims)


def test_an_element_of_too_few_axes_is_refused(product: Any, both: Any) -> None:
    with pytest.raises(
        gpuops.ShapeError, match=r"both: argument 'x' must have at least 1 axes, \(n\).*has 0"
    ):
        vmap(lambda x: both(x, np.ones(()), y=np.ones(3)))(np.ones(3))
    with pytest.raises(gpuops.ShapeError, match="product: argument 'x' must have at least 2 axes"):
        vmap(lambda x: product(x, np.ones(3)))(np.ones(3))


def test_a_registered_rule_comes_before_the_signature(product: Any) -> None:
    handle = gpuops.register_vmap(product, lambda info, in_dims, x, y: (x[:, :1], 0))
    assert np.array_equal(vmap(product, (0, None))(X, np.ones(3)), X[:, :1])
    handle.undo()
    assert np.array_equal(vmap(product, (0, None))(X, np.ones(3)), X @ np.ones(3))
