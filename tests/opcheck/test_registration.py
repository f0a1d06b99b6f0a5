"""Gradients that are registered in the wrong place (V12), and declared aliases (V14)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from zoo import Animal, alive, like, matrix, two, vector

import gpuops
from gpuops import Array, GradientError, Library, ReturnError, VmapError, xp
from gpuops.opchecks import OpCheckError
from gpuops.random import RNGState

X = np.array([1.0, 2.0])
ONE = "(Array x) -> Array"

# -- V12: a gradient within a kernel ---------------------------------------------------------------
#
# torch looks for gradients in the kernels of backends. Kernels of gpuops never see an array that is
# differentiated, so that a gradient can be within one in three ways only: it uses such an array
# that it did not get as an argument; it keeps what the formula needs; it registers the formula.

_last: dict[str, Any] = {}


def _keeps(x: Any) -> Any:
    _last["x"] = np.array(x)
    return np.array(x**3, order="C")


def _keeps_both(x: Any, y: Any) -> Any:
    if x.shape != y.shape:
        raise ValueError("x and y must be alike")
    _last["pair"] = np.array(x), np.array(y)
    return np.array(x * y, order="C")


def _keeps_product(ctx: Any, g: Any) -> Any:
    x, y = _last["pair"]
    return g * y, g * x


def _registers(x: Any) -> Any:
    gpuops.register_autograd("registration::registers", lambda ctx, g: 2 * g)
    return np.array(2 * x, order="C")


def _registers_rule(x: Any) -> Any:
    gpuops.register_vmap("registration::registers_rule", lambda info, dims, x: (2 * x, dims[0]))
    return np.array(2 * x, order="C")


WRONG = [
    Animal(
        "keeps_input",
        ONE,
        _keeps,
        like,
        matrix,
        message="called once more before the reverse pass: expected .* setup_context has to keep",
        backward=lambda ctx, g: 3 * _last["x"] ** 2 * g,
    ),
    Animal(
        "keeps_both",
        "(Array x, Array y) -> Array",
        _keeps_both,
        like,
        two,
        message="floating-point input 0, .* The formula was registered at .*test_registration.py",
        backward=_keeps_product,
    ),
    Animal(
        "registers",
        ONE,
        _registers,
        like,
        vector,
        message="a call registers its autograd rule, at .*test_registration.py:.* Register it once",
        backward=lambda ctx, g: 2 * g,
    ),
    Animal(
        "registers_rule",
        ONE,
        _registers_rule,
        like,
        vector,
        message="a call registers its vmap rule",
    ),
]


@pytest.mark.parametrize("animal", WRONG, ids=lambda animal: animal.name)
def test_gradients_in_the_wrong_place(animal: Animal) -> None:  # V12
    with alive(animal, "registration") as op:
        with pytest.raises(OpCheckError, match=f"(?s)incorrectly registered.*{animal.message}"):
            gpuops.opcheck(op, animal.sample(), test_utils="test_autograd")


def test_a_kernel_that_uses_a_differentiated_array_of_its_surroundings(ns: str) -> None:  # V12
    weights: list[Any] = [2.0]

    @gpuops.custom_op(f"{ns}::scaled", mutates_args=())
    def scaled(x: Array) -> Array:
        return x * weights[0]

    def loss(w: Any) -> Any:
        weights[0] = w
        return xp.sum(scaled(X))

    message = f"(?s){ns}::scaled: .*DiffArray float64.*did not get as an argument.*incorrectly reg"
    with pytest.raises(ReturnError, match=message) as caught:
        gpuops.grad(loss)(X)
    assert f"{__file__}:" in str(caught.value)
    with pytest.raises(ReturnError, match="BatchedArray"):
        gpuops.vmap(loss)(np.ones((2, 2)))
    with pytest.raises(ReturnError, match="TracingArray"):
        gpuops.trace(loss, "real")(X)
    # As an argument it is as any other.
    weights[0] = 2.0
    scaled.register_autograd(lambda ctx, g: g * 2)
    assert gpuops.grad(lambda x: xp.sum(scaled(x)))(X).tolist() == [2, 2]


def _saves(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[:1])


def _noisy(x: Any, rng: RNGState) -> Any:
    rng.reserve(1)
    return np.array(x * x, order="C")


RIGHT: list[tuple[Animal, Callable[[], Any]]] = [
    (Animal("square", ONE, lambda x: np.array(x * x), like, matrix), matrix),
    # A cache of what depends on the shape alone belongs to no call.
    (
        Animal("cached", ONE, lambda x: _last.setdefault(str(x.shape), 1) * x * x, like, matrix),
        matrix,
    ),
    # A gradient is an operator's result here, as in operators for gradients.
    (
        Animal(
            "by_vjp",
            ONE,
            lambda x: np.array(gpuops.grad(lambda y: xp.sum(y**3 / 1.5))(x) * 0.5),
            like,
            vector,
        ),
        vector,
    ),
    (
        Animal(
            "with_state", "(Array x, RNGState rng) -> Array", _noisy, lambda x, rng: like(x), vector
        ),
        lambda: (*vector(), RNGState(3)),
    ),
]


@pytest.mark.parametrize(("animal", "sample"), RIGHT, ids=lambda value: getattr(value, "name", ""))
def test_right_ones_pass(animal: Animal, sample: Callable[[], Any]) -> None:  # V12
    def backward(ctx: Any, g: Any) -> Any:
        gradient = 2 * ctx.saved_arrays[0] * g
        return (gradient, None) if "rng" in animal.schema else gradient

    with alive(animal, "registration_right") as op:
        gpuops.register_autograd(op, backward, setup_context=_saves)
        assert gpuops.opcheck(op, sample(), test_utils="test_autograd") == {
            "test_autograd": "SUCCESS"
        }


@pytest.mark.parametrize("key", ["Autograd", "AutogradCPU", "CompositeImplicitAutograd"])
def test_there_is_no_place_for_a_gradient_among_the_kernels(ns: str, key: str) -> None:  # V12
    with Library(ns, "FRAGMENT") as library:
        library.define("f(Array x) -> Array")
        with pytest.raises(gpuops.DeviceError, match=f"Expected one of cpu, cuda .* got '{key}'"):
            library.impl("f", lambda x: x, key)


# -- V14: declared aliases -------------------------------------------------------------------------
#
# torch's functionalization makes copies of what is written to, and so refuses operators that return
# an alias. A graph of gpuops replays calls in order and in place, and keeps aliases; where results
# are made anew, by `vmap` without a rule and by gradients, they are refused.


@pytest.fixture
def first(ns: str) -> Any:
    """A view of the first element."""
    with Library(ns, "FRAGMENT") as library:
        library.define("first(Array(a) x) -> Array(a)")
        library.impl("first", lambda x: x[:1], "cpu")
        gpuops.register_fake(f"{ns}::first", lambda x: x[:1], lib=library)
        yield getattr(gpuops.ops, ns).first


@pytest.fixture
def add_one(ns: str) -> Any:
    """Writes to its argument and returns it."""
    with Library(ns, "FRAGMENT") as library:
        library.define("add_one(Array(a!) x) -> Array(a!)")
        library.impl("add_one", lambda x: np.add(x, 1, out=x), "cpu")
        gpuops.register_fake(f"{ns}::add_one", lambda x: x, lib=library)
        yield getattr(gpuops.ops, ns).add_one


def through_the_view(first: Any, add_one: Any) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        x = x * 1
        y = add_one(first(x))
        add_one(y)
        return x, y

    return function


def test_declared_aliases_pass(first: Any, add_one: Any) -> None:  # V14
    for op in (first, add_one):
        assert set(gpuops.opcheck(op, (X,)).values()) == {"SUCCESS"}


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_graphs_keep_aliases(first: Any, add_one: Any, mode: Any) -> None:  # V14
    function = through_the_view(first, add_one)
    expected = function(X)
    assert [value.tolist() for value in expected] == [[3, 2], [3]]
    got = gpuops.trace(function, mode)(X)(X)
    assert [value.tolist() for value in got] == [[3, 2], [3]]
    assert np.shares_memory(*got)


def test_vmap_refuses_a_view_that_it_would_copy(first: Any, add_one: Any) -> None:  # V14
    batch = np.array([[1.0, 2.0], [3.0, 4.0]])
    with pytest.warns(gpuops.PerformanceWarning):
        with pytest.raises(VmapError, match="returns a view of an argument, .*register_vmap"):
            gpuops.vmap(through_the_view(first, add_one))(batch)


@pytest.mark.filterwarnings("ignore::gpuops.PerformanceWarning")
def test_vmap_keeps_a_view_that_has_a_rule(first: Any, add_one: Any) -> None:
    @gpuops.register_vmap(first)
    def rule(info: Any, in_dims: Any, x: Any) -> Any:
        x = xp.moveaxis(x, in_dims[0], 0)
        return x[:, :1], 0

    batch = np.array([[1.0, 2.0], [3.0, 4.0]])
    whole, views = gpuops.vmap(through_the_view(first, add_one))(batch)
    assert whole.tolist() == [[3, 2], [5, 4]] and views.tolist() == [[3], [5]]
    assert batch.tolist() == [[1, 2], [3, 4]]


@pytest.mark.filterwarnings("ignore::gpuops.PerformanceWarning")
@pytest.mark.parametrize("axis", [0, 1])
def test_vmap_keeps_an_argument_that_is_returned(add_one: Any, axis: int) -> None:
    def function(x: Any) -> Any:
        y = add_one(x)
        add_one(y)
        return x, y

    batch = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    expected = batch.T if axis else batch
    whole, same = gpuops.vmap(function, in_dims=axis)(batch.copy())
    assert whole.tolist() == same.tolist() == (expected + 2).tolist()


@pytest.mark.filterwarnings("ignore::gpuops.PerformanceWarning")
def test_vmap_of_outputs_that_are_arguments_and_others(ns: str) -> None:
    with Library(ns, "FRAGMENT") as library:
        library.define("both(Array(a!) x, Array y) -> (Array(a!), Array)")
        library.impl("both", lambda x, y: (np.add(x, y, out=x), x - y), "cpu")
        both = getattr(gpuops.ops, ns).both
        x, y = np.ones((3, 2)), np.full((3, 2), 2.0)
        same, other = gpuops.vmap(both)(x, y)
        assert same.tolist() == x.tolist() == np.full((3, 2), 3).tolist()
        assert other.tolist() == np.ones((3, 2)).tolist()


def test_gradients_refuse_aliases(first: Any, add_one: Any) -> None:  # V14, R15
    for op in (first, add_one):
        with pytest.raises(gpuops.RegistrationError, match="for non-functional operator"):
            gpuops.register_autograd(op, lambda ctx, g: g)

    def loss(x: Any) -> Any:
        add_one(first(x))
        return xp.sum(x)

    with pytest.raises(GradientError, match="writes to an array of which there are views"):
        gpuops.grad(loss)(X)
