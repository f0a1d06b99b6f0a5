"""Other scalars: numbers of other signs and sizes, dtypes, orders, and what may be left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gpuops.opchecks.draw_edit import Edit, Values
from gpuops.opchecks.subject import Subject
from gpuops.schema_types import ORDERS

__all__ = ["scalar_edits"]

# What stands for an argument that was left out.
_STAND_INS: dict[str, Any] = {
    "int": 1,
    "SymInt": 1,
    "float": 0.5,
    "bool": True,
    "complex": 1j,
    "Scalar": 2,
    "dtype": np.dtype(np.float64),
    "order": "C",
}
_DTYPES = ("float64", "float32", "float16", "int64", "int16", "uint8", "bool", "complex128")


def scalar_edits(subject: Subject, values: Values) -> Iterator[Edit]:
    """An edit for each scalar argument, and each item of a list of them, and each other value.

    Numbers stay small: a huge one is a huge array more often than a fault.
    """
    for position, parameter in enumerate(subject.operator.schema.parameters):
        base, value = parameter.type.base, values[position]
        if base not in _STAND_INS:
            continue
        places: list[int | None] = list(range(len(value))) if isinstance(value, list) else [None]
        for item in places:
            old = value if item is None else value[item]
            for new, tags in _others(base, old):
                # In a list, a number is a size or a place more often than one by itself.
                if item is not None and type(new) is int and new < 0 <= old:
                    continue
                shown = parameter.name if item is None else f"{parameter.name}[{item}]"
                yield Edit(f"{shown}={new!r}", frozenset(tags), _set(position, item, new))


def _set(position: int, item: int | None, new: Any) -> Callable[[Values], Values | None]:
    def apply(values: Values) -> Values | None:
        made = list(values)
        if item is None:
            made[position] = new
            return made
        if not isinstance(made[position], list) or item >= len(made[position]):
            return None
        made[position] = [*made[position][:item], new, *made[position][item + 1 :]]
        return made

    return apply


def _others(base: str, old: Any) -> Iterator[tuple[Any, set[str]]]:
    if old is None:
        yield _STAND_INS[base], {"scalars"}
        old = _STAND_INS[base]
    seen = [old]
    for new, tags in _candidates(base, old):
        # By type as well: True is no 1 here, and -0.0 no 0.0.
        if not any(type(new) is type(o) and repr(new) == repr(o) for o in seen):
            seen.append(new)
            yield new, tags


def _candidates(base: str, old: Any) -> Iterator[tuple[Any, set[str]]]:
    if base == "dtype":
        yield from ((np.dtype(name), {"scalars"}) for name in _DTYPES)
    elif base == "order":
        yield from ((order, {"scalars"}) for order in ORDERS)
    elif isinstance(old, bool):
        yield not old, {"scalars", "near"}
    elif isinstance(old, int):
        for number in (-1, 0, 1, old + 1, -old, old - 1, 2, -2, 3, 7):
            yield number, {"scalars"}
    elif isinstance(old, float):
        yield old * 1.5 + 0.25, {"scalars", "near"}
        for real in (-1.0, 0.0, 1.0, -old, 0.5, 2.0, -0.0, 1e-3, -1e3):
            yield real, {"scalars"}
        for strange in (math.nan, math.inf, -math.inf):
            yield strange, {"scalars", "special"}
    elif isinstance(old, complex):
        yield old * 1.5 + (0.25 + 0.5j), {"scalars", "near"}
        for number_ in (0j, 1 + 0j, 1j, -old, old.conjugate()):
            yield number_, {"scalars"}
    if base == "Scalar":
        for other in (2, -1, 0.5, -0.5, True):
            yield other, {"scalars"}
