"""Ways to call a kernel that does nothing: by hand, through gpuops, and through its peers.

Each peer is a context: given a form of call, it yields the function to call and an array of the
kind it takes, and removes what it registered at the end. A peer that cannot express a form raises
`NotComparable`. All kernels return a constant, so that only the call is timed; where a peer cannot
be kept from doing more, its entry says so.
"""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from types import ModuleType
from typing import Any

import numpy as np

import gpuops
from bench.forms import Form

__all__ = ["DIRECT", "FORWARDING", "GPUOPS", "PEERS", "TORCH", "NotComparable", "Peer", "Subject"]

# The function to call, and what makes an array for it.
Subject = tuple[Callable[..., Any], Callable[[], Any]]
Peer = Callable[[Form], AbstractContextManager[Subject]]

LENGTH = 8
_serial = count()


class NotComparable(Exception):
    """Why a peer cannot be timed: it is not installed, or has no such form of call."""


def load(name: str) -> ModuleType:
    """Import a peer.

    Warnings are errors in the test run; what a peer warns of while it is imported is its own
    affair.

    Raises:
        NotComparable: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise NotComparable(f"{error.name} is not installed") from error


def numpy_array() -> Any:
    return np.ones(LENGTH)


@contextmanager
def direct(form: Form) -> Iterator[Subject]:
    """The kernel itself."""
    yield form.kernel(np.empty(1)), numpy_array


@contextmanager
def forwarding(form: Form) -> Iterator[Subject]:
    """A function written by hand that passes its arguments on: the least a layer can cost."""
    kernel = form.kernel(np.empty(1))
    yield form.function(f"return kernel({', '.join(form.parameters)})", kernel=kernel), numpy_array


@contextmanager
def operator(form: Form, schema: str | None = None) -> Iterator[Subject]:
    """A gpuops operator with a "cpu" kernel."""
    call = gpuops.custom_op(
        f"gpuops_bench::f{next(_serial)}",
        form.kernel(np.empty(1)),
        mutates_args=(),
        device_types="cpu",
        schema=schema or form.schema("Array"),
    )
    try:
        yield call, numpy_array
    finally:
        call.undo()


@contextmanager
def singledispatch(form: Form) -> Iterator[Subject]:
    """`functools.singledispatch`: looks at the first argument's type only."""
    call = functools.singledispatch(form.function("raise NotImplementedError"))
    call.register(np.ndarray, form.kernel(np.empty(1)))
    yield call, numpy_array


@contextmanager
def plum(form: Form) -> Iterator[Subject]:
    """plum: dispatches on the types of all positional arguments."""
    dispatch = load("plum").Dispatcher()
    types = (np.ndarray,) * form.arrays + (float,) * (form.positional - form.arrays)
    yield dispatch.multi(types)(form.kernel(np.empty(1))), numpy_array


@contextmanager
def multipledispatch(form: Form) -> Iterator[Subject]:
    """multipledispatch: dispatches on the types of all positional arguments."""
    types = (np.ndarray,) * form.arrays + (float,) * (form.positional - form.arrays)
    dispatcher = load("multipledispatch").Dispatcher("f")
    dispatcher.add(types, form.kernel(np.empty(1)))
    yield dispatcher, numpy_array


@contextmanager
def ufunc(form: Form) -> Iterator[Subject]:
    """NumPy's ``np.positive`` and ``np.add`` of 8 numbers, which compute and allocate a result."""
    if form.scalar == "name":
        raise NotComparable("a ufunc takes no input by name")
    found = {1: np.positive, 2: np.add}.get(form.positional)
    if found is None:
        raise NotComparable(f"NumPy has no ufunc of {form.positional} inputs")
    yield found, numpy_array


@contextmanager
def frompyfunc(form: Form) -> Iterator[Subject]:
    """``np.frompyfunc(kernel)`` on arrays of one element, for which it calls the kernel once.

    The kernel gets a number and not an array, and the ufunc allocates its result.
    """
    if form.scalar == "name":
        raise NotComparable("a ufunc takes no input by name")
    yield np.frompyfunc(form.kernel(0.0), form.positional, 1), lambda: np.ones(1)


@contextmanager
def jax_jit(form: Form) -> Iterator[Subject]:
    """`jax.jit` of a function that returns a constant, which jax runs as a compiled program.

    The call returns before the program ends, as it always does with jax.
    """
    jax = load("jax")
    numpy = load("jax.numpy")
    yield jax.jit(form.kernel(numpy.zeros(1))), lambda: numpy.ones(LENGTH)


@contextmanager
def torch_custom_op(form: Form) -> Iterator[Subject]:
    """`torch.library.custom_op`, called as the decorator returns it."""
    torch = load("torch")
    name = f"gpuops_bench::f{next(_serial)}"
    kernel = form.kernel(torch.empty(1))
    schema = form.schema("Tensor")
    yield (
        torch.library.custom_op(name, kernel, mutates_args=(), schema=schema),
        lambda: torch.ones(LENGTH),
    )


@contextmanager
def torch_library(form: Form) -> Iterator[Subject]:
    """torch's ``Library.define`` and ``impl`` for "CPU"; called as ``torch.ops.ns.f.default``."""
    torch = load("torch")
    namespace = f"gpuops_bench{next(_serial)}"
    library = torch.library.Library(namespace, "DEF")
    try:
        library.define(f"f{form.schema('Tensor')}")
        library.impl("f", form.kernel(torch.empty(1)), "CPU")
        yield getattr(torch.ops, namespace).f.default, lambda: torch.ones(LENGTH)
    finally:
        library._destroy()


DIRECT = "direct call"
FORWARDING = "forwarding function"
GPUOPS = "gpuops operator"
TORCH = "torch custom_op"

PEERS: dict[str, Peer] = {
    DIRECT: direct,
    FORWARDING: forwarding,
    GPUOPS: operator,
    "functools.singledispatch": singledispatch,
    "plum": plum,
    "multipledispatch": multipledispatch,
    "np.positive, np.add": ufunc,
    "np.frompyfunc": frompyfunc,
    "jax.jit": jax_jit,
    "torch Library.impl": torch_library,
    TORCH: torch_custom_op,
}
