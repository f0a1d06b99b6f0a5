"""`ArrayMethods`: what makes a wrapper behave as an array.

Operators (``a + b``), methods (``a.sum(0)``), indexing and NumPy's functions (``np.exp(a)``) become
calls of the operators in the namespace ``xp``, whose names are those of the Array API standard and,
where it has none, of NumPy. They are looked up when they are called: the layer that defines them
is above this one. Two operators write: ``xp::setitem(x, key, value)`` and ``xp::copyto(dst, src)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gpuops import ops
from gpuops.errors import ArgumentError, GpuopsError
from gpuops.transforms.numpy_names import (
    CREATION,
    METADATA,
    METHODS,
    REDUCTIONS,
    UFUNCS,
    is_default,
    xp_name,
)

__all__ = ["ArrayMethods", "provide_namespace"]


class _Functions:
    """The functions of the namespace ``xp``: of the module that provides them, or the operators."""

    def __init__(self) -> None:
        self.module: Any = None

    def __getattr__(self, name: str) -> Any:
        if self.module is None:
            # Looking something up in `ops.xp` loads the layer that defines it.
            operator = getattr(ops.__getattr__("xp"), name)
            if self.module is None:
                return operator
        value = getattr(self.module, name)
        setattr(self, name, value)
        return value


xp = _Functions()


def provide_namespace(module: Any) -> None:
    """Let `module` provide the functions that wrappers call, and be their array namespace.

    Its functions take what NumPy's and the standard's take (numbers beside arrays, an int for a
    tuple of axes) and call the operators. Without such a module the operators are called.
    """
    vars(xp).clear()
    xp.module = module


def _binary(name: str) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    def forward(self: Any, other: Any) -> Any:
        return getattr(xp, name)(self, other)

    def reflected(self: Any, other: Any) -> Any:
        return getattr(xp, name)(other, self)

    def in_place(self: Any, other: Any) -> Any:
        xp.copyto(self, getattr(xp, name)(self, other))
        return self

    return forward, reflected, in_place


def _unary(name: str) -> Callable[[Any], Any]:
    def forward(self: Any) -> Any:
        return getattr(xp, name)(self)

    return forward


def _reduction(name: str, *names: str, renamed: dict[str, str] | None = None) -> Callable[..., Any]:
    """A method ``x.name(axis, dtype, out, ...)``: positional arguments get NumPy's names."""
    rename = renamed or {}

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if len(args) > len(names):
            raise TypeError(
                f"{name}() takes at most {len(names)} arguments, {len(args)} were given"
            )
        given = dict(zip(names, args, strict=False))
        if repeated := given.keys() & kwargs.keys():
            raise TypeError(f"{name}() got several values for {', '.join(sorted(repeated))}")
        given |= kwargs
        out = given.pop("out", None)
        passed = {rename.get(key, key): v for key, v in given.items() if v is not None}
        return _into(out, getattr(xp, name)(self, **passed))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"See ``numpy.ndarray.{name}``."
    return method


def _into(out: Any, result: Any) -> Any:
    """The result, or `out` after the result was written to it."""
    if isinstance(out, tuple):
        (out,) = out
    if out is None:
        return result
    if out.shape != result.shape:
        raise ValueError(f"out has the shape {out.shape}, the result {result.shape}")
    xp.copyto(out, result)
    return out


class ArrayMethods:
    """Operators, methods and NumPy protocols of an array, as calls of ``xp`` operators.

    A class that inherits it has `shape`, `dtype`, `ndim` and `size`.
    """

    __slots__ = ()

    shape: Any
    dtype: Any
    device: Any
    ndim: Any

    # -- operators ---------------------------------------------------------------------------------

    # The two that the time of a fake call is measured with are written out: a frame less.
    def __add__(self, other: Any) -> Any:
        return xp.add(self, other)

    def __mul__(self, other: Any) -> Any:
        return xp.multiply(self, other)

    _, __radd__, __iadd__ = _binary("add")
    _, __rmul__, __imul__ = _binary("multiply")
    __sub__, __rsub__, __isub__ = _binary("subtract")
    __truediv__, __rtruediv__, __itruediv__ = _binary("divide")
    __floordiv__, __rfloordiv__, __ifloordiv__ = _binary("floor_divide")
    __mod__, __rmod__, __imod__ = _binary("remainder")
    __pow__, __rpow__, __ipow__ = _binary("pow")
    __matmul__, __rmatmul__, __imatmul__ = _binary("matmul")
    __and__, __rand__, __iand__ = _binary("bitwise_and")
    __or__, __ror__, __ior__ = _binary("bitwise_or")
    __xor__, __rxor__, __ixor__ = _binary("bitwise_xor")
    __lshift__, __rlshift__, __ilshift__ = _binary("bitwise_left_shift")
    __rshift__, __rrshift__, __irshift__ = _binary("bitwise_right_shift")
    __lt__, _, _ = _binary("less")
    __le__, _, _ = _binary("less_equal")
    __gt__, _, _ = _binary("greater")
    __ge__, _, _ = _binary("greater_equal")
    __eq__, _, _ = _binary("equal")
    __ne__, _, _ = _binary("not_equal")
    __hash__ = None  # type: ignore[assignment]  # as NumPy's arrays
    __neg__ = _unary("negative")
    __pos__ = _unary("positive")
    __abs__ = _unary("abs")
    __invert__ = _unary("bitwise_invert")

    def __divmod__(self, other: Any) -> Any:
        return xp.floor_divide(self, other), xp.remainder(self, other)

    def __rdivmod__(self, other: Any) -> Any:
        return xp.floor_divide(other, self), xp.remainder(other, self)

    # -- indexing ----------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        return xp.getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        xp.setitem(self, key, value)

    def __iter__(self) -> Iterator[Any]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[index] for index in range(self.shape[0]))

    # -- methods -----------------------------------------------------------------------------------

    sum = _reduction("sum", "axis", "dtype", "out", "keepdims")
    prod = _reduction("prod", "axis", "dtype", "out", "keepdims")
    max = _reduction("max", "axis", "out", "keepdims")
    min = _reduction("min", "axis", "out", "keepdims")
    all = _reduction("all", "axis", "out", "keepdims")
    any = _reduction("any", "axis", "out", "keepdims")
    argmax = _reduction("argmax", "axis", "out", "keepdims")
    argmin = _reduction("argmin", "axis", "out", "keepdims")
    mean = _reduction("mean", "axis", "dtype", "out", "keepdims")
    std = _reduction(
        "std", "axis", "dtype", "out", "ddof", "keepdims", renamed={"ddof": "correction"}
    )
    var = _reduction(
        "var", "axis", "dtype", "out", "ddof", "keepdims", renamed={"ddof": "correction"}
    )
    argsort = _reduction("argsort", "axis")
    clip = _reduction("clip", "min", "max", "out", renamed={"a_min": "min", "a_max": "max"})
    repeat = _reduction("repeat", "repeats", "axis")
    take = _reduction("take", "indices", "axis", "out")
    round = _reduction("round", "decimals", "out")

    def cumsum(self, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
        """See ``numpy.ndarray.cumsum``."""
        return self._cumulate(xp.cumulative_sum, axis, dtype, out)

    def cumprod(self, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
        """See ``numpy.ndarray.cumprod``."""
        return self._cumulate(xp.cumulative_prod, axis, dtype, out)

    def _cumulate(self, function: Any, axis: int | None, dtype: Any, out: Any) -> Any:
        flat = self if axis is not None or self.ndim == 1 else self.reshape(-1)
        dtypes = {} if dtype is None else {"dtype": dtype}
        return _into(out, function(flat, axis=0 if axis is None else axis, **dtypes))

    def astype(self, dtype: Any, *, copy: bool = True) -> Any:
        """See ``numpy.ndarray.astype``."""
        return xp.astype(self, dtype, copy=copy)

    def copy(self, order: str = "C") -> Any:
        """See ``numpy.ndarray.copy``; the copy is C-contiguous, as the method's is in NumPy."""
        if order == "K":
            return xp.astype(self, self.dtype, copy=True)
        return xp.reshape(self, self.shape, order=order, copy=True)

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
        """See ``numpy.ndarray.reshape``."""
        sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        if copy is None:
            return xp.reshape(self, tuple(sizes), order)
        return xp.reshape(self, tuple(sizes), order, copy=copy)

    def ravel(self, order: str = "C") -> Any:
        """See ``numpy.ndarray.ravel``."""
        return xp.ravel(self) if order == "C" else xp.ravel(self, order)

    def flatten(self, order: str = "C") -> Any:
        """See ``numpy.ndarray.flatten``: always a copy."""
        if order == "K":
            flat = xp.ravel(self, order)
            return xp.reshape(flat, flat.shape, copy=True)
        return xp.reshape(self, (-1,), order, copy=True)

    def transpose(self, *axes: Any) -> Any:
        """See ``numpy.ndarray.transpose``."""
        if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
            axes = tuple(axes[0] or ())
        return xp.permute_dims(self, axes) if axes else xp.transpose(self)

    @property
    def T(self) -> Any:  # NumPy's name
        """The axes in reverse order."""
        return xp.transpose(self)

    @property
    def mT(self) -> Any:  # NumPy's name
        """The last two axes exchanged."""
        return xp.matrix_transpose(self)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """See ``numpy.ndarray.swapaxes``."""
        axes = list(range(self.ndim))
        axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
        return xp.permute_dims(self, tuple(axes))

    def squeeze(self, axis: Any = None) -> Any:
        """See ``numpy.ndarray.squeeze``."""
        if axis is None:
            axis = tuple(i for i, size in enumerate(self.shape) if size == 1)
        return xp.squeeze(self, axis)

    def dot(self, other: Any) -> Any:
        """See ``numpy.ndarray.dot``."""
        if self.ndim == 0 or getattr(other, "ndim", 0) == 0:
            return xp.multiply(self, other)
        axes = ((self.ndim - 1,), (max(other.ndim - 2, 0),))
        return xp.tensordot(self, other, axes=axes)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        """See ``numpy.ndarray.diagonal``."""
        moved = xp.moveaxis(self, (axis1, axis2), (-2, -1))
        return xp.linalg.diagonal(moved, offset=offset)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Any:
        """See ``numpy.ndarray.trace``."""
        return self.diagonal(offset, axis1, axis2).sum(-1, dtype=dtype)

    def searchsorted(self, v: Any, side: str = "left", sorter: Any = None) -> Any:
        """See ``numpy.ndarray.searchsorted``."""
        return xp.searchsorted(self, v, side=side, sorter=sorter)

    def nonzero(self) -> Any:
        """See ``numpy.ndarray.nonzero``."""
        return xp.nonzero(self)

    def sort(self, axis: int = -1) -> None:
        """See ``numpy.ndarray.sort``: it writes to the array."""
        xp.copyto(self, xp.sort(self, axis=axis))

    def fill(self, value: Any) -> None:
        """See ``numpy.ndarray.fill``."""
        xp.copyto(self, value)

    def conj(self) -> Any:
        """See ``numpy.ndarray.conj``."""
        return xp.conj(self) if self.dtype.kind == "c" else self

    conjugate = conj

    @property
    def real(self) -> Any:
        """The real part."""
        return xp.real(self) if self.dtype.kind == "c" else self

    @property
    def imag(self) -> Any:
        """The imaginary part."""
        return xp.imag(self) if self.dtype.kind == "c" else xp.zeros_like(self)

    def to_device(self, device: Any, /, *, stream: Any = None) -> Any:
        """The array on a device; see the Array API standard."""
        if stream is not None:
            raise ArgumentError("to_device: streams are not supported, pass none")
        return xp.to_device(self, device)

    # -- protocols ---------------------------------------------------------------------------------

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
            raise ValueError(f"the array API version {api_version!r} is not supported")
        xp.add  # noqa: B018  # loads the namespace
        return ops.__getattr__("xp") if xp.module is None else xp.module

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = UFUNCS.get(ufunc, ufunc.__name__)
        out = kwargs.pop("out", None)
        if method == "__call__":
            result = _call_ufunc(name, inputs, kwargs)
        elif method == "reduce" and ufunc in REDUCTIONS:
            result = _reduce(REDUCTIONS[ufunc], *inputs, **kwargs)
        elif method == "accumulate" and ufunc in (np.add, np.multiply):
            cumulate = xp.cumulative_sum if ufunc is np.add else xp.cumulative_prod
            result = cumulate(inputs[0], axis=kwargs.get("axis", 0))
        elif method == "outer" and not kwargs:
            left, right = inputs
            result = _call_ufunc(name, (left[(..., *(None,) * np.ndim(right))], right), {})
        else:
            raise ArgumentError(f"np.{ufunc.__name__}.{method} is no operator: {type(self)!r}")
        return _into(out, result)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        metadata = METADATA.get(function)
        if metadata is not None:
            return metadata(*args, **kwargs)
        out = kwargs.pop("out", None)
        # Of `ravel`, "K" is not the order that it has by default.
        kept = {k: v for k, v in kwargs.items() if function is np.ravel or not is_default(k, v)}
        method = METHODS.get(function)
        if method is not None and args and isinstance(args[0], ArrayMethods):
            return _into(out, getattr(args[0], method)(*args[1:], **kept))
        if function in CREATION and not any(isinstance(arg, ArrayMethods) for arg in args):
            # ``np.empty(3, like=x)``
            return self._create(xp_name(function), args, kept)
        if function in (np.allclose, np.array_equal):
            return _all_equal(function, *args, **kept)
        if function is np.copy:
            # In the array's own order of axes, unlike the method.
            return xp.astype(args[0], args[0].dtype, copy=True)
        name = xp_name(function)
        owner: Any = xp
        for part in name.split("."):
            try:
                owner = getattr(owner, part)
            except (AttributeError, GpuopsError):
                raise ArgumentError(
                    f"{function.__module__}.{function.__name__} has no operator xp::{name}, so it "
                    f"cannot take a {type(self).__name__}"
                ) from None
        return _into(out, owner(*args, **kept))

    def _create(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a creation function with ``like=`` this array makes: on its device."""
        return getattr(xp, name)(*args, **{"device": self.device, **kwargs})


def _all_equal(function: Any, a: Any, b: Any, **kwargs: Any) -> bool:
    """``np.allclose`` and ``np.array_equal``: a bool, so that only shapes can decide it."""
    if function is np.array_equal and np.shape(a) != np.shape(b):
        return False
    compare = xp.isclose if function is np.allclose else xp.equal
    return bool(compare(a, b, **kwargs).all())


def _call_ufunc(name: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    dtype = kwargs.pop("dtype", None)
    for key, value in kwargs.items():
        if not is_default(key, value):
            raise ArgumentError(f"np.{name}({key}={value!r}) is no operator")
    if dtype is not None:
        inputs = tuple(xp.astype(x, dtype) if hasattr(x, "dtype") else x for x in inputs)
    return getattr(xp, name)(*inputs)


def _reduce(
    name: str,
    array: Any,
    axis: Any = 0,
    dtype: Any = None,
    keepdims: bool = False,
    **kwargs: Any,
) -> Any:
    for key, value in kwargs.items():
        if not is_default(key, value):
            raise ArgumentError(f"np.{name}({key}={value!r}) is no operator")
    dtypes = {} if dtype is None else {"dtype": dtype}
    return getattr(xp, name)(array, axis=axis, keepdims=keepdims, **dtypes)
