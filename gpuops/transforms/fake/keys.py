"""Indexing a fake with real arrays: their numbers are there, so that no size need be unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpuops.errors import FakeIndexError
from gpuops.symbols import is_symbolic

if TYPE_CHECKING:
    from gpuops.transforms.fake.array import FakeArray

__all__ = ["with_fakes"]


def with_fakes(array: FakeArray, key: Any) -> Any:
    """The key with fakes in the place of real arrays and of lists.

    A real mask becomes the arrays of the indices where it is True, which is what NumPy makes of
    it: how many there are is known then.

    Raises:
        FakeIndexError: an index that is out of bounds, or a mask of another shape than the array.

    >>> from gpuops import FakeArray
    >>> with_fakes(FakeArray((3, 4)), np.array([True, False, True]))
    (FakeArray(shape=(2,), dtype=int64, device='cpu'),)
    """
    items = key if isinstance(key, tuple) else (key,)
    for item in items:
        if isinstance(item, (list, np.ndarray)):
            break
    else:
        return key
    parts = [np.asarray(item) if isinstance(item, list) else item for item in items]
    parts = [part.astype(np.intp) if _is_empty_list(part) else part for part in parts]
    found: list[Any] = []
    axis = 0
    for part in parts:
        if part is Ellipsis:
            axis += array.ndim - sum(map(_consumed, parts))
        elif type(part) is np.ndarray and part.dtype.kind == "b" and part.ndim:
            _check_mask(array, part, axis)
            found += [_fake(array, indices) for indices in np.nonzero(part)]
            axis += part.ndim
            continue
        elif type(part) is np.ndarray and part.dtype.kind in "iu" and part.ndim:
            _check_bounds(array, part, axis)
            part = _fake(array, part)
        found.append(part)
        axis += _consumed(part)
    return tuple(found)


def _is_empty_list(part: Any) -> bool:
    return type(part) is np.ndarray and part.size == 0 and part.dtype == np.float64


def _consumed(part: Any) -> int:
    """The number of axes that a part of a key is for."""
    if part is None or part is Ellipsis or isinstance(part, (bool, np.bool_)):
        return 0
    dtype = getattr(part, "dtype", None)
    return int(part.ndim) if dtype is not None and dtype.kind == "b" else 1


def _fake(array: FakeArray, real: np.ndarray[Any, Any]) -> FakeArray:
    return type(array).raw(real.shape, real.dtype, array.device, None, array.fake_mode)


def _check_mask(array: FakeArray, mask: np.ndarray[Any, Any], axis: int) -> None:
    for offset, size in enumerate(mask.shape):
        if axis + offset >= array.ndim:
            return  # too many indices, which the operator says
        expected = array.shape[axis + offset]
        if not is_symbolic(expected) and expected != size:
            raise FakeIndexError(
                f"boolean index did not match the fake array along axis {axis + offset}: its size "
                f"is {expected}, the mask's {size}"
            )


def _check_bounds(array: FakeArray, indices: np.ndarray[Any, Any], axis: int) -> None:
    if axis >= array.ndim or not indices.size:
        return
    size = array.shape[axis]
    for index in (int(indices.min()), int(indices.max())):
        if not is_symbolic(size) and not -size <= index < size:
            raise FakeIndexError(
                f"index {index} is out of bounds for axis {axis} of the fake array, whose size is "
                f"{size}"
            )
