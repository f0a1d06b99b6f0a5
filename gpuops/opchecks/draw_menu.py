"""All the ways in which a sample can be changed; one after another, they can be combined."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gpuops.opchecks.draw_arrays import DTYPES, EXTREMES, KINKS, ORDINARY, SPECIAL, cast
from gpuops.opchecks.draw_edit import Edit, Place, Values, array_places, arrays_of, put, with_arrays
from gpuops.opchecks.draw_scalars import scalar_edits
from gpuops.opchecks.draw_shapes import alone_edits, rank_edits, size_edits
from gpuops.opchecks.layouts import LAYOUTS
from gpuops.opchecks.subject import REFUSED, Subject

__all__ = ["menu"]


def menu(subject: Subject, values: Values) -> dict[str, list[Edit]]:
    """All edits for a sample, by category, in the order in which they can follow each other."""
    return {
        "optional": list(_optional(subject)),
        "lengths": list(_lengths(subject, values)),
        "ranks": list(rank_edits(values)),
        "sizes": list(size_edits(subject, values)),
        "alone": list(alone_edits(subject, values)),
        "dtypes": list(_dtypes(values)),
        "values": list(_ordinary(subject, values)),
        "special": list(_special(subject, values)),
        "scalars": list(scalar_edits(subject, values)),
        "layouts": list(_layouts(subject, values)),
    }


# -- dtypes and elements ---------------------------------------------------------------------------


def _dtypes(values: Values) -> Iterator[Edit]:
    """Arrays of one dtype get another one together."""
    dtypes = (array.dtype for array in arrays_of(values) if array.dtype.kind in DTYPES)
    for old in dict.fromkeys(dtypes):
        # Other kinds last: whether the operator means them is less likely.
        kinds = sorted(DTYPES, key=lambda kind: kind != old.kind)
        for name in (name for kind in kinds for name in DTYPES[kind]):
            if np.dtype(name) == old:
                continue
            kind = np.dtype(name).kind
            tags = {"dtype"} | ({f"kind:{kind}"} if kind != old.kind else set())
            if name == "float16":
                tags.add("float16")
            yield Edit(f"{old} as {name}", frozenset(tags), _to_dtype(old, name))


def _to_dtype(old: Any, name: str) -> Any:
    def apply(values: Values) -> Values | None:
        arrays = arrays_of(values)
        if all(array.dtype != old for array in arrays):
            return None
        made = [cast(array, name) if array.dtype == old else array for array in arrays]
        return with_arrays(values, made)

    return apply


def _ordinary(subject: Subject, values: Values) -> Iterator[Edit]:
    for kind, fills in ORDINARY.items():
        for name, fill in fills.items():
            if kind in "iu" and name in ("ones", "small", "minus ones") and _may_index(values):
                continue
            tags = {"values", "kinks"} if name in KINKS else {"values"}
            yield from _filled(subject, values, kind, name, fill, frozenset(tags))


def _special(subject: Subject, values: Values) -> Iterator[Edit]:
    for kind, fills in SPECIAL.items():
        for name, fill in fills.items():
            yield from _filled(subject, values, kind, name, fill, frozenset({"special"}))
    kinds = dict.fromkeys(array.dtype.kind for array in arrays_of(values))
    chosen = [kind for kind in kinds if kind in "iu"]
    if chosen and not _may_index(values) and _sizes_are_fixed(subject, values):
        for kind in chosen:
            for name, fill in EXTREMES.items():
                yield from _filled(subject, values, kind, name, fill, frozenset({"special"}))


def _may_index(values: Values) -> bool:
    """Whether integers may be places in another array: compiled code may not check their range."""
    arrays = arrays_of(values)
    return len({(array.shape, array.dtype) for array in arrays}) > 1


def _sizes_are_fixed(subject: Subject, values: Values) -> bool:
    """Whether greater integers leave the sizes of the outputs: 2**31 bins are no check of any."""
    more = subject.map(values, lambda p, a: a + 3 if a.dtype.kind in "iu" else a)
    shapes = []
    for given in (values, more):
        result = subject.attempt(given)
        if result is REFUSED:
            return False
        shapes.append([np.shape(value) for value in _flat(result)])
    return shapes[0] == shapes[1]


def _flat(result: Any) -> list[Any]:
    if isinstance(result, (list, tuple)):
        return [value for item in result for value in _flat(item)]
    return [result]


def _filled(
    subject: Subject, values: Values, kind: str, name: str, fill: Any, tags: frozenset[str]
) -> Iterator[Edit]:
    """All arrays of a kind get the elements, and where there are several, each alone."""
    chosen = [k for k, array in enumerate(arrays_of(values)) if array.dtype.kind == kind]
    if not chosen:
        return
    seed = [abs(subject.seed), zlib.crc32(name.encode())]
    yield Edit(f"{name} ({kind})", tags, _fill(fill, lambda n, a: a.dtype.kind == kind, seed))
    if len(chosen) > 1:
        for k in chosen:
            yield Edit(f"{name} in array {k}", tags, _fill(fill, _is_array(k, kind), seed))


def _is_array(k: int, kind: str) -> Callable[[int, Any], bool]:
    return lambda number, array: number == k and array.dtype.kind == kind


def _fill(fill: Any, test: Callable[[int, Any], bool], seed: list[int]) -> Any:
    def apply(values: Values) -> Values | None:
        random = np.random.default_rng(seed)
        arrays = arrays_of(values)
        if not any(test(n, array) and array.size for n, array in enumerate(arrays)):
            return None
        with np.errstate(all="ignore"):
            made = [
                fill(array, random) if test(n, array) else array for n, array in enumerate(arrays)
            ]
        return with_arrays(values, made)

    return apply


# -- layouts, lists, what may be left out ----------------------------------------------------------


def _layouts(subject: Subject, values: Values) -> Iterator[Edit]:
    number = len(arrays_of(values))
    for name, make in LAYOUTS.items():
        chosen: list[int | None] = [None, *(range(number) if number > 1 else ())]
        for k in chosen:
            label = name if k is None else f"{name} in array {k}"
            yield Edit(label, frozenset({"layout"}), _laid_out(subject, name, make, k))


def _laid_out(subject: Subject, name: str, make: Any, k: int | None) -> Any:
    parameters = subject.operator.schema.parameters

    def apply(values: Values) -> Values | None:
        new: dict[Place, Any] = {}
        for number, place in enumerate(array_places(values)):
            array = arrays_of(values)[number]
            fixed = name in ("read-only", "stride zero") and parameters[place[0]].is_mutated
            if k in (None, number) and array.ndim and array.size and not fixed:
                new[place] = make(array)
        return put(values, new) if new else None

    return apply


def _lengths(subject: Subject, values: Values) -> Iterator[Edit]:
    changes: dict[str, Callable[[list[Any]], list[Any]]] = {
        "one item less": lambda items: items[:-1],
        "one item more": lambda items: [*items, *items[-1:]],
        "one item": lambda items: items[:1],
        "no items": lambda items: [],
        "reversed": lambda items: items[::-1],
        "four items": lambda items: (items * 4)[:4],
    }
    for position, parameter in enumerate(subject.operator.schema.parameters):
        # How many numbers there are is often part of what an operator is: the axes of a shape.
        if not isinstance(values[position], list) or not parameter.type.is_array:
            continue
        for name, change in changes.items():
            yield Edit(
                f"{parameter.name}: {name}", frozenset({"lengths"}), _relisted(position, change)
            )


def _relisted(position: int, change: Callable[[list[Any]], list[Any]]) -> Any:
    def apply(values: Values) -> Values | None:
        items = values[position]
        if not isinstance(items, list):
            return None
        new = change(items)
        # Items twice in a list are two arrays: one may be written to without the other.
        new = [item.copy() if type(item) is np.ndarray else item for item in new]
        same = len(new) == len(items) and all(
            a is b for a, b in zip(change(items), items, strict=True)
        )
        return None if same else put(values, {(position, None): new})

    return apply


def _optional(subject: Subject) -> Iterator[Edit]:
    """What may be None is, and an array that is None is given."""
    tags = frozenset({"optional"})
    for position, parameter in enumerate(subject.operator.schema.parameters):
        if parameter.type.optional:
            yield Edit(f"{parameter.name}=None", tags, _none(position, None))
        if parameter.type.item_optional:
            yield Edit(f"first of {parameter.name} None", tags, _none(position, 0))
            yield Edit(f"last of {parameter.name} None", tags, _none(position, -1))
        if parameter.type.optional and parameter.type.is_array:
            for which in (0, -1):
                yield Edit(
                    f"{parameter.name} like array {which}",
                    tags,
                    _given(position, which, parameter.type.is_list),
                )
            yield Edit(
                f"{parameter.name} as the last axis",
                tags | {"alone"},
                _given(position, 0, parameter.type.is_list, last_axis=True),
            )


def _none(position: int, item: int | None) -> Any:
    def apply(values: Values) -> Values | None:
        value = values[position]
        if value is None:
            return None
        if item is None:
            return put(values, {(position, None): None})
        if not isinstance(value, list) or not value or value[item] is None:
            return None
        return put(values, {(position, item): None})

    return apply


def _given(position: int, which: int, is_list: bool, *, last_axis: bool = False) -> Any:
    def apply(values: Values) -> Values | None:
        arrays = arrays_of(values)
        if values[position] is not None or not arrays:
            return None
        model = arrays[which]
        if last_axis and model.ndim < 2:
            return None
        made = np.array(model[(0,) * (model.ndim - 1)] if last_axis and model.size else model)
        return put(values, {(position, None): [made] if is_list else made})

    return apply
