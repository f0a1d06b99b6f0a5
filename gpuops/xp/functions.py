"""Functions of the namespace that take other arguments than their operators.

Most functions are made from their operator's schema (`gpuops.xp._row`). These take arrays one by
one, give named tuples, or make arrays of what is none.
"""

from __future__ import annotations

import importlib
import sys
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuops.devices import Device, array_kind
from gpuops.errors import ArgumentError, DeviceError, describe
from gpuops.symbols import SymInt
from gpuops.transforms.fake import FakeArray
from gpuops.transforms.fake.context import current_mode
from gpuops.xp import conversion, creation, extras, joining, manipulation, searching, sets
from gpuops.xp._arguments import array
from gpuops.xp.indexing import getitem_key, setitem_key
from gpuops.xp.products import tensordot_axes

__all__ = ["FUNCTIONS"]

UniqueAllResult = namedtuple("UniqueAllResult", ["values", "indices", "inverse_indices", "counts"])
UniqueCountsResult = namedtuple("UniqueCountsResult", ["values", "counts"])
UniqueInverseResult = namedtuple("UniqueInverseResult", ["values", "inverse_indices"])


# -- arrays of what is none ------------------------------------------------------------------------


def _is_array(obj: Any) -> bool:
    return array_kind(type(obj)) is not None or hasattr(type(obj), "__array_namespace__")


def asarray(obj: Any, dtype: Any = None, *, device: Any = None, copy: bool | None = None) -> Any:
    """An array of numbers, of sequences of them, or of an array.

    Args:
        obj: a number, a sequence (of sequences) of numbers, something with a buffer, or an array.
        dtype: the dtype; by default what fits.
        device: such as ``"cuda:0"``; by default that of `obj`, or the host.
        copy: True copies, False refuses to, None copies where it has to.

    Returns:
        A NumPy or CuPy array; a fake for a fake, and for anything in a ``with FakeMode():`` block.

    Raises:
        ValueError: a copy is needed and `copy` is False; nested sequences of different lengths.
        DeviceError: an unknown device.

    >>> from gpuops import xp
    >>> xp.asarray([1, 2, 3])
    array([1, 2, 3])
    """
    if isinstance(obj, np.generic) or not _is_array(obj):
        if copy is False and isinstance(obj, (bool, int, float, complex, list, tuple)):
            raise ValueError("asarray: copy=False, but making an array of numbers copies them")
        obj, dtype, copy = _of_numbers(obj, dtype, copy), None, None
        mode = current_mode()
        if mode is not None:
            obj = mode.from_array(obj)
    if device is not None:
        moved = to_device(obj, device)
        if copy is False and moved is not obj:
            raise ValueError(f"asarray: copy=False, but moving to {device} copies")
        obj = moved
    return conversion.asarray.function(obj, dtype, copy=copy)


def _of_numbers(obj: Any, dtype: Any, copy: bool | None) -> np.ndarray[Any, Any]:
    if isinstance(obj, (list, tuple)):
        obj = _without_arrays(obj)
    made = np.array(obj, dtype=dtype, copy=copy)
    return made if type(made) is np.ndarray else made.view(np.ndarray)


def _without_arrays(items: Sequence[Any]) -> list[Any]:
    """Nested sequences, with symbolic sizes refused: no array holds any."""
    found = []
    for item in items:
        if type(item) is SymInt:
            item = int(item)
        found.append(_without_arrays(item) if isinstance(item, (list, tuple)) else item)
    return found


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
    """An array of another library, through DLPack.

    Args:
        x: an array that exports DLPack.
        device: the device of the result; by default that of `x`.
        copy: True copies, False refuses to, None copies where it has to.

    Returns:
        A NumPy array for the host's memory, a CuPy array for a GPU's.

    Raises:
        BufferError: it cannot be had without a copy, and `copy` is False.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.from_dlpack(np.arange(3))
    array([0, 1, 2])
    """
    if type(x) is FakeArray:
        x.__dlpack__()
    kind, _ = x.__dlpack_device__()
    # DLPack's numbers: 1 is the host, 2 CUDA, 3 pinned memory of the host, 13 managed memory.
    if int(kind) in (2, 13):
        made = _cupy().from_dlpack(x)
    else:
        options: dict[str, Any] = {} if copy is None else {"copy": copy}
        try:
            made = np.from_dlpack(x, **options)
        except TypeError:  # NumPy before 2.1 knows no `copy`, and never copies
            made = np.from_dlpack(x).copy() if copy else np.from_dlpack(x)
    return made if device is None else to_device(made, device)


def to_device(x: Any, device: Any, /, *, stream: Any = None) -> Any:
    """The array on a device.

    Args:
        x: a NumPy array, a CuPy array or a fake.
        device: such as ``"cpu"`` or ``"cuda:0"``.
        stream: None; CuPy's current stream is used.

    Returns:
        `x` itself where it is there already.

    Raises:
        DeviceError: an unknown device.
        ArgumentError: `x` is no array that can be moved.

    >>> import gpuops
    >>> from gpuops import xp
    >>> xp.to_device(gpuops.FakeArray((2,), "float32"), "cuda:1").device
    Device('cuda:1')
    """
    wanted = Device(str(device)) if not isinstance(device, Device) else device
    if stream is not None:
        raise ArgumentError("to_device: streams are not supported, pass none")
    if type(x) is FakeArray:
        same = x.device.type == wanted.type and wanted.index in (None, x.device.index)
        return x if same else FakeArray.raw(x.shape, x.dtype, wanted, x.strides, x.fake_mode)
    kind = array_kind(type(x))
    if kind is None:
        raise ArgumentError(f"to_device takes an array, got {describe(x)}")
    own = kind.device_of(x)
    if own.type == wanted.type and wanted.index in (None, own.index):
        return x
    if wanted.type == "cpu":
        return x.get()
    cupy = _cupy()
    with cupy.cuda.Device(wanted.index or 0):
        return cupy.asarray(x)


def _cupy() -> Any:
    """CuPy, which somebody asked for by naming a GPU.

    Raises:
        DeviceError: it is not installed.
    """
    try:
        return sys.modules.get("cupy") or importlib.import_module("cupy")
    except ImportError as error:
        raise DeviceError(f"arrays on a GPU need CuPy: {error}") from error


# -- arrays one by one -----------------------------------------------------------------------------


def broadcast_arrays(*arrays: Any) -> list[Any]:
    """Views of arrays in the shape that they have together.

    Args:
        arrays: the arrays.

    Raises:
        ValueError: they cannot be broadcast together.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> [x.shape for x in xp.broadcast_arrays(np.zeros((2, 1)), np.zeros(3))]
    [(2, 3), (2, 3)]
    """
    if not arrays:
        return []
    found: list[Any] = manipulation.broadcast_arrays.function(list(map(array, arrays)))
    return found


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Any]:
    """The coordinates of all points of a grid.

    Args:
        arrays: the coordinates along each axis.
        indexing: ``"ij"`` gives the axes in this order, ``"xy"`` exchanges the first two.

    Raises:
        ValueError: an unknown way of indexing.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.meshgrid(np.arange(2), np.arange(3))[0].shape
    (3, 2)
    """
    if not arrays:
        return []
    found: list[Any] = creation.meshgrid.function(list(map(array, arrays)), indexing=indexing)
    return found


def einsum(subscripts: str, /, *operands: Any) -> Any:
    """Sums of products by index letters.

    Args:
        subscripts: such as ``"ij,jk->ik"``.
        operands: the arrays.

    Returns:
        A new array; of one operand whose letters are all in the output, a view.

    Raises:
        ValueError: subscripts that do not go with the operands.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.einsum("ij->j", np.ones((2, 3)))
    array([2., 2., 2.])
    """
    return extras.einsum.function(subscripts, list(map(array, operands)))


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """The slices of an array along an axis, as views.

    Args:
        x: an array of at least one axis.
        axis: the axis.

    Raises:
        ValueError: `x` has no axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.unstack(np.asarray([[1, 2], [3, 4]]))
    (array([1, 2]), array([3, 4]))
    """
    return tuple(manipulation.unstack.function(x, axis))


def nonzero(x: Any, /) -> tuple[Any, ...]:
    """The places of the elements that are not zero.

    Args:
        x: an array of at least one axis.

    Returns:
        For each axis an array of ints, all of one size that depends on the data.

    Raises:
        ValueError: `x` has no axes.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.nonzero(np.asarray([0, 5, 6]))
    (array([1, 2]),)
    """
    return tuple(searching.nonzero.function(x))


# -- arguments that a schema cannot say ------------------------------------------------------------


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element repeated.

    Args:
        x: an array.
        repeats: how often: a number, or an array of one for each element along the axis.
        axis: the axis; None repeats the flattened array's elements.

    Raises:
        ValueError: a negative number, or another number of numbers.
        AxisError: there is no such axis.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.repeat(np.asarray([1, 2]), 2)
    array([1, 1, 2, 2])
    >>> xp.repeat(np.asarray([1, 2]), np.asarray([2, 1]))
    array([1, 1, 2])
    """
    if isinstance(repeats, (list, tuple)):
        total = sum(repeats)
        repeats = asarray(list(repeats)) if repeats else asarray(np.zeros(0, np.intp))
        if type(x) is FakeArray and type(repeats) is not FakeArray:
            return _repeated(x, repeats, axis, total)
    if _is_array(repeats) and not isinstance(repeats, np.generic):
        return extras.repeat_each.function(x, repeats, axis)
    return joining.repeat.function(x, repeats, axis)


def _repeated(x: FakeArray, repeats: Any, axis: int | None, total: int) -> FakeArray:
    """A fake whose elements are repeated as often as known numbers say."""
    flat = manipulation.ravel.function(x) if axis is None else x
    place = (axis or 0) % max(len(flat.shape), 1)
    if len(repeats) not in (1, flat.shape[place]):
        raise ValueError(
            f"repeat: {len(repeats)} numbers for {flat.shape[place]} elements along the axis"
        )
    count = total * flat.shape[place] if len(repeats) == 1 else total
    return flat.new_empty((*flat.shape[:place], count, *flat.shape[place + 1 :]))


def pad(x: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Any:
    """An array with elements put around it.

    Args:
        x: an array.
        pad_width: how many on each side: a number, a pair (before, after), or a pair for each axis.
        mode: what the elements are, as in NumPy: ``"constant"``, ``"edge"``, ``"reflect"``, ...
        constant_values: the elements of the mode ``"constant"``.

    Raises:
        ValueError: an unknown mode, or a negative width.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.pad(np.asarray([1, 2]), (1, 0))
    array([0, 1, 2])
    """
    ndim = len(x.shape)
    pairs = pad_width.tolist() if isinstance(pad_width, np.ndarray) else pad_width
    if not isinstance(pairs, (list, tuple)):
        widths = [pairs] * (2 * ndim)
    elif pairs and not isinstance(pairs[0], (list, tuple)):
        before, after = pairs if len(pairs) == 2 else (pairs[0], pairs[0])
        widths = [before, after] * ndim
    else:
        if len(pairs) == 1:
            pairs = list(pairs) * ndim
        widths = [width for pair in pairs for width in (pair if len(pair) == 2 else pair * 2)]
    return extras.pad.function(x, widths, mode, constant_values=constant_values)


def histogram(
    x: Any,
    bins: Any = 10,
    range: Any = None,
    *,
    density: bool = False,
) -> tuple[Any, Any]:
    """How many elements fall into bins of equal width.

    Args:
        x: an array of real numbers.
        bins: the number of bins.
        range: where the first one starts and the last one ends; by default the least and the
            greatest element.
        density: give the share of elements by width in place of their number.

    Returns:
        The counts, of shape (bins,), and the edges, of shape (bins + 1,).

    Raises:
        ValueError: fewer than 1 bin.

    >>> import numpy as np
    >>> from gpuops import xp
    >>> xp.histogram(np.asarray([1.0, 2.0, 2.5]), bins=2, range=(1, 3))[0]
    array([1, 2])
    """
    low, high = (None, None) if range is None else range
    counts, edges = extras.histogram.function(x, bins, low, high, density=density)
    return counts, edges


# -- named tuples ----------------------------------------------------------------------------------


def unique_all(x: Any, /) -> UniqueAllResult:
    """The distinct elements, where they are first, where each element is among them, how many.

    Args:
        x: an array.

    Returns:
        A named tuple: the sorted distinct `values`, the `indices` of the first of each in the
        flattened array, for each element of `x` the place among the values (`inverse_indices`),
        and how often each occurs (`counts`). NaNs are distinct from each other.
    """
    return UniqueAllResult(*sets.unique_all.function(x))


def unique_counts(x: Any, /) -> UniqueCountsResult:
    """The distinct elements and how often each occurs.

    Args:
        x: an array.

    Returns:
        A named tuple: the sorted distinct `values`, and `counts`.
    """
    return UniqueCountsResult(*sets.unique_counts.function(x))


def unique_inverse(x: Any, /) -> UniqueInverseResult:
    """The distinct elements, and where each element of the array is among them.

    Args:
        x: an array.

    Returns:
        A named tuple: the sorted distinct `values`, and `inverse_indices` of the shape of `x`.
    """
    return UniqueInverseResult(*sets.unique_inverse.function(x))


FUNCTIONS: dict[str, Any] = {
    "asarray": asarray,
    "broadcast_arrays": broadcast_arrays,
    "einsum": einsum,
    "from_dlpack": from_dlpack,
    "getitem": getitem_key,
    "histogram": histogram,
    "meshgrid": meshgrid,
    "nonzero": nonzero,
    "pad": pad,
    "repeat": repeat,
    "setitem": setitem_key,
    "tensordot": tensordot_axes,
    "to_device": to_device,
    "unique_all": unique_all,
    "unique_counts": unique_counts,
    "unique_inverse": unique_inverse,
    "unstack": unstack,
}
"""By name; they take the place of what is made from the schema."""
