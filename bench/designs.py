"""Other ways to build an operator's call, timed beside the one that gpuops uses.

They do what the generated function does for arrays that need no conversion, and nothing else; the
numbers are why it is a plain function (docs/dispatch.md). Only the form of call that the bars are
set for is timed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from bench.forms import BAR_FORM, Form
from bench.peers import NotComparable, Peer, Subject, numpy_array

__all__ = ["DESIGNS"]

_TESTS = " and ".join(
    [*(f"type({name}) is ndarray" for name in BAR_FORM.array_names), "type(s) is float"]
)
_CALL = f"kernel({', '.join(BAR_FORM.parameters)})"
_UNCHECKED = f"return {_CALL} if {_TESTS} else slow()"
_CHECKED = f"return out if {_TESTS} and type(out := {_CALL}) is ndarray else slow()"


def _function(form: Form, body: str) -> Any:
    if form != BAR_FORM:
        raise NotComparable(f"timed for {BAR_FORM} only")
    return form.function(body, ndarray=np.ndarray, kernel=form.kernel(np.empty(1)), slow=None)


@contextmanager
def unchecked(form: Form) -> Iterator[Subject]:
    """A generated function that does not look at what the kernel returned."""
    yield _function(form, _UNCHECKED), numpy_array


@contextmanager
def partial_subclass(form: Form) -> Iterator[Subject]:
    """A subclass of `functools.partial` around a generated function: room for methods."""

    class Operator(functools.partial[Any]):
        pass

    yield Operator(_function(form, _CHECKED)), numpy_array


@contextmanager
def instance(form: Form) -> Iterator[Subject]:
    """An instance of a class whose ``__call__`` is generated."""
    function = _function(form, _CHECKED)

    class Operator:
        pass

    parameters = ", ".join(form.parameters)
    namespace = dict(function.__globals__)
    exec(f"def __call__(self, {parameters}): {_CHECKED}", namespace)
    Operator.__call__ = namespace["__call__"]  # type: ignore[attr-defined]
    yield Operator(), numpy_array  # type: ignore[misc]


@contextmanager
def star_forwarder(form: Form) -> Iterator[Subject]:
    """A function of ``*args, **kwargs`` that finds the kernel by the first argument's type."""
    _function(form, _CHECKED)
    kernels = {np.ndarray: form.kernel(np.empty(1))}

    def call(*args: Any, **kwargs: Any) -> Any:
        return kernels[type(args[0])](*args, **kwargs)

    yield call, numpy_array


DESIGNS: dict[str, Peer] = {
    "design: no return check": unchecked,
    "design: partial subclass": partial_subclass,
    "design: instance": instance,
    "design: *args, **kwargs": star_forwarder,
}
