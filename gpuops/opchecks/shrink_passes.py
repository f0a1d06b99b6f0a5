"""What is tried to make a failing call simpler, one pass for each aspect of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from gpuops.opchecks.draw_arrays import DTYPES, cast
from gpuops.opchecks.draw_edit import Values, array_places, arrays_of, put, with_arrays
from gpuops.opchecks.draw_shapes import groups
from gpuops.opchecks.shrink_cost import layout_cost
from gpuops.opchecks.subject import Subject, copied

__all__ = ["PASSES"]

Pass = Callable[[Subject, Values], Iterator[Values]]

_SIZES = (0, 1, 2, 3)
# Elements and items of lists beyond these are not changed one by one.
_SINGLE = 32


def _fewer(subject: Subject, values: Values) -> Iterator[Values]:
    """Without what may be left out, and shorter lists."""
    for position, parameter in enumerate(subject.operator.schema.parameters):
        value = values[position]
        if parameter.type.optional and value is not None:
            yield put(values, {(position, None): None})
        if not isinstance(value, list) or parameter.type.size is not None or not value:
            continue
        yield put(values, {(position, None): []})
        for item in range(min(len(value), _SINGLE)):
            yield put(values, {(position, None): value[:item] + value[item + 1 :]})
        if parameter.type.item_optional:
            for item, entry in enumerate(value):
                if entry is not None:
                    yield put(values, {(position, item): None})


def _plain(subject: Subject, values: Values) -> Iterator[Values]:
    """In C order, aligned and writable."""
    arrays = arrays_of(values)
    yield _all_of(values, [np.array(array, order="C") for array in arrays])
    for place, array in zip(array_places(values), arrays, strict=True):
        if layout_cost(array):
            yield put(values, {place: np.array(array, order="C")})
            yield put(values, {place: np.array(array, order="K")})


def _all_of(values: Values, arrays: list[Any]) -> Values:
    made = with_arrays(values, arrays)
    return values if made is None else made


def _lower(subject: Subject, values: Values) -> Iterator[Values]:
    """One axis less: of all arrays, of those of one rank, of each."""
    arrays = arrays_of(values)
    ranks = sorted({array.ndim for array in arrays}, reverse=True)
    chosen = [range(len(arrays))]
    chosen += [[n for n, a in enumerate(arrays) if a.ndim == rank] for rank in ranks]  # type: ignore[misc]
    chosen += [[n] for n in range(len(arrays))]  # type: ignore[misc]
    for numbers in chosen:
        deepest = max((arrays[n].ndim for n in numbers), default=0)
        for axis in dict.fromkeys((0, -1, *range(1, deepest))):
            longest = max((_size(arrays[n], axis) for n in numbers), default=0)
            for index in range(min(max(longest, 1), 8)):
                cut = {n: _without_axis(arrays[n], axis, index) for n in numbers}
                yield from _cut(values, cut)
    yield _all_of(values, [np.array(array, order="C").reshape(-1) for array in arrays])


def _size(array: Any, axis: int) -> int:
    return int(array.shape[axis]) if -array.ndim <= axis < array.ndim else 0


def _without_axis(array: Any, axis: int, index: int) -> Any:
    if not -array.ndim <= axis < array.ndim:
        return array
    axis %= array.ndim
    if not array.shape[axis]:
        return np.zeros(array.shape[:axis] + array.shape[axis + 1 :], array.dtype)
    # An ellipsis keeps it a view where no axis is left.
    at = min(index, array.shape[axis] - 1)
    return array[(slice(None),) * axis + (at, ...)]


def _cut(values: Values, new: dict[int, Any]) -> Iterator[Values]:
    """Values with parts of the arrays: closely packed, and as views with the strides they had."""
    arrays = arrays_of(values)
    for order in ("K", None) if any(layout_cost(array) for array in arrays) else ("K",):
        made = list(arrays)
        for number, part in new.items():
            made[number] = part if order is None else np.array(part, order="K")
        yield _all_of(values, made)


def _smaller(subject: Subject, values: Values) -> Iterator[Values]:
    """Smaller sizes: of axes that belong together, and of each; the first elements or the last."""
    arrays = arrays_of(values)
    together = groups(subject, values)
    alone = [[axis] for group in together if len(group) > 1 for axis in group]
    for group in together + alone:
        number, axis = group[0]
        size = arrays[number].shape[axis]
        less = (*_SIZES, *(size - (size >> k) for k in range(1, size.bit_length())))
        for new in sorted({n for n in less if 0 <= n < size}):
            for part in (slice(0, new), slice(size - new, size)):
                cut: dict[int, Any] = {}
                for n, a in group:
                    array = cut.get(n, arrays[n])
                    cut[n] = array[(slice(None),) * a + (part,)]
                for made in _cut(values, cut):
                    yield made
                    yield _followed(subject, made, size, new)


def _followed(subject: Subject, values: Values, old: int, new: int) -> Values:
    """Ints that were the size, as the size."""

    def one(value: Any) -> Any:
        if isinstance(value, list):
            return [one(item) for item in value]
        return new if value == old else value

    pairs = zip(subject.operator.schema.parameters, values, strict=True)
    return [one(value) if parameter.type.is_int else value for parameter, value in pairs]


def _plainer_dtype(subject: Subject, values: Values) -> Iterator[Values]:
    arrays = arrays_of(values)
    for old in dict.fromkeys(array.dtype for array in arrays if array.dtype.kind in DTYPES):
        for name in dict.fromkeys(("float64", *DTYPES[old.kind])):
            same = [cast(a, name) if a.dtype == old else a for a in arrays]
            yield _all_of(values, same)


def _plainer_elements(subject: Subject, values: Values) -> Iterator[Values]:
    """The same element everywhere, then one after the other."""
    numeric = [(n, a) for n, a in enumerate(arrays_of(values)) if a.dtype.kind in DTYPES]
    for number, array in numeric:
        flat = list(dict.fromkeys(array.reshape(-1)[:256].tolist()))
        odd = [x for x in flat if not np.isfinite(x)][:3]
        for value in _unlike(_simple(array.dtype.kind) + odd + flat[:4]):
            yield _written(values, number, ..., value)
    for number, array in numeric:
        if array.size > _SINGLE:
            continue
        for index in np.ndindex(array.shape):
            value = array[index].item()
            for new in _unlike(_simple(array.dtype.kind) + _nearer(value)):
                if array.dtype.kind in "iu" and not _in_range(array.dtype, new):
                    continue
                yield _written(values, number, index, new)


def _in_range(dtype: Any, value: int) -> bool:
    limits = np.iinfo(dtype)
    return bool(limits.min <= value <= limits.max)


def _unlike(candidates: list[Any]) -> list[Any]:
    return list({(type(value), repr(value)): value for value in candidates}.values())


def _simple(kind: str) -> list[Any]:
    table: dict[str, list[Any]] = {"b": [False, True], "u": [0, 1, 2], "i": [0, 1, -1, 2]}
    return table.get(kind, [0, 1, -1, 2, 0.5])


def _nearer(value: Any) -> list[Any]:
    """Simpler numbers in the direction of 0."""
    plain = isinstance(value, (int, float, complex)) and not isinstance(value, bool)
    if not plain or not np.isfinite(value):
        return []
    if isinstance(value, complex):
        return [value.real, complex(0, value.imag), complex(round(value.real), round(value.imag))]
    whole = math.trunc(value)
    near = [whole // 2 if whole >= 0 else -(-whole // 2), whole]
    if isinstance(value, int):
        return [*near[:1], value - 1 if value > 0 else value + 1, abs(value)]
    return [*near, math.floor(value), math.ceil(value), round(value, 1)]


def _written(values: Values, number: int, index: Any, value: Any) -> Values:
    """Copies in which elements are exchanged: layouts and overlaps stay."""
    made = copied(values)
    array = arrays_of(made)[number]
    writeable = array.flags.writeable
    array.flags.writeable = True
    with np.errstate(all="ignore"):
        array[index] = value
    array.flags.writeable = writeable
    return made


def _plainer_scalars(subject: Subject, values: Values) -> Iterator[Values]:
    for position, parameter in enumerate(subject.operator.schema.parameters):
        value = values[position]
        if parameter.has_default and not hasattr(value, "shape"):
            yield put(values, {(position, None): parameter.default})
        items = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for item, entry in items[:_SINGLE]:
            for new in _scalars(entry):
                yield put(values, {(position, item): new})


def _scalars(value: Any) -> list[Any]:
    if isinstance(value, np.dtype):
        return [np.dtype(np.float64), np.dtype(np.int64)]
    if isinstance(value, bool):
        return [False]
    if isinstance(value, int):
        return [0, 1, -1, 2, -2, *_nearer(value)]
    if isinstance(value, float):
        return [float(x) for x in (0, 1, -1, 2, 0.5, -0.5, *_nearer(value))]
    if isinstance(value, complex):
        return [complex(x) for x in (0, 1, 1j, -1, *_nearer(value))]
    return []


PASSES: Final[tuple[Pass, ...]] = (
    _plain,
    _fewer,
    _lower,
    _smaller,
    _plainer_dtype,
    _plainer_scalars,
    _plainer_elements,
)
"""The passes, in their order: each gives candidates, the most promising first."""
