"""One change of a call's arguments, and how arguments are exchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Edit", "Place", "Values", "array_places", "arrays_of", "put", "with_arrays"]

Values = list[Any]
"""The arguments of a call, in schema order."""

Place = tuple[int, int | None]
"""Where a value is: the position of the argument, and that within a list."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a call's arguments.

    Attributes:
        name: unique within a menu.
        tags: what it touches: "sizes", "ranks", "unlike" (sizes that were equal are not), "alone"
            (likewise, and NumPy may broadcast them), "dtype", "float16", "kind:i" (and so on: a
            dtype of another kind than the sample's), "values", "kinks" (elements at which
            functions have them), "special", "layout", "scalars", "near" (a scalar, by little),
            "optional", "lengths".
        apply: makes new arguments, or None where the change does not apply. What it is given stays
            as it is.
    """

    name: str
    tags: frozenset[str]
    apply: Callable[[Values], Values | None]


def array_places(values: Values) -> list[Place]:
    """Where NumPy arrays are: the position of the argument, and that within a list."""
    found: list[Place] = []
    for position, value in enumerate(values):
        items = enumerate(value) if isinstance(value, list) else [(None, value)]
        found += [(position, item) for item, entry in items if type(entry) is np.ndarray]
    return found


def arrays_of(values: Values) -> list[Any]:
    """The NumPy arrays among values."""
    return [values[i] if j is None else values[i][j] for i, j in array_places(values)]


def put(values: Values, new: dict[Place, Any]) -> Values:
    """Values with some exchanged."""
    made = [list(value) if isinstance(value, list) else value for value in values]
    for (position, item), value in new.items():
        if item is None:
            made[position] = value
        else:
            made[position][item] = value
    return made


def with_arrays(values: Values, arrays: list[Any] | None) -> Values | None:
    """Values with all arrays exchanged, in the order of `arrays_of`; None for None."""
    if arrays is None:
        return None
    return put(values, dict(zip(array_places(values), arrays, strict=True)))
