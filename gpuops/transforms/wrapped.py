"""`WrappedArray`: what the wrappers of tracing, gradients and batching have in common."""

from __future__ import annotations

from typing import Any

from gpuops.devices import Device, device_of
from gpuops.symbols import product
from gpuops.transforms.array_methods import ArrayMethods, xp

__all__ = ["WrappedArray"]


class WrappedArray(ArrayMethods):
    """An array that stands for another one, its `value`, and has its metadata.

    Attributes:
        value: the array that it stands for: a real or fake one, or another wrapper.
    """

    __slots__ = ()

    value: Any

    @property
    def shape(self) -> tuple[Any, ...]:
        """The sizes."""
        return tuple(self.value.shape)

    @property
    def dtype(self) -> Any:
        """The `numpy.dtype` of the elements."""
        return self.value.dtype

    @property
    def device(self) -> Device:
        """The `Device`."""
        # NumPy says "cpu", CuPy a device of its own; wrappers say the `Device`.
        found = device_of(self.value)
        return self.value.device if found is None else found

    @property
    def strides(self) -> tuple[Any, ...]:
        """The steps in bytes from an element to the next along each axis."""
        return tuple(self.value.strides)

    @property
    def flags(self) -> Any:
        """Memory layout."""
        return self.value.flags

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.value.shape)

    @property
    def size(self) -> Any:
        """The number of elements."""
        return product(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return int(self.value.dtype.itemsize)

    @property
    def nbytes(self) -> Any:
        """Bytes of all elements."""
        return self.size * self.itemsize

    def new_empty(self, shape: Any, dtype: Any = None, device: Any = None) -> Any:
        """A new array of the same dtype and on the same device, unless others are given."""
        dtype = self.dtype if dtype is None else dtype
        return xp.empty(shape, dtype=dtype, device=self.device if device is None else device)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object: the array has no axes")
        return int(self.shape[0])
