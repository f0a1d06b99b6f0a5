"""One operator of a zoo: what is registered for it, the sample, and what has to be found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

import gpuops


@dataclass(frozen=True)
class Animal:
    """An operator to be.

    Attributes:
        name: of the operator.
        schema: its parameters and returns, ``"(Array x) -> Array"``.
        kernel: its "cpu" kernel.
        fake: its fake kernel; None registers none.
        sample: makes the arguments.
        check: the check that has to fail, or ``""``.
        message: what the failure has to say.
        backward: the gradient formula, ``f(ctx, *grads)``; ``ctx.saved_arrays`` are the arguments.
        vmap: the batching rule.
        kwargs: keyword arguments of the sample.
        setup: what `backward` keeps; by default all array arguments.
        cuda: its "cuda" kernel.
    """

    name: str
    schema: str
    kernel: Callable[..., Any]
    fake: Callable[..., Any] | None
    sample: Callable[[], tuple[Any, ...]]
    check: str = ""
    message: str = ""
    backward: Callable[..., Any] | None = None
    vmap: Callable[..., Any] | None = None
    kwargs: dict[str, Any] | None = None
    setup: Callable[..., Any] | None = None
    cuda: Callable[..., Any] | None = None


@contextmanager
def alive(animal: Animal, namespace: str) -> Iterator[Any]:
    """The operator, registered as long as the block runs."""
    with gpuops.Library(namespace, "FRAGMENT") as library:
        library.define(animal.name + animal.schema)
        name = f"{namespace}::{animal.name}"
        library.impl(animal.name, animal.kernel, "cpu")
        if animal.cuda is not None:
            library.impl(animal.name, animal.cuda, "cuda")
        if animal.fake is not None:
            gpuops.register_fake(name, animal.fake, lib=library)
        if animal.backward is not None:
            setup = animal.setup or _keep
            gpuops.register_autograd(name, animal.backward, setup_context=setup, lib=library)
        if animal.vmap is not None:
            gpuops.register_vmap(name, animal.vmap, lib=library)
        yield getattr(getattr(gpuops.ops, namespace), animal.name)


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*(value for value in inputs if hasattr(value, "shape")))


def matrix() -> tuple[Any, ...]:
    """One float64 array, 3 by 4, values of both signs."""
    return (np.random.default_rng(7).standard_normal((3, 4)),)


def vector() -> tuple[Any, ...]:
    """One float64 array of 5."""
    return (np.random.default_rng(8).standard_normal(5),)


def two() -> tuple[Any, ...]:
    """Two float64 arrays, 3 by 4."""
    random = np.random.default_rng(9)
    return random.standard_normal((3, 4)), random.standard_normal((3, 4))


def like(x: Any, *rest: Any, **keywords: Any) -> Any:
    """The fake of what gives an array like its first argument."""
    return x.new_empty(x.shape)


def planted(
    name: str,
    check: str,
    message: str,
    kernel: Callable[..., Any],
    fake: Callable[..., Any] | None = like,
    schema: str = "(Array x) -> Array",
    sample: Callable[[], tuple[Any, ...]] = matrix,
    **more: Any,
) -> Animal:
    """An operator that a check has to refuse, with the words of its message."""
    return Animal(name, schema, kernel, fake, sample, f"test_{check}", message, **more)
