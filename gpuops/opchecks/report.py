"""What a failed check says, and how results are compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gpuops.devices import array_kind
from gpuops.errors import GpuopsError, describe
from gpuops.registry import Operator

__all__ = ["Failure", "OpCheckError", "Verdicts", "difference", "host", "leaves", "summary"]

# (rtol, atol) where none are given: a few roundings of the result's own precision.
_TOLERANCES = {
    "float16": (2e-3, 1e-3),
    "float32": (1e-5, 1e-5),
    "complex64": (1e-5, 1e-5),
    "float64": (1e-9, 1e-10),
    "complex128": (1e-9, 1e-10),
}


class OpCheckError(GpuopsError, AssertionError):
    """A check of `gpuops.opcheck` failed; the cause has the details.

    Attributes:
        case: the smallest call that shows it, in one line; None where there is none to show.
        script: the source of a script that reproduces it; likewise.
    """

    case: str | None = None
    script: str | None = None


class Failure(OpCheckError):
    """What one check found wrong."""


class Verdicts(dict[str, Any]):
    """What `gpuops.opcheck` returns: for each check ``"SUCCESS"`` or an exception.

    Attributes:
        unchecked: for each check that left something out, what and why. A check that does not
            apply at all, such as that of a gradient which nobody registered, is a success, and
            says so here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unchecked: dict[str, tuple[str, ...]] = {}


def summary(operator: Operator, values: list[Any]) -> str:
    """The arguments of a call, as a message shows them."""
    parts = []
    for parameter, value in zip(operator.schema.parameters, values, strict=True):
        items = value if isinstance(value, list) else [value]
        texts = [_text(item) for item in items]
        text = f"[{', '.join(texts)}]" if isinstance(value, list) else texts[0]
        parts.append(f"{parameter.name}={text}")
    return f"{operator.qualname}({', '.join(parts)})"


def _text(value: Any) -> str:
    if array_kind(type(value)) is None:
        return repr(value)
    text = describe(value)
    return f"{text} with strides {value.strides}" if not value.flags.c_contiguous else text


def leaves(operator: Operator, result: Any) -> list[tuple[str, Any]]:
    """The single values of a result with their names."""
    returns = operator.schema.returns
    if not returns:
        return []
    found: list[tuple[str, Any]] = []
    values = list(result) if operator.schema.returns_tuple else [result]
    for index, value in enumerate(values):
        name = f"output {index}" if len(returns) > 1 else "the output"
        if isinstance(value, list):
            found += [(f"{name}[{position}]", item) for position, item in enumerate(value)]
        else:
            found.append((name, value))
    return found


def host(value: Any) -> Any:
    """An array's data as a NumPy array; other values as they are."""
    if array_kind(type(value)) is None or type(value) is np.ndarray:
        return value
    return value.get()


def difference(
    expected: Any,
    got: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    inputs: Iterable[Any] = (),
) -> str | None:
    """How two values differ, or None where they are equal within the tolerance.

    NaN equals NaN, and NaT NaT. Without tolerances, those of the coarsest floating-point dtype are
    taken, of the values and of the arrays that they were computed from; whole numbers and bools
    have to be equal.
    ``rtol=0, atol=0`` asks for equal values.

    >>> import numpy as np
    >>> difference(np.array([1, 2]), np.array([1, 3]))
    'expected 2, got 3 at index (1,). Absolute difference: 1'
    """
    expected, got = host(expected), host(got)
    if not isinstance(expected, np.ndarray) or not isinstance(got, np.ndarray):
        if type(expected) is not type(got):
            return f"expected {expected!r}, got {got!r}"
        if isinstance(expected, (float, complex)):
            return difference(
                np.array(expected), np.array(got), rtol=rtol, atol=atol, inputs=inputs
            )
        return None if bool(expected == got) else f"expected {expected!r}, got {got!r}"
    if expected.shape != got.shape or expected.dtype != got.dtype:
        return f"expected {describe(expected)}, got {describe(got)}"
    if expected.dtype.kind not in "fc":
        same = np.asarray(expected == got)
        if expected.dtype.kind in "mM":
            same = same | (np.isnat(expected) & np.isnat(got))
    else:
        if rtol is None or atol is None:
            dtypes = [expected.dtype, *(x.dtype for x in inputs if x.dtype.kind in "fc")]
            rtol, atol = max(_TOLERANCES.get(dtype.name, (1e-9, 1e-10)) for dtype in dtypes)
        with np.errstate(all="ignore"):
            same = np.isclose(got, expected, rtol=rtol, atol=atol, equal_nan=True)
    if same.all():
        return None
    index = tuple(int(i) for i in np.argwhere(~same)[0])
    left, right = expected[index], got[index]
    text = f"expected {left}, got {right} at index {index}"
    if expected.dtype.kind in "iufc":
        with np.errstate(all="ignore"):
            text += f". Absolute difference: {abs(right.item() - left.item())}"
    return text
