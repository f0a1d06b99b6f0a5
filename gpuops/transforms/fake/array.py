"""`FakeArray`: an array without data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter, index
from typing import Any, NoReturn

import numpy as np

from gpuops.devices import Device
from gpuops.errors import ArgumentError, FakeDataError, ShapeError, describe
from gpuops.symbols import is_symbolic, product
from gpuops.transforms.array_methods import ArrayMethods, xp
from gpuops.transforms.fake import context
from gpuops.transforms.fake.keys import with_fakes
from gpuops.transforms.fake.layout import (
    ALIGNED,
    OWNDATA,
    WRITEABLE,
    Flags,
    contiguous_strides,
    is_contiguous,
)

__all__ = ["FakeArray"]

Size = Any
"""An int or a `SymInt`."""

_FRESH = OWNDATA | WRITEABLE | ALIGNED


class FakeArray(ArrayMethods):
    """An array without data: shape, dtype, device and strides, in a few hundred bytes at any size.

    It stands for a NumPy array on "cpu" and a CuPy array on "cuda", and needs neither CuPy nor a
    GPU. Operators run their fake kernel on it and never a real one; arithmetic, indexing, methods
    and ``np.*`` functions are operators too. Whatever would need data raises `FakeDataError`.

    Args:
        shape: an int or a sequence of ints, each possibly a `SymInt`.
        dtype: as `numpy.dtype` takes it.
        device: such as ``"cuda:1"``, or a `Device`.
        strides: in bytes; without it those of a new contiguous array.
        order: ``"C"`` or ``"F"``, where there are no strides.
        writeable: whether operators may write to it.

    Raises:
        ShapeError: a negative size, strides of another length than the shape.
        ArgumentError: a size that is no int, an unknown order.
        DeviceError: an unknown device.

    >>> x = FakeArray((10**6, 10**9), "float32", "cuda:1")
    >>> x
    FakeArray(shape=(1000000, 1000000000), dtype=float32, device='cuda:1')
    >>> x.strides, x.nbytes, x.flags.c_contiguous
    ((4000000000, 4), 4000000000000000, True)
    >>> float(FakeArray((), "float32"))
    Traceback (most recent call last):
    ...
    gpuops.errors.FakeDataError: float(x) needs data, and a fake array has no data: \
FakeArray(shape=(), dtype=float32, device='cpu')
    """

    __slots__ = (
        "__weakref__",
        "_base",
        "_bits",
        "_device",
        "_dtype",
        "_mode",
        "_shape",
        "_strides",
    )

    # NumPy's operators leave mixed expressions to this class.
    __array_priority__ = 1000

    def __init__(
        self,
        shape: int | Sequence[Size],
        dtype: Any = np.float64,
        device: str | Device = "cpu",
        strides: Sequence[Size] | None = None,
        *,
        order: str = "C",
        writeable: bool = True,
    ) -> None:
        self._shape = _checked_shape(shape)
        self._dtype = np.dtype(dtype)
        self._device = Device(device)
        if order not in ("C", "F"):
            raise ArgumentError(f"FakeArray: order must be 'C' or 'F', got {order!r}")
        if strides is not None:
            strides = tuple(map(_integer, strides))
            if len(strides) != len(self._shape):
                raise ShapeError(
                    f"FakeArray: {len(strides)} strides were given for the shape {self._shape}"
                )
        elif order == "F":
            strides = contiguous_strides(self._shape, self._dtype.itemsize, "F")
        self._strides: tuple[Size, ...] | None = strides
        self._bits = _FRESH if writeable else _FRESH & ~WRITEABLE
        self._base: FakeArray | None = None
        self._mode = context.current_mode()

    # -- metadata ----------------------------------------------------------------------------------

    # `attrgetter` and not a function: it is C, and shapes are read all the time.
    shape = property(attrgetter("_shape"), doc="The sizes, a tuple of ints and `SymInt`s.")
    dtype = property(attrgetter("_dtype"), doc="The `numpy.dtype` of the elements.")
    device = property(attrgetter("_device"), doc="The `Device`.")
    base = property(attrgetter("_base"), doc="The array that a view is of; None if it is none.")
    fake_mode = property(attrgetter("_mode"), doc="The `FakeMode` it was made in, or None.")

    @property
    def strides(self) -> tuple[Size, ...]:
        """The steps in bytes from an element to the next along each axis."""
        strides = self._strides
        if strides is None:
            # Most fakes are made and dropped with nobody asking.
            strides = self._strides = contiguous_strides(self._shape, self._dtype.itemsize)
        return strides

    @property
    def flags(self) -> Flags:
        """Memory layout, as ``numpy.ndarray.flags``."""
        return Flags(self)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._shape)

    @property
    def size(self) -> Size:
        """The number of elements."""
        return product(self._shape)

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return int(self._dtype.itemsize)

    @property
    def nbytes(self) -> Size:
        """Bytes of all elements."""
        return self.size * self._dtype.itemsize

    @property
    def is_c_contiguous(self) -> bool:
        """Whether a new array of the shape has these strides; quick where nobody set any."""
        return self._strides is None or is_contiguous(
            self._shape, self._strides, self._dtype.itemsize
        )

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("len() of unsized object: the fake array has no axes")
        return index(self._shape[0])

    def __repr__(self) -> str:
        strides = "" if self.is_c_contiguous else f", strides={self._strides}"
        shape = f"({', '.join(map(str, self._shape))}{',' * (len(self._shape) == 1)})"
        return (
            f"FakeArray(shape={shape}, dtype={self._dtype}, device={str(self._device)!r}{strides})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the mode, which is of its process.
        return FakeArray, (
            self._shape,
            self._dtype,
            str(self._device),
            self._strides,
        )

    # -- new arrays from metadata ------------------------------------------------------------------

    def new_empty(
        self,
        shape: int | Sequence[Size],
        dtype: Any = None,
        device: str | Device | None = None,
        *,
        strides: Sequence[Size] | None = None,
        order: str = "C",
    ) -> FakeArray:
        """A new array of the same dtype and on the same device, unless others are given.

        Args:
            shape: its sizes.
            dtype: its dtype; this array's by default.
            device: its device; this array's by default.
            strides: in bytes; without it those of a new contiguous array.
            order: ``"C"`` or ``"F"``, where there are no strides.

        Raises:
            ShapeError, ArgumentError, DeviceError: as for `FakeArray`.

        >>> FakeArray((2, 3), "float32").new_empty((4,), "int8")
        FakeArray(shape=(4,), dtype=int8, device='cpu')
        """
        if strides is None and order == "C":
            made = _new(FakeArray)
            made._shape = shape if shape is self._shape else _checked_shape(shape)
            made._dtype = self._dtype if dtype is None else np.dtype(dtype)
            made._device = self._device if device is None else Device(device)
            made._strides = None
            made._bits = _FRESH
            made._base = None
            made._mode = self._mode
            return made
        made = FakeArray(
            shape,
            self._dtype if dtype is None else dtype,
            self._device if device is None else device,
            strides,
            order=order,
        )
        made._mode = self._mode
        return made

    def new_view(
        self,
        shape: tuple[Size, ...],
        strides: tuple[Size, ...],
        dtype: np.dtype[Any] | None = None,
        *,
        writeable: bool | None = None,
    ) -> FakeArray:
        """A view: an array that shares the memory of this one, which becomes its `base`.

        Args:
            shape: its sizes; not checked.
            strides: in bytes.
            dtype: its dtype; this array's by default.
            writeable: whether operators may write to it; by default as to this array.

        >>> x = FakeArray((2, 3), "float32")
        >>> x.new_view((3, 2), (4, 12)).base is x
        True
        """
        made = _new(FakeArray)
        made._shape = shape
        made._dtype = self._dtype if dtype is None else dtype
        made._device = self._device
        made._strides = strides
        bits = self._bits & ~OWNDATA
        if writeable is not None:
            bits = bits | WRITEABLE if writeable else bits & ~WRITEABLE
        made._bits = bits
        made._base = self if self._base is None else self._base
        made._mode = self._mode
        return made

    @classmethod
    def raw(
        cls,
        shape: tuple[Size, ...],
        dtype: np.dtype[Any],
        device: Device,
        strides: tuple[Size, ...] | None,
        mode: Any,
        bits: int = _FRESH,
    ) -> FakeArray:
        """An array from metadata that is right already: nothing is checked or converted.

        Args:
            shape: its sizes.
            dtype: its dtype.
            device: its device.
            strides: in bytes; None for those of a new C-contiguous array.
            mode: the `FakeMode` it belongs to, or None.
            bits: the flags; see `gpuops.transforms.fake.layout`.
        """
        made = _new(cls)
        made._shape = shape
        made._dtype = dtype
        made._device = device
        made._strides = strides
        made._bits = bits
        made._base = None
        made._mode = mode
        return made

    def _create(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> FakeArray:
        from gpuops.transforms.fake.mode import FakeMode  # it makes fakes, and so comes later

        with self._mode or FakeMode():
            made: FakeArray = super()._create(name, args, kwargs)
        made._mode = self._mode
        return made

    def __getitem__(self, key: Any) -> Any:
        cls = type(key)
        plain = cls in _PLAIN or (cls is tuple and _only_plain(map(type, key)))
        return xp.getitem(self, key if plain else with_fakes(self, key))

    def __setitem__(self, key: Any, value: Any) -> None:
        xp.setitem(self, with_fakes(self, key), value)

    # -- what needs data ---------------------------------------------------------------------------

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NoReturn:
        _no_data(self, "an array of numbers (numpy.asarray(x) and the like)")

    def __bool__(self) -> NoReturn:
        _no_data(self, "bool(x), or a branch on x,")

    def __int__(self) -> NoReturn:
        _no_data(self, "int(x)")

    def __float__(self) -> NoReturn:
        _no_data(self, "float(x)")

    def __complex__(self) -> NoReturn:
        _no_data(self, "complex(x)")

    def __index__(self) -> NoReturn:
        _no_data(self, "x as an index or a size")

    def __contains__(self, item: object) -> NoReturn:
        _no_data(self, "`item in x`")

    def __dlpack__(self, **kwargs: Any) -> NoReturn:
        _no_data(self, "DLPack export")

    def __dlpack_device__(self) -> NoReturn:
        _no_data(self, "DLPack export")

    def __getattr__(self, name: str) -> Any:
        # Only called for what the class does not have, or for a property that failed.
        if name in _DATA_ATTRIBUTES:
            _no_data(self, f"x.{name}")
        if hasattr(FakeArray, name):
            return object.__getattribute__(self, name)
        raise AttributeError(f"a fake array has no attribute {name!r}: {self!r}")

    @property
    def _numba_type_(self) -> NoReturn:
        # What Numba asks for before it compiles a kernel for an argument.
        _no_data(self, "a kernel compiled by Numba")


_new: Callable[[type[FakeArray]], FakeArray] = object.__new__

# Parts of keys that are no arrays and become none.
_PLAIN = frozenset({int, slice, type(None), type(...)})
_only_plain = _PLAIN.issuperset

# Not `__array_interface__`, `__array_struct__` and `__cuda_array_interface__`: libraries look
# whether they are there, and would take the error for a reason to stop.
_DATA_ATTRIBUTES = frozenset(
    {"ctypes", "data", "flat", "item", "tolist", "tobytes", "tofile", "get", "dump", "dumps"}
)


def _no_data(array: FakeArray, what: str) -> NoReturn:
    scope = context.current_fake()
    where = "" if scope is None else f"; it was asked for in {scope.describe()}"
    raise FakeDataError(f"{what} needs data, and a fake array has no data: {array!r}{where}")


def _checked_shape(shape: Any) -> tuple[Size, ...]:
    if type(shape) is tuple:
        for size in shape:
            if type(size) is not int or size < 0:
                break
        else:
            return shape
    if not isinstance(shape, (tuple, list)):
        shape = (shape,) if not hasattr(shape, "__iter__") else tuple(shape)
    sizes = tuple(map(_integer, shape))
    for size in sizes:
        if isinstance(size, int) and size < 0:
            raise ShapeError(f"a fake array's sizes must be at least 0, got {sizes}")
    return sizes


def _integer(value: Any) -> Size:
    if is_symbolic(value):
        return value
    try:
        return index(value)
    except TypeError:
        raise ArgumentError(
            f"the sizes and strides of a fake array are ints, got {describe(value)}"
        ) from None
