"""An operator that the demo declares in front of the user."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import numpy as np

from gpuops.annotations import Array
from gpuops.errors import GpuopsError
from gpuops.op import custom_op

__all__ = ["Live", "declare"]


def axpy(a: float, x: Array, y: Array) -> Array:
    """Compute a * x + y."""
    return a * x + y


@dataclass(frozen=True, slots=True)
class Live:
    """What happened.

    Attributes:
        declaration: what a user would write.
        schema: what gpuops made of the type hints.
        source: the generated function that every call of the operator runs.
        error: what a wrong call says.
        matched: whether a right call returned what the function itself does.
    """

    declaration: str
    schema: str
    source: str
    error: str
    matched: bool


def declare() -> Live:
    """Declare ``demo::axpy``, call it rightly and wrongly, and remove it again."""
    operator = custom_op("demo::axpy", axpy, mutates_args=())
    try:
        x, y = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
        matched = bool(np.array_equal(operator(2, x, y), axpy(2.0, x, y)))
        try:
            operator("two", x, y)  # type: ignore[arg-type]  # wrong on purpose
        except GpuopsError as raised:
            error = f"{type(raised).__name__}: {raised}"
        else:
            error, matched = "none", False
        decorator = '@gpuops.custom_op("demo::axpy", mutates_args=())'
        return Live(
            declaration=f"{decorator}\n{inspect.getsource(axpy).rstrip()}",
            schema=str(operator.schema),
            source=inspect.getsource(operator).rstrip(),
            error=error,
            matched=matched,
        )
    finally:
        operator.undo()
