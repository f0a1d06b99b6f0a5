"""`test_initialised`: every element of an output has been written.

What NumPy allocates during a call is filled with one pattern of bytes, and in further calls with
others. A result that changes with the pattern has unwritten elements, or was computed from some.
Memory that compiled code allocates by other means is out of sight. On a simulated device the
simulator knows which bytes a kernel has written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np

from gpuops.opchecks.devices import check_written
from gpuops.opchecks.layouts import LAYOUTS, laid_out
from gpuops.opchecks.poison import PoisonError, poisoned
from gpuops.opchecks.report import leaves
from gpuops.opchecks.subject import REFUSED, Subject, copied
from gpuops.opchecks.variants import other_values, resized

__all__ = ["check"]

# As floats the first is zero, the second finite and far from it, and the third NaN, which is seen
# through a product with zero; as bools the second and third are true and no number.
_PATTERNS = (0x00, 0x5A, 0xFF)


def check(subject: Subject) -> None:
    """Call the operator with memory that holds three patterns, and compare bit by bit.

    That goes for the sample, other values, other sizes and a few layouts.

    Raises:
        Failure: an output depends on what its memory held before.
    """
    for number, values in enumerate(_inputs(subject)):
        if not _check_input(subject, values) and not number:
            subject.leave_unchecked("unwritten elements: two equal calls differ (see test_trace)")
    if not subject.is_drawn:
        check_written(subject)


def _inputs(subject: Subject) -> Iterator[list[Any]]:
    yield subject.values
    if subject.is_drawn:
        return
    other = other_values(subject, subject.values)
    values = subject.values if other is None else other
    made = [] if other is None else [other]
    sizes = sorted({n for array in subject.arrays(values) for n in array.shape})
    for added in (1, 2, 3):
        made.append(resized(subject, values, {n: n + added for n in sizes}))
    made.append(resized(subject, values, dict.fromkeys(sizes, 1)))
    for name in ("Fortran order", "every second element"):
        made.append(subject.map(copied(values), laid_out(name, LAYOUTS[name])))
    yield from (one for one in made if subject.attempt(one) is not REFUSED)


def _check_input(subject: Subject, values: list[Any]) -> bool:
    """Compare calls with the same values; False if they differ by themselves."""
    first = _bits(subject, values, None)
    if first != _bits(subject, values, None):
        return False
    results = []
    for pattern in _PATTERNS:
        try:
            results.append(_bits(subject, values, pattern))
        except PoisonError as error:
            subject.leave_unchecked(f"unwritten elements: {error}")
            return True
        except Exception as error:
            raise subject.fail(
                f"the kernel reads memory that nobody wrote: with other bytes in it, it fails with "
                f"{type(error).__name__}: {error}",
                values,
            ) from error
    for one in results[1:]:
        for (name, left), (_, right) in zip(results[0], one, strict=False):
            if left != right:
                raise subject.fail(f"{name} has elements that its kernel never writes", values)
    return True


def _bits(subject: Subject, values: list[Any], pattern: int | None) -> list[tuple[str, bytes]]:
    given = copied(values)
    with np.errstate(all="ignore"), nullcontext() if pattern is None else poisoned(pattern):
        result = subject.call(given)
    found = leaves(subject.operator, result)
    for parameter, value in zip(subject.operator.schema.parameters, given, strict=True):
        if parameter.is_mutated:
            items = value if isinstance(value, list) else [value]
            found += [(f"argument {parameter.name!r}", item) for item in items]
    return [
        (name, v.tobytes() if isinstance(v, np.ndarray) else repr(v).encode()) for name, v in found
    ]
