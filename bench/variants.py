from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import gpuops
from bench.forms import BAR_FORM, Form
from bench.peers import Peer, Subject, numpy_array, operator

__all__ = ["VARIANTS"]


def _body(kind: str = "type({})", *, checked: bool = True) -> str:
    """What the generated function does; `kind` is how the type of a value is asked for."""
    tests = [f"{kind.format(name)} is ndarray" for name in BAR_FORM.array_names]
    tests.append(f"{kind.format('s')} is float")
    call = f"kernel({', '.join(BAR_FORM.parameters)})"
    if not checked:
        return f"return {call} if {' and '.join(tests)} else slow()"
    tests.append(f"{kind.format(f'(out := {call})')} is ndarray")
    return f"return out if {' and '.join(tests)} else slow()"


def _function(form: Form, body: str) -> Callable[..., Any]:
    return form.function(body, ndarray=np.ndarray, kernel=form.kernel(np.empty(1)), slow=None)


@contextmanager
def unchecked(form: Form) -> Iterator[Subject]:
    """A generated function that does not look at what the kernel returned."""
    yield _function(form, _body(checked=False)), numpy_array


@contextmanager
def class_attribute(form: Form) -> Iterator[Subject]:
    """A generated function that asks for ``x.__class__``, about which a proxy object can lie."""
    yield _function(form, _body("{}.__class__")), numpy_array


@contextmanager
def partial_subclass(form: Form) -> Iterator[Subject]:
    """A subclass of `functools.partial` around a generated function: room for methods."""

    class Operator(functools.partial[Any]):
        pass

    yield Operator(_function(form, _body())), numpy_array


@contextmanager
def instance(form: Form) -> Iterator[Subject]:
    """An instance of a class whose ``__call__`` is generated."""
    namespace = dict(_function(form, _body()).__globals__)
    exec(f"def __call__(self, {', '.join(form.parameters)}): {_body()}", namespace)
    yield type("Operator", (), {"__call__": namespace["__call__"]})(), numpy_array


@contextmanager
def star_forwarder(form: Form) -> Iterator[Subject]:
    """A function of ``*args, **kwargs`` that finds the kernel by the first argument's type."""
    kernels = {np.ndarray: form.kernel(np.empty(1))}

    def call(*args: Any, **kwargs: Any) -> Any:
        return kernels[type(args[0])](*args, **kwargs)

    yield call, numpy_array


@contextmanager
def converting(form: Form) -> Iterator[Subject]:
    """An operator that has to convert: it declares a complex number and gets a float."""
    with operator(form, schema=form.schema("Array").replace("float s", "complex s")) as subject:
        yield subject


@contextmanager
def debug(form: Form) -> Iterator[Subject]:
    """An operator in debug mode, which checks aliasing and mutation at every call."""
    with operator(form) as subject, gpuops.debug():
        yield subject


VARIANTS: dict[str, Peer] = {
    "design: no return check": unchecked,
    "design: x.__class__": class_attribute,
    "design: partial subclass": partial_subclass,
    "design: instance": instance,
    "design: *args, **kwargs": star_forwarder,
    "gpuops, converting": converting,
    "gpuops, debug mode": debug,
}
