"""Values as they were: copies that later changes do not reach, and comparison with what is there.

What a graph was traced with has to be compared at each replay with what there is by then. A list
that an object gave is the same list still when it has been appended to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["ABSENT", "is_unchanged", "items_in", "snapshot_of"]


class _Absent:
    """Stands for what an object does not have."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


def items_in(value: Any) -> Iterator[Any]:
    """What built-in containers hold, however deep; of anything else, the value itself.

    >>> list(items_in([1, (2, {"a": 3})]))
    [1, 2, 3]
    """
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from items_in(item)
    else:
        yield value


def snapshot_of(value: Any, leaf: Callable[[Any], Any] | None = None) -> Any:
    """A value for `is_unchanged`: built-in containers and NumPy arrays are copied.

    Arrays of a GPU are not: they are compared by what they are and not by their data, which would
    take waiting.

    Args:
        value: anything.
        leaf: what else is put in the place of whatever is neither.

    >>> sizes = [1, 2]
    >>> before = snapshot_of(sizes)
    >>> sizes.append(3)
    >>> before, is_unchanged(before, sizes)
    ([1, 2], False)
    """
    return _copied(value, leaf, ())


def _copied(value: Any, leaf: Callable[[Any], Any] | None, around: tuple[int, ...]) -> Any:
    cls = type(value)
    if id(value) in around:
        return ...  # a container that is inside of itself
    inside = (*around, id(value))
    if cls is list or cls is tuple:
        return cls([_copied(item, leaf, inside) for item in value])
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return cls(*(_copied(item, leaf, inside) for item in value))
    if cls is dict:
        return {key: _copied(item, leaf, inside) for key, item in value.items()}
    if cls in (set, frozenset, bytearray):
        return cls(value)
    if cls is np.ndarray:
        return value.copy()
    return value if leaf is None else leaf(value)


def is_unchanged(before: Any, now: Any) -> bool:
    """Whether a value is the same as the one that a snapshot was taken of.

    Types count (1 is not True, nor 1.0), and so do the sign of zero and the order of a dictionary:
    a program may have looked at them. A nan is the same as another.

    >>> is_unchanged(1, True), is_unchanged([0.0], [-0.0]), is_unchanged(math.nan, math.nan)
    (False, False, True)
    """
    if before is now and not isinstance(now, (list, tuple, dict, set, bytearray, np.ndarray)):
        return True
    if type(before) is not type(now):
        return False
    if isinstance(now, (list, tuple)):
        return len(before) == len(now) and all(map(is_unchanged, before, now))
    if type(now) is dict:
        return list(before) == list(now) and all(
            is_unchanged(item, now[key]) for key, item in before.items()
        )
    if isinstance(now, np.ndarray):
        return _is_same_array(before, now)
    if isinstance(now, float):
        same_sign = math.copysign(1, before) == math.copysign(1, now)
        return (before == now and same_sign) or (before != before and now != now)
    try:
        return bool(before == now) or bool(before != before and now != now)
    except Exception:  # an `==` that fails, or that gives something which is neither true nor false
        return False


def _is_same_array(before: np.ndarray, now: np.ndarray) -> bool:
    if (before.shape, before.dtype) != (now.shape, now.dtype):
        return False
    if before.dtype.hasobject:
        return all(map(is_unchanged, before.ravel().tolist(), now.ravel().tolist()))
    # By bytes, so that nan is nan and zero has its sign.
    return before.tobytes() == now.tobytes()
