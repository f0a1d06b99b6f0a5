"""Moving the arguments and results of operators between devices."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gpuops

__all__ = ["arrays_in", "device_types", "place", "synchronise", "to_host"]


def device_types(wanted: str, has_cuda: bool) -> list[str]:
    """The device types to run on.

    >>> device_types("auto", has_cuda=False), device_types("auto", has_cuda=True)
    (['cpu'], ['cpu', 'cuda'])
    """
    if wanted != "auto":
        return [wanted]
    return ["cpu", "cuda"] if has_cuda else ["cpu"]


def place(value: Any, move: Callable[[Any], Any]) -> Any:
    """`value` with every array in it moved; lists, tuples and dictionaries are searched."""
    if isinstance(value, dict):
        return {name: place(item, move) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([place(item, move) for item in value])
    return move(value) if gpuops.device_of(value) is not None else value


def to_host(value: Any) -> Any:
    """Arrays of any device as NumPy arrays."""
    return place(value, partial(gpuops.asarray, device="cpu"))


def synchronise(device_type: str) -> None:
    """Wait until what was started on the current device is done."""
    if device_type == "cuda":
        importlib.import_module("cupy").cuda.get_current_stream().synchronize()


def arrays_in(value: Any) -> Iterator[Any]:
    """Every array in `value`."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from arrays_in(item)
    elif gpuops.device_of(value) is not None:
        yield value
