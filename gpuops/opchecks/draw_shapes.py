"""Other shapes: sizes and ranks.

What the sample shows is kept: sizes that are equal there, or that are one core dimension of a
gufunc signature, change together. Each axis changes alone as well: whether that fits, the operator
says.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from gpuops.opchecks.draw_arrays import reshaped
from gpuops.opchecks.draw_edit import Edit, Values, arrays_of, with_arrays
from gpuops.opchecks.subject import Subject

__all__ = ["alone_edits", "fits_signature", "groups", "rank_edits", "size_edits"]


def groups(subject: Subject, values: Values) -> list[list[tuple[int, int]]]:
    """The axes that have to go on having one size: pairs of an array's number and an axis."""
    arrays = arrays_of(values)
    signature = subject.operator.signature
    inputs = signature.inputs if signature is not None else ()
    table: dict[Any, list[tuple[int, int]]] = {}
    for number, array in enumerate(arrays):
        core = inputs[number] if len(inputs) == len(arrays) else ()
        for axis, size in enumerate(array.shape):
            at = axis - array.ndim + len(core)
            key = (core[at].name, 0) if at >= 0 else ("", size)
            table.setdefault(key, []).append((number, axis))
    return list(table.values())


def fits_signature(subject: Subject, values: Values) -> bool:
    """Whether the arrays have the core dimensions of the gufunc signature, if there is one."""
    signature, arrays = subject.operator.signature, arrays_of(values)
    if signature is None or len(signature.inputs) != len(arrays):
        return True
    sizes: dict[str, int] = {}
    for core, array in zip(signature.inputs, arrays, strict=True):
        if any(dimension.optional for dimension in core):
            continue
        if array.ndim < len(core):
            return False
        for dimension, size in zip(core, array.shape[array.ndim - len(core) :], strict=True):
            if sizes.setdefault(dimension.name, dimension.size or size) != size:
                return False
    return True


def _on_shapes(change: Callable[[tuple[int, ...], int], tuple[int, ...]]) -> Callable[..., Any]:
    """What gives every array another shape, of its own and its number."""

    def apply(values: Values) -> Values | None:
        arrays = arrays_of(values)
        shapes = [change(array.shape, number) for number, array in enumerate(arrays)]
        if shapes == [array.shape for array in arrays]:
            return None
        return with_arrays(values, reshaped(arrays, shapes))

    return apply


def rank_edits(values: Values) -> Iterator[Edit]:
    """More axes and fewer, for all arrays together and for each alone."""
    tags, alone = frozenset({"ranks"}), frozenset({"ranks", "alone"})
    arrays = arrays_of(values)
    if not arrays:
        return
    deepest = max(array.ndim for array in arrays)
    front = (2, 3, 2, 1)
    for rank in range(5):
        more = rank - deepest
        if more > 0:
            lead = front[:more]
            yield Edit(f"rank {rank}", tags, _on_shapes(lambda s, n, lead=lead: (*lead, *s)))  # type: ignore[misc]
        elif more < 0:
            yield Edit(f"rank {rank}", tags, _on_shapes(lambda s, n, cut=-more: s[cut:]))  # type: ignore[misc]
    yield Edit("an axis behind", tags, _on_shapes(lambda s, n: (*s, 2)))
    yield Edit("no last axis", tags, _on_shapes(lambda s, n: s[:-1]))
    if len(arrays) > 1:
        for k in range(len(arrays)):
            yield Edit(
                f"an axis for array {k}",
                alone,
                _on_shapes(lambda s, n, k=k: (2, *s) if n == k else s),  # type: ignore[misc]
            )
            yield Edit(
                f"array {k} without its first axis",
                alone,
                _on_shapes(lambda s, n, k=k: s[1:] if n == k else s),  # type: ignore[misc]
            )


def size_edits(subject: Subject, values: Values) -> Iterator[Edit]:
    """Other sizes for all groups of axes together, and for each group."""
    tags = frozenset({"sizes"})
    changes: dict[str, Callable[[int, int], int]] = {
        "one more": lambda size, rank: size + 1,
        "twice and more": lambda size, rank: 2 * size + rank,
        "apart": lambda size, rank: size + rank if size > 1 else size,
        "all 1": lambda size, rank: 1,
        "all 0": lambda size, rank: 0,
        "small": lambda size, rank: 2 + rank,
        "falling": lambda size, rank: max(9 - 2 * rank, 2),
        "17 and more": lambda size, rank: 17 + rank,
        "33 and more": lambda size, rank: 33 - rank,
    }
    for name, change in changes.items():
        yield Edit(f"sizes: {name}", tags, _resize(subject, change, follow=False))
        if _follows(subject, values):
            yield Edit(f"sizes with ints: {name}", tags, _resize(subject, change, follow=True))
    number = len(groups(subject, values))
    if number > 1:
        for k, size in itertools.product(range(number), (0, 1, 2, 8, 17, 65, 129)):
            yield Edit(f"group {k} of size {size}", tags, _resize_group(subject, k, size))
    else:
        for size in (7, 16, 65, 257):
            yield Edit(f"size {size}", tags, _resize_group(subject, 0, size))


def _resize(subject: Subject, change: Callable[[int, int], int], follow: bool) -> Any:
    """Every group of axes gets the size that `change` makes of its size and its number.

    With `follow`, ints that are such a size change with it.
    """

    def apply(values: Values) -> Values | None:
        arrays = arrays_of(values)
        axes = sorted(groups(subject, values), key=lambda g: (arrays[g[0][0]].shape[g[0][1]], g))
        sizes = [arrays[group[0][0]].shape[group[0][1]] for group in axes]
        new = [change(size, rank) for rank, size in enumerate(sizes)]
        made = with_arrays(values, _with_sizes(arrays, zip(axes, new, strict=True)))
        if made is None or not follow:
            return made
        table = {old: size for old, size in zip(sizes, new, strict=True) if old > 1}
        pairs = zip(subject.operator.schema.parameters, made, strict=True)
        return [_followed(value, table) if p.type.is_int else value for p, value in pairs]

    return apply


def _resize_group(subject: Subject, k: int, size: int) -> Any:
    def apply(values: Values) -> Values | None:
        axes = groups(subject, values)
        if k >= len(axes):
            return None
        return with_arrays(values, _with_sizes(arrays_of(values), [(axes[k], size)]))

    return apply


def _with_sizes(arrays: list[Any], changes: Any) -> list[Any] | None:
    shapes = [list(array.shape) for array in arrays]
    for group, size in changes:
        for number, axis in group:
            shapes[number][axis] = size
    new = [tuple(shape) for shape in shapes]
    return None if new == [array.shape for array in arrays] else reshaped(arrays, new)


def _follows(subject: Subject, values: Values) -> bool:
    """Whether an int of the sample is one of its sizes."""
    sizes = {size: -1 for array in arrays_of(values) for size in array.shape if size > 1}
    pairs = zip(subject.operator.schema.parameters, values, strict=True)
    return any(p.type.is_int and _followed(value, sizes) != value for p, value in pairs)


def _followed(value: Any, table: dict[int, int]) -> Any:
    if isinstance(value, list):
        return [table.get(item, item) for item in value]
    return table.get(value, value)


def alone_edits(subject: Subject, values: Values) -> Iterator[Edit]:
    """Another size for one axis, and not for the others of its group."""
    for group in groups(subject, values):
        if len(group) == 1:
            continue
        for number, axis in group:
            size = arrays_of(values)[number].shape[axis]
            for new in (size + 1, 0, 1):
                # NumPy broadcasts what has size 1, whether or not the operator means it.
                tags = {"sizes", "alone" if 1 in (size, new) else "unlike"}
                change = [([(number, axis)], new)]
                yield Edit(
                    f"axis {axis} of array {number} of size {new}",
                    frozenset(tags),
                    lambda v, c=change: with_arrays(v, _with_sizes_if(arrays_of(v), c)),  # type: ignore[misc]
                )


def _with_sizes_if(arrays: list[Any], changes: Any) -> list[Any] | None:
    """`_with_sizes`, where the arrays have the axes."""
    for group, _ in changes:
        if any(n >= len(arrays) or axis >= arrays[n].ndim for n, axis in group):
            return None
    return _with_sizes(arrays, changes)
