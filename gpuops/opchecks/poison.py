"""Memory that NumPy allocates, filled with a pattern.

NumPy lets a program exchange its allocator (NEP 49) for the current thread or task. Only `malloc`
is exchanged here: what it gives is NumPy's own memory, filled, and goes back to NumPy's own `free`,
so that arrays may outlive the block. `numpy.zeros` and the like use `calloc` and are not concerned.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["PoisonError", "poisoned"]

_Malloc = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)

# Where NumPy's table of its C interface has the two functions (numpy/__multiarray_api.h; the places
# are part of the ABI and have not moved since NumPy 1.22).
_SET_HANDLER, _GET_HANDLER = 304, 305


class PoisonError(RuntimeError):
    """NumPy's allocator cannot be exchanged here."""


class _Allocator(ctypes.Structure):
    _fields_ = (
        ("context", ctypes.c_void_p),
        ("malloc", ctypes.c_void_p),
        ("calloc", ctypes.c_void_p),
        ("realloc", ctypes.c_void_p),
        ("free", ctypes.c_void_p),
    )


class _Handler(ctypes.Structure):
    """``PyDataMem_Handler`` of numpy/ndarraytypes.h."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("allocator", _Allocator),
    )


# An array refers to the handler that made it until it is freed, which may be after this module is
# gone: handlers are made once for each pattern, and never given back.
_handlers: dict[int, Any] = {}
_callbacks: list[Any] = []


@contextmanager
def poisoned(pattern: int) -> Iterator[None]:
    """Let new arrays hold a pattern in every byte until something is written to them.

    Args:
        pattern: the byte, 0 to 255.

    Raises:
        PoisonError: this NumPy does not have the interface.

    >>> import numpy as np
    >>> with poisoned(0x5A):
    ...     x = np.empty(3, np.uint8)
    >>> x
    array([90, 90, 90], dtype=uint8)
    """
    exchange, capsule = _interface(), _handler(pattern)
    before = exchange(capsule)
    try:
        yield
    finally:
        exchange(before)


def _interface() -> Any:
    return _function(_SET_HANDLER, ctypes.py_object, ctypes.py_object)


def _function(index: int, *types: Any) -> Any:
    module = getattr(np, "_core", None) or getattr(np, "core", None)
    table = getattr(getattr(module, "_multiarray_umath", None), "_ARRAY_API", None)
    api = getattr(ctypes, "pythonapi", None)
    if table is None or api is None:
        raise PoisonError("NumPy's C interface cannot be reached from Python here")
    pointer = api.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    functions = ctypes.cast(pointer(table, None), ctypes.POINTER(ctypes.c_void_p))
    return ctypes.PYFUNCTYPE(*types)(functions[index])


def _handler(pattern: int) -> Any:
    known = _handlers.get(pattern)
    if known is not None:
        return known
    api = ctypes.pythonapi
    pointer = api.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    usual = _Handler.from_address(
        pointer(_function(_GET_HANDLER, ctypes.py_object)(), b"mem_handler")
    )
    if usual.version != 1:
        raise PoisonError(f"NumPy's allocator has version {usual.version}, not 1")
    # With the interpreter's lock held, which NumPy's store of small blocks relies on.
    malloc = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(
        usual.allocator.malloc
    )
    context = usual.allocator.context

    def filled(_: Any, size: int) -> Any:
        address = malloc(context, size)
        if address:
            ctypes.memset(address, pattern, size)
        return address

    callback = _Malloc(filled)
    raw = api.PyMem_RawMalloc
    raw.restype, raw.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    address = raw(ctypes.sizeof(_Handler))
    made = _Handler.from_address(address)
    ctypes.memmove(address, ctypes.addressof(usual), ctypes.sizeof(_Handler))
    made.name = b"gpuops_poisoned"
    made.allocator.malloc = ctypes.cast(callback, ctypes.c_void_p).value
    new = api.PyCapsule_New
    new.restype = ctypes.py_object
    new.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    name = ctypes.c_char_p(b"mem_handler")
    capsule = new(address, name, None)
    _callbacks.extend((callback, name))  # the capsule keeps a pointer to its name only
    return _handlers.setdefault(pattern, capsule)
