"""`BatchedArray`: one element of a batch to the function, the whole batch to the operators."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

from gpuops.convert import wrapper_types
from gpuops.devices import array_kind
from gpuops.errors import VmapError, caller_location
from gpuops.transforms.wrapped import WrappedArray

if TYPE_CHECKING:
    from gpuops.transforms.vmap.interpreter import Batching

__all__ = ["BatchedArray", "is_array"]


class BatchedArray(WrappedArray):
    """What a batched function gets for an array; `gpuops.vmap` makes them.

    Attributes:
        value: the whole batch: a real array, or a wrapper of another transformation.
        dim: the axis of `value` that the batch is along, counted from the front.
        transform: the `Batching` that it belongs to.
    """

    __slots__ = ("__weakref__", "dim", "transform", "value")

    __array_priority__ = 1003

    def __init__(self, value: Any, dim: int, transform: Batching) -> None:
        self.value = value
        self.dim = dim
        self.transform = transform

    @property
    def shape(self) -> tuple[Any, ...]:
        """The sizes of one element, without the batch axis."""
        shape = self.value.shape
        return (*shape[: self.dim], *shape[self.dim + 1 :])

    @property
    def strides(self) -> tuple[Any, ...]:
        """The steps in bytes along each axis of one element."""
        strides = self.value.strides
        return (*strides[: self.dim], *strides[self.dim + 1 :])

    @property
    def flags(self) -> Any:
        """Memory layout of one element, and whether the batch can be written to."""
        contiguous = _dense(self.shape, self.strides, self.itemsize)
        backwards = _dense(self.shape[::-1], self.strides[::-1], self.itemsize)
        return SimpleNamespace(
            c_contiguous=contiguous,
            f_contiguous=backwards,
            writeable=bool(getattr(self.value.flags, "writeable", True)),
        )

    @property
    def ndim(self) -> int:
        """The number of axes of one element."""
        return len(self.value.shape) - 1

    def __repr__(self) -> str:
        size = self.value.shape[self.dim]
        return (
            f"BatchedArray({self.dtype}[{', '.join(map(str, self.shape))}] on {self.device}, "
            f"a batch of {size} along axis {self.dim})"
        )

    # -- what would need one element's data --------------------------------------------------------

    def __bool__(self) -> NoReturn:
        _refuse(self, "branches on the data of an array", "xp.where picks by data")

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NoReturn:
        _refuse(self, "makes a NumPy array", "call gpuops.xp, or an operator")

    def __int__(self) -> NoReturn:
        _refuse(self, "makes an int", _NUMBER)

    def __float__(self) -> NoReturn:
        _refuse(self, "makes a float", _NUMBER)

    def __complex__(self) -> NoReturn:
        _refuse(self, "makes a complex", _NUMBER)

    def __index__(self) -> NoReturn:
        _refuse(self, "makes an index or a size", "xp.take takes an array of indices")

    def __contains__(self, item: object) -> NoReturn:
        _refuse(self, "asks what is in the data of an array", "xp.isin gives an array")

    def __dlpack__(self, **kwargs: Any) -> NoReturn:
        _refuse(self, "exports the data of an array", "call gpuops.xp, or an operator")

    __dlpack_device__ = __dlpack__

    def item(self, *args: Any) -> NoReturn:
        """Not in a batch: there is a number for each element."""
        _refuse(self, "makes a number", _NUMBER)

    tolist = tobytes = item


_NUMBER = "keep it as a 0-d array"


def _refuse(array: BatchedArray, what: str, instead: str) -> NoReturn:
    raise VmapError(
        f"{array.transform.where}: the function {what} at {caller_location()}, but there is one "
        f"for each element of the batch; {instead}. The array is {array!r}"
    )


def _dense(shape: tuple[Any, ...], strides: tuple[Any, ...], itemsize: int) -> bool:
    """Whether the last axis varies fastest and nothing is left out."""
    expected: Any = itemsize
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            return False
        expected = expected * size
    return True


def is_array(value: Any) -> bool:
    """Whether a value is an array that operators take: a real one or a wrapper."""
    cls = type(value)
    return array_kind(cls) is not None or cls in wrapper_types
