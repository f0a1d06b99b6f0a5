"""`gradcheck` and `gradgradcheck`: gradients beside finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuops.convert import wrapper_types
from gpuops.devices import array_kind
from gpuops.errors import GpuopsError, UsageError, describe
from gpuops.transforms.autograd.api import stop_gradient, vjp
from gpuops.transforms.pytree import tree

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(GpuopsError, RuntimeError, AssertionError):
    """A gradient differs from finite differences; the text has both numbers."""


_SEED = 20240229
"""The weights of outputs are the same in every run, so that a failure can be repeated."""


def gradcheck(
    fn: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the gradients of a function are those that finite differences give.

    Outputs are combined with random weights, twice; every element of every input is moved by
    ``eps`` to both sides (of complex ones, real and imaginary part), and the difference of the
    combined output is compared with the gradient. The reverse pass is made twice, and has to give
    the same again.

    Args:
        fn: returns floating-point or complex arrays, or a pytree of them.
        inputs: its arguments, an array or a tuple of them. Floating-point and complex arrays are
            checked, anything else is passed on.
        eps: the step.
        atol: what a gradient may differ by.
        rtol: likewise, per unit of the numerical one.
        raise_exception: if False, a difference makes the result False.

    Returns:
        True; False if there is a difference and `raise_exception` is False.

    Raises:
        GradcheckError: there is a difference; the message has the input, the element and both
            numbers.
        UsageError: there is no array to check, or one has fewer digits than float64.

    >>> import numpy as np
    >>> gradcheck(lambda x, y: x * y, (np.array([1.0, 2.0]), np.array(3.0)))
    True
    """
    try:
        _Check(fn, inputs, eps, atol, rtol).run()
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    fn: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the gradients of a function's gradients are right; see `gradcheck`.

    Args:
        fn: see `gradcheck`.
        inputs: see `gradcheck`.
        grad_outputs: the gradient of each output, an array or a tuple of them; by default random.
        eps: see `gradcheck`.
        atol: see `gradcheck`.
        rtol: see `gradcheck`.
        raise_exception: see `gradcheck`.

    Returns:
        See `gradcheck`.

    Raises:
        GradcheckError, UsageError: see `gradcheck`.

    >>> import numpy as np
    >>> gradgradcheck(lambda x: x * x * x, np.array([1.0, 2.0]))
    True
    """
    given = _arguments(inputs)
    leaves, structure = tree().tree_flatten(fn(*given))
    if grad_outputs is None:
        rng = np.random.default_rng(_SEED)
        weights = [_weights(rng, leaf) for leaf in leaves]
    else:
        weights = tree().tree_leaves(grad_outputs)
    checked = [number for number, value in enumerate(given) if _is_checked(value)]

    def gradients(*args: Any) -> Any:
        arrays, cotangents = args[: len(checked)], args[len(checked) :]
        full = list(given)
        for number, array in zip(checked, arrays, strict=True):
            full[number] = array

        def of_checked(*chosen: Any) -> Any:
            for number, array in zip(checked, chosen, strict=True):
                full[number] = array
            return fn(*full)

        _, backward = vjp(of_checked, *arrays)
        return backward(tree().tree_unflatten(structure, list(cotangents)))

    return gradcheck(
        gradients,
        (*(given[number] for number in checked), *weights),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
    )


class _Check:
    def __init__(
        self, fn: Callable[..., Any], inputs: Any, eps: float, atol: float, rtol: float
    ) -> None:
        self.fn = fn
        self.name = getattr(fn, "__name__", repr(fn))
        self.eps, self.atol, self.rtol = eps, atol, rtol
        self.inputs = _arguments(inputs)
        self.checked = [number for number, value in enumerate(self.inputs) if _is_checked(value)]
        if not self.checked:
            raise UsageError(
                "gradcheck: expected at least one floating-point or complex array among the "
                f"inputs, got {', '.join(map(describe, self.inputs)) or 'none'}"
            )
        for number in self.checked:
            if self.inputs[number].dtype not in (np.float64, np.complex128):
                raise UsageError(
                    f"gradcheck: input {number} is {self.inputs[number].dtype}; finite differences "
                    "need the digits of float64 or complex128"
                )

    def run(self) -> None:
        """Compare.

        Raises:
            GradcheckError: there is a difference.
        """
        arrays = [self.inputs[number] for number in self.checked]
        out, backward = vjp(self._of_checked, *arrays)
        leaves, structure = tree().tree_flatten(out)
        for leaf in leaves:
            if not _is_array(leaf):
                raise UsageError(f"gradcheck: {self.name} must return arrays, got {describe(leaf)}")
        rng = np.random.default_rng(_SEED)
        for _ in range(2):
            weights = [_weights(rng, leaf) if leaf.dtype.kind in "fc" else leaf for leaf in leaves]
            cotangents = tree().tree_unflatten(structure, weights)
            found = backward(cotangents, retain_graph=True)
            again = backward(cotangents, retain_graph=True)
            for number, array, gradient, repeated in zip(
                self.checked, arrays, found, again, strict=True
            ):
                gradient, repeated = _host(gradient), _host(repeated)
                if not np.array_equal(gradient, repeated, equal_nan=True):
                    raise GradcheckError(
                        f"gradcheck: the gradient of {self.name} with respect to input {number} "
                        "is not reproducible: two reverse passes differ by up to "
                        f"{np.max(np.abs(gradient - repeated)):.3g}"
                    )
                self._compare(number, array, gradient, [_host(weight) for weight in weights])

    def _of_checked(self, *arrays: Any) -> Any:
        full = list(self.inputs)
        for number, array in zip(self.checked, arrays, strict=True):
            full[number] = array
        return self.fn(*full)

    def _compare(
        self, number: int, array: Any, gradient: np.ndarray, weights: list[np.ndarray]
    ) -> None:
        steps = (1.0, 1j) if array.dtype.kind == "c" else (1.0,)
        for position in np.ndindex(*array.shape):
            numerical: complex = 0.0
            for step in steps:
                numerical += step * self._difference(number, array, position, step, weights)
            analytical = gradient[position]
            if array.dtype.kind != "c":
                numerical, analytical = numerical.real, analytical.real
            error = abs(analytical - numerical)
            # Written so that nan is a difference.
            if not error <= self.atol + self.rtol * abs(numerical):
                raise GradcheckError(
                    f"gradcheck: the gradient of {self.name} with respect to input {number} "
                    f"({describe(array)}) is wrong at element {position}: numerical "
                    f"{numerical:.8g}, analytical {analytical:.8g} (of the outputs' sum with "
                    f"random weights; difference {error:.3g}, allowed "
                    f"{self.atol + self.rtol * abs(numerical):.3g})"
                )

    def _difference(
        self,
        number: int,
        array: Any,
        position: tuple[int, ...],
        step: complex,
        weights: list[np.ndarray],
    ) -> float:
        """The derivative of the combined output in one direction."""
        values = []
        for sign in (1, -1):
            moved = _host(array).copy()
            moved[position] += sign * step * self.eps
            full = list(self.inputs)
            full[number] = _like(array, moved)
            outputs = tree().tree_leaves(self.fn(*full))
            values.append(
                sum(
                    np.vdot(weight, _host(output)).real
                    for weight, output in zip(weights, outputs, strict=True)
                    if output.dtype.kind in "fc"
                )
            )
        return float((values[0] - values[1]) / (2 * self.eps))


def _arguments(inputs: Any) -> list[Any]:
    given = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    # What indexing or computing with NumPy's arrays gives for 0-d results.
    return [np.asarray(value) if isinstance(value, np.generic) else value for value in given]


def _is_array(value: Any) -> bool:
    return type(value) in wrapper_types or array_kind(type(value)) is not None


def _is_checked(value: Any) -> bool:
    return _is_array(value) and value.dtype.kind in "fc"


def _weights(rng: np.random.Generator, like: Any) -> Any:
    numbers: Any = rng.standard_normal(like.shape)
    if like.dtype.kind == "c":
        numbers = numbers + 1j * rng.standard_normal(like.shape)
    return _like(like, np.asarray(numbers, like.dtype))


def _like(like: Any, array: np.ndarray) -> Any:
    """A NumPy array on the device of another."""
    kind = array_kind(type(like))
    if kind is None or kind.device_type == "cpu":
        return array
    from gpuops.cuda.transfer import asarray

    return asarray(array, device="cuda")


def _host(array: Any) -> np.ndarray:
    """An array as NumPy's."""
    value = stop_gradient(array)
    get = getattr(value, "get", None)
    return np.asarray(get() if get is not None else value)
