"""Checks run on arrays of the host; what there is on "cuda" only is brought there.

The layouts, values and memory that checks make are NumPy's. A sample on a GPU is copied to the
host, and `test_devices` moves it back. An operator without a "cpu" kernel gets one for as long as
it is checked, which moves its arguments, calls the operator there, and moves back what it gives: on
a GPU where there is one, and else simulated.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from gpuops.cases import arguments_on
from gpuops.cuda.available import why_unavailable
from gpuops.cuda.simulated import simulator
from gpuops.debug import debug
from gpuops.devices import array_kind, simulated_kind
from gpuops.kernels import register_kernel
from gpuops.opchecks.report import host
from gpuops.registry import Operator

__all__ = ["hosted", "on_host"]


def on_host(operator: Operator, values: list[Any]) -> list[Any]:
    """Arguments in schema order with their arrays, and objects that hold some, on the host."""
    if all(map(_is_on_host, values)):
        return values
    moved, _ = arguments_on(operator, (tuple(values), {}), "cpu")
    return list(moved)


def _is_on_host(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    kinds = [array_kind(type(item)) for item in items]
    where = [getattr(item, "device", None) for item in items if hasattr(item, "to")]
    return all(kind is None or kind.device_type == "cpu" for kind in kinds) and not any(
        str(device).startswith("cuda") for device in where
    )


@contextmanager
def hosted(operator: Operator) -> Iterator[bool]:
    """Let an operator that has kernels for "cuda" only take arrays of the host.

    Returns (as a context):
        Whether that took anything to do.
    """
    if operator.effective_kernel("cpu") is not None or operator.kernel("cuda") is None:
        yield False
        return
    with register_kernel(operator, "cpu", _bridge(operator)):
        yield True


def _bridge(operator: Operator) -> Any:
    def through_cuda(*args: Any, **kwargs: Any) -> Any:
        # Also in a thread that is outside of the caller's simulator.
        simulated = why_unavailable() is not None and simulated_kind.get() is None
        with simulator() if simulated else nullcontext(), debug():
            moved, named = arguments_on(operator, (args, kwargs), "cuda")
            result = operator.call(*moved, **named)
            names = [parameter.name for parameter in operator.schema.positional]
            given = dict(zip(names, args, strict=False)) | kwargs
            there = dict(zip(names, moved, strict=False)) | named
            for name in operator.schema.mutated:
                _copy_back(given[name], there[name])
            return _on_host(result)

    return through_cuda


def _copy_back(old: Any, new: Any) -> None:
    if isinstance(old, list):
        for one, other in zip(old, new, strict=True):
            _copy_back(one, other)
    elif array_kind(type(old)) is not None:
        old[...] = host(new)


def _on_host(result: Any) -> Any:
    if isinstance(result, (tuple, list)):
        return type(result)([_on_host(item) for item in result])
    return host(result)
