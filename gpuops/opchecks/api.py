"""`opcheck` itself: binds the sample, runs the checks, collects the verdicts."""

from __future__ import annotations

import importlib
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

from gpuops.convert import Arguments
from gpuops.errors import ArgumentError, GpuopsError, UsageError, describe
from gpuops.opchecks.explain import explained
from gpuops.opchecks.hosting import hosted, on_host
from gpuops.opchecks.inputs import Pool
from gpuops.opchecks.preserve import preserved
from gpuops.opchecks.report import OpCheckError, Verdicts
from gpuops.opchecks.script import save_path, script
from gpuops.opchecks.search import find
from gpuops.opchecks.subject import Subject, copied
from gpuops.registry import Operator, as_operator

__all__ = ["CHECKS", "bound_sample", "generate_repro", "opcheck"]

CHECKS: Final = (
    "test_schema",
    "test_fake",
    "test_trace",
    "test_autograd",
    "test_vmap",
    "test_layouts",
    "test_initialised",
    "test_threads",
    "test_devices",
)
"""The checks, in the order in which they run."""


def opcheck(
    op: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    *,
    test_utils: str | list[str] | tuple[str, ...] = "ALL",
    raise_exception: bool = True,
    atol: float | None = None,
    rtol: float | None = None,
    seed: int = 0,
    draws: bool = True,
    save_data: bool | str | Path = False,
) -> Verdicts:
    """Check what is registered for an operator, on a sample call and on inputs made from it.

    Args:
        op: an operator (what `gpuops.custom_op` returns, or ``ops.<ns>.<name>``).
        args: the sample's positional arguments: real arrays, which are copied to the host. Nothing
            is written to them.
        kwargs: its keyword arguments.
        test_utils: a name out of `CHECKS`, several, or ``"ALL"``.
        raise_exception: whether the first failure is raised; if not, failures are returned.
        atol: what values may differ by, instead of what fits their dtype; with `rtol` only.
        rtol: likewise, per unit of the expected value.
        seed: for what is drawn: the same seed draws the same inputs.
        draws: whether further inputs are made from the sample.
        save_data: for the script in a failure's message, which has the arrays written out, as far
            as they are small: the .npz file to load them from, or True for a file in the directory
            for temporary files.

    Returns:
        For each check, ``"SUCCESS"`` or the exception that says what is wrong: a dict, whose
        attribute ``unchecked`` says for each check what it did not look at, and why.

    Raises:
        OpCheckError: a check failed; the message has its name, and what is wrong.
        ArgumentError: the sample does not fit the schema, an unknown check, one tolerance only.
        UsageError: `op` is no operator.
        OverloadError: it has several overloads, and none was named.

    >>> import numpy as np, gpuops
    >>> @gpuops.custom_op("demo_opcheck::halve", mutates_args=())
    ... def halve(x: gpuops.Array) -> gpuops.Array:
    ...     x *= 0.5
    ...     return x.copy()
    >>> gpuops.opcheck(halve, (np.ones(3),), test_utils="test_schema")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    gpuops.opchecks.report.OpCheckError: test_schema failed: demo_opcheck::halve: Argument x is \
not defined as mutable but was mutated ...
    >>> halve.undo()
    """
    operator = _operator(op)
    chosen = chosen_checks(test_utils)
    if (atol is None) != (rtol is None):
        raise ToleranceError("opcheck: give both atol and rtol, or neither of them")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ArgumentError(f"opcheck: seed must be an int, got {describe(seed)}")
    subject = Subject(
        operator, _bound(operator, args, {} if kwargs is None else kwargs), rtol, atol, seed
    )
    with hosted(operator) as is_bridged:
        pool = Pool(subject, empty=not draws)
        return _run(chosen, subject, pool, raise_exception, save_data, is_bridged=is_bridged)


def _run(
    chosen: tuple[str, ...],
    subject: Subject,
    pool: Pool,
    raise_exception: bool,
    save_data: bool | str | Path,
    *,
    is_bridged: bool,
) -> Verdicts:
    verdicts = Verdicts()
    for name in chosen:
        check = importlib.import_module(f"gpuops.opchecks.{name.removeprefix('test_')}").check
        subject.unchecked.clear()
        if is_bridged and name != "test_devices":
            subject.leave_unchecked("a 'cpu' kernel: there is none, and the 'cuda' one is called")
        with preserved(subject.seed), _leaving_streams():
            found = find(name, check, subject, pool)
            error = None
            if found is not None:
                error = explained(name, check, found, subject, save_data)
        if error is not None and raise_exception:
            failed = OpCheckError(f"{name} failed: {error}")
            failed.case, failed.script = (getattr(error, key, None) for key in ("case", "script"))
            raise failed from error
        verdicts[name] = "SUCCESS" if error is None else error
        if subject.unchecked:
            verdicts.unchecked[name] = tuple(subject.unchecked)
    return verdicts


def generate_repro(
    test: str,
    op: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    *,
    save_data: bool | str | Path = False,
    seed: int = 0,
) -> str:
    """A script that runs one check on one call: what a failure's message has, for any call.

    Args:
        test: the check.
        op: an operator.
        args: positional arguments.
        kwargs: keyword arguments.
        save_data: where the arrays' elements go: False writes them out in the script, as far as
            they are small; True saves them to a file in the directory for temporary files; a path
            names the .npz file.
        seed: what the script gives to `opcheck`.

    Returns:
        Python source.

    Raises:
        ArgumentError, ToleranceError, UsageError, OverloadError: as `opcheck`.

    >>> import numpy as np, gpuops
    >>> @gpuops.custom_op("demo_repro::halve", mutates_args=())
    ... def halve(x: gpuops.Array) -> gpuops.Array:
    ...     return x / 2
    >>> print(generate_repro("test_fake", halve, (np.ones(2),)).splitlines()[-1])
    gpuops.opcheck(gpuops.ops.demo_repro.halve, (x,), test_utils="test_fake", seed=0)
    >>> halve.undo()
    """
    (name,) = chosen_checks((test,))
    subject = Subject(*bound_sample(op, args, kwargs), seed=seed)
    return script(name, subject, save_data=save_path(name, subject, subject.values, save_data))


def _leaving_streams() -> AbstractContextManager[None]:
    """A context that leaves the streams that a checked operator entered."""
    streams = sys.modules.get("gpuops.cuda.streams")
    return nullcontext() if streams is None else streams.restoring_streams()


class ToleranceError(GpuopsError, ValueError):
    """One tolerance without the other, or a check that does not exist."""


def _operator(op: Any) -> Operator:
    try:
        return as_operator(op)
    except UsageError as error:
        raise OperatorExpected(
            f"opcheck takes an operator (what custom_op returns, or ops.<ns>.<name>), got "
            f"{describe(op)}"
        ) from error


class OperatorExpected(UsageError, ValueError):
    """What was given to `opcheck` is no operator."""


def chosen_checks(test_utils: Any) -> tuple[str, ...]:
    """The names that a ``test_utils`` argument stands for.

    Raises:
        ToleranceError: there is no check of that name.
    """
    if test_utils == "ALL":
        return CHECKS
    names = (test_utils,) if isinstance(test_utils, str) else tuple(test_utils)
    if unknown := [name for name in names if name not in CHECKS]:
        raise ToleranceError(
            f"opcheck: test_utils must be a subset of {', '.join(CHECKS)}, or 'ALL'; "
            f"got {unknown[0]!r}"
        )
    return names


def bound_sample(
    op: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None
) -> tuple[Operator, list[Any]]:
    """An operator and copies of a call's arguments, in schema order.

    Raises:
        UsageError, OverloadError: `op` is no operator, or several.
        ArgumentError: the arguments do not fit the schema.
    """
    operator = _operator(op)
    return operator, _bound(operator, args, {} if kwargs is None else kwargs)


def _bound(operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The sample in schema order, with defaults, converted, and copied from the caller's."""
    where = f"opcheck({operator.qualname})"
    if not isinstance(args, (tuple, list)):
        raise ArgumentError(
            f"{where}: args must be a tuple of the positional arguments, got {describe(args)}"
        )
    if not isinstance(kwargs, dict):
        raise ArgumentError(
            f"{where}: kwargs must be a dict of arguments by name, got {describe(kwargs)}"
        )
    refusal = Operator.refusal(operator, tuple(args), kwargs)
    if refusal is not None:
        raise refusal
    rest = list(args)
    values = []
    for parameter in operator.schema.parameters:
        if rest and not parameter.kwarg_only:
            values.append(rest.pop(0))
        else:
            values.append(kwargs.get(parameter.name, parameter.default))
    converted = Arguments(operator, tuple(values))
    if any(found.kind is None for found in converted.arrays):
        raise ArgumentError(f"{where}: the sample has to be of real arrays")
    return copied(on_host(operator, converted.values))
