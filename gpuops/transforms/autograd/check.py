"""`gradcheck` and `gradgradcheck`: gradients beside finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        inputs: its arguments, one or a tuple of them: arrays, or pytrees of arrays.
            Floating-point and complex arrays are checked, anything else is passed on.
        eps: the step, above 0.
        atol: what a gradient may differ by.
        rtol: likewise, per unit of the numerical one.
        raise_exception: if False, a difference makes the result False.

    Returns:
        True; False if there is a difference and `raise_exception` is False.

    Raises:
        GradcheckError: there is a difference; the message has the input, the element and both
            numbers.
        UsageError: `fn` is not callable, there is no array to check, or one has fewer digits than
            float64.

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
    given = _Inputs("gradgradcheck", fn, inputs)
    found, structure = tree().tree_flatten(given.call(given.arrays))
    leaves = list(map(_unboxed, found))
    for leaf in leaves:
        if not _is_array(leaf):
            raise UsageError(f"gradgradcheck: {_name(fn)} must return arrays, got {describe(leaf)}")
    if grad_outputs is None:
        rng = np.random.default_rng(_SEED)
        weights = [_weights(rng, leaf) for leaf in leaves]
    else:
        weights = tree().tree_leaves(grad_outputs)
        if [w.shape for w in weights] != [leaf.shape for leaf in leaves]:
            raise UsageError(
                f"gradgradcheck: grad_outputs must have the shapes of what {_name(fn)} returns, "
                f"{', '.join(map(describe, leaves))}; got {', '.join(map(describe, weights))}"
            )

    def gradients(*args: Any) -> Any:
        arrays, cotangents = args[: len(given.arrays)], args[len(given.arrays) :]
        _, backward = vjp(lambda *chosen: given.call(chosen), *arrays)
        return backward(tree().tree_unflatten(structure, list(cotangents)))

    return gradcheck(
        gradients,
        (*given.arrays, *weights),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
    )


class _Inputs:
    """A function's arguments, taken apart.

    Attributes:
        arrays: those that are checked.
        names: what messages call them.
    """

    def __init__(self, check: str, fn: Callable[..., Any], inputs: Any) -> None:
        if not callable(fn):
            raise UsageError(f"{check} takes a function, got {describe(fn)}")
        given = list(inputs) if type(inputs) in (tuple, list) else [inputs]
        leaves, self._structure = tree().tree_flatten(given)
        self._leaves = list(map(_unboxed, leaves))
        self._fn = fn
        self._checked = [n for n, value in enumerate(self._leaves) if _is_checked(value)]
        paths = tree().treespec_paths(self._structure)
        self.names = [_place(paths[number]) for number in self._checked]
        self.arrays = [self._leaves[number] for number in self._checked]
        if not self.arrays:
            raise UsageError(
                f"{check}: expected at least one floating-point or complex array among the "
                f"inputs, got {', '.join(map(describe, given)) or 'none'}"
            )

    def call(self, arrays: Sequence[Any]) -> Any:
        """What the function returns for other arrays in the place of those that are checked."""
        leaves = list(self._leaves)
        for number, array in zip(self._checked, arrays, strict=True):
            leaves[number] = array
        return self._fn(*tree().tree_unflatten(self._structure, leaves))


class _Check:
    def __init__(
        self, fn: Callable[..., Any], inputs: Any, eps: float, atol: float, rtol: float
    ) -> None:
        self.name = _name(fn)
        self.eps, self.atol, self.rtol = eps, atol, rtol
        if not eps > 0:
            raise UsageError(f"gradcheck: eps must be above 0, got {eps!r}")
        self.inputs = _Inputs("gradcheck", fn, inputs)
        for name, array in zip(self.inputs.names, self.inputs.arrays, strict=True):
            if array.dtype not in (np.float64, np.complex128):
                raise UsageError(
                    f"gradcheck: input {name} is {array.dtype}; finite differences need the digits "
                    "of float64 or complex128"
                )

    def run(self) -> None:
        """Compare.

        Raises:
            GradcheckError: there is a difference.
        """
        arrays = self.inputs.arrays
        out, backward = vjp(lambda *chosen: self.inputs.call(chosen), *arrays)
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
            for number, (array, gradient, repeated) in enumerate(
                zip(arrays, found, again, strict=True)
            ):
                gradient, repeated = _host(gradient), _host(repeated)
                if not np.array_equal(gradient, repeated, equal_nan=True):
                    raise GradcheckError(
                        f"gradcheck: the gradient of {self.name} with respect to input "
                        f"{self.inputs.names[number]} is not reproducible: two reverse passes "
                        f"differ by up to {np.max(np.abs(gradient - repeated)):.3g}"
                    )
                self._compare(number, array, gradient, [_host(weight) for weight in weights])

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
                    f"gradcheck: the gradient of {self.name} with respect to input "
                    f"{self.inputs.names[number]} ({describe(array)}) is wrong at element "
                    f"{position}: numerical {numerical:.8g}, analytical {analytical:.8g} (of "
                    f"the outputs' sum with random weights; difference {error:.3g}, allowed "
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
            arrays = list(self.inputs.arrays)
            arrays[number] = _like(array, moved)
            outputs = tree().tree_leaves(self.inputs.call(arrays))
            values.append(
                sum(
                    np.vdot(weight, _host(output)).real
                    for weight, output in zip(weights, outputs, strict=True)
                    if output.dtype.kind in "fc"
                )
            )
        return float((values[0] - values[1]) / (2 * self.eps))


def _name(fn: Callable[..., Any]) -> str:
    return str(getattr(fn, "__name__", None) or repr(fn))


def _unboxed(value: Any) -> Any:
    """An array for what indexing or computing with NumPy's arrays gives for 0-d results."""
    return np.asarray(value) if isinstance(value, np.generic) else value


def _place(path: tuple[Any, ...]) -> str:
    """An input's number, and where in it an array is.

    >>> _place((0,)), _place((1, "w", 0))
    ('0', "1['w'][0]")
    """
    return str(path[0]) + "".join(f"[{key!r}]" for key in path[1:])


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
