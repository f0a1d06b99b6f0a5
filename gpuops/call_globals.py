"""The globals of a generated call: the kernels in force, and what its tests compare with.

The source (`gpuops.codegen`) stays as it is; a registration, a switch or an array library that is
loaded later replaces entries here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuops import codegen, versions
from gpuops.convert import Found, convert_outputs
from gpuops.devices import ArrayKind
from gpuops.interception import intercepted
from gpuops.registry import Operator
from gpuops.selection import quick_kernel

__all__ = ["fill", "learn_cuda", "refresh"]


class _NoArray:
    """Stands in the globals for the array type of a library that is not loaded."""


def fill(operator: Operator, table: codegen.CallTable, slow: Callable[..., Any]) -> None:
    """Fill the globals of a call that was just built.

    Args:
        operator: whose call it is.
        table: its globals; ``table.unquick`` is there already.
        slow: takes the calls that the generated tests turn away.
    """
    operator.table = table
    slots: dict[str, Any] = {
        "slow": slow,
        "check": _check(operator, table),
        "ndarray": np.ndarray,
        "only_ndarray": frozenset({np.ndarray}).issuperset,
        "only_ndarray_or_none": frozenset({np.ndarray, type(None)}).issuperset,
        "intercepted": intercepted,
        "tracked": versions.tracked,
        "bump": versions.bump,
    }
    for wanted, value in slots.items():
        _set(table, wanted, value)
    _set_cuda(table, _NoArray, one_gpu=False, current=lambda *arrays: False)
    refresh(operator)


def _check(operator: Operator, table: codegen.CallTable) -> Callable[..., Any]:
    """What a result goes to that the generated test turns away."""

    def check(out: Any, device: str | None, *args: Any) -> Any:
        name = table.known("default" if device is None else device)
        if name is not None and table.globals[name] is table.unquick:
            # It is checked already; and where no kernel ran but an interpreter, as in a tracing,
            # it is what that made of plain arrays.
            return out
        return convert_outputs(operator, out, device, args)

    return check


def _set(table: codegen.CallTable, wanted: str, value: Any) -> None:
    name = table.known(wanted)
    if name is not None:
        table.globals[name] = value


def _set_cuda(
    table: codegen.CallTable, cls: type, *, one_gpu: bool, current: Callable[..., bool]
) -> None:
    # The array type last: until it is there, no call takes the branch that uses the others.
    _set(table, "one_gpu", one_gpu)
    _set(table, "current_gpu", current)
    _set(table, "only_cuda_array", frozenset({cls}).issuperset)
    _set(table, "only_cuda_array_or_none", frozenset({cls, type(None)}).issuperset)
    _set(table, "cuda_array", cls)


def learn_cuda(operator: Operator, arrays: list[Found]) -> None:
    """Let later calls with arrays like these, of a CUDA library, go the quick way."""
    for found in arrays:
        kind = found.kind
        table = operator.table
        if kind is None or kind.device_type != "cuda" or not isinstance(table, codegen.CallTable):
            continue
        name = table.known("cuda_array")
        if name is not None and table.globals[name] is _NoArray:
            _set_cuda(table, kind.cls, one_gpu=kind.single_device, current=_on_current_device(kind))


def _on_current_device(kind: ArrayKind) -> Callable[..., bool]:
    """Whether all arrays are on the GPU that is current, so that no guard is needed."""
    current, device_of = kind.current, kind.device_of

    def on_current_device(*arrays: Any) -> bool:
        index = current()
        return all(array is None or device_of(array).index == index for array in arrays)

    return on_current_device


def refresh(operator: Operator) -> None:
    """Put the kernels in force into the generated call's globals."""
    table = operator.table
    if not isinstance(table, codegen.CallTable):
        return
    slow = table.unquick
    for device_type in ("cpu", "cuda"):
        quick = None if operator.gone else quick_kernel(operator, device_type)
        _set(table, device_type, quick or slow)
    quick = None if operator.gone else quick_kernel(operator, None)
    _set(table, "default", quick or slow)
