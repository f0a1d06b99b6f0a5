"""`test_trace`: what is traced gives the eager values, and calls with equal inputs equal ones."""

from __future__ import annotations

import importlib.util
import pickle
import random
from typing import Any

import numpy as np

from gpuops.errors import NoFakeError, ShapeError, TraceError
from gpuops.opchecks.report import leaves
from gpuops.opchecks.subject import REFUSED, Subject, copied
from gpuops.opchecks.variants import other_values
from gpuops.transforms.trace import trace

__all__ = ["check", "check_repeatable", "compare"]

Outcome = tuple[Any, list[Any]]
"""What a call returned, and its arguments afterwards."""


def check(subject: Subject) -> None:
    """Trace a call real, fake and symbolic, run each graph, and compare with the eager call.

    The graphs also run on other values of the same shapes. Without SymPy there are no symbols, and
    the graph with them is left out.

    Raises:
        Failure: another value, or a call that cannot be traced.
    """
    expected = check_repeatable(subject)
    other = None if subject.is_drawn else other_values(subject, subject.values)
    if other is not None:
        check_repeatable(subject, other)
        _check_interleaved(subject, expected, other)
        _check_same_memory(subject, other)
    _check_ambient(subject)
    inputs = [(expected, subject.values)]
    if other is not None:
        inputs.append((_run(subject, other), other))
    modes = ["real", "fake"]
    if importlib.util.find_spec("sympy") is not None:
        modes.append("symbolic")
    else:
        subject.leave_unchecked("the symbolic graph: SymPy is not installed")
    for mode in modes:
        if not _check_graph(subject, mode, inputs):
            subject.leave_unchecked("the fake and the symbolic graph: there is no fake kernel")
            return


def _check_graph(subject: Subject, mode: str, inputs: list[tuple[Outcome, list[Any]]]) -> bool:
    """Trace the sample's call and compare; False if there is no fake kernel."""

    # A graph is given an array at least: one that nothing uses, where the call has none.
    first = [] if subject.arrays(subject.values) else [np.zeros(1)]

    def call(*values: Any) -> Any:
        return subject.call(list(values[len(first) :]))

    try:
        with np.errstate(all="ignore"):
            graph = trace(call, mode)(*first, *copied(subject.values))
            results = []
            for _, values in inputs:
                given = copied(values)
                results.append((graph(*first, *given), given))
    except NoFakeError:
        return False  # test_fake says so
    except Exception as error:
        if _is_not_meant(subject, error):
            subject.leave_unchecked(f"the graph of tracing_mode={mode!r}: {error}")
            return True
        raise subject.fail(
            f"a call cannot be traced (tracing_mode={mode!r}): {type(error).__name__}: {error}"
        ) from error
    for (expected, values), result in zip(inputs, results, strict=True):
        compare(subject, expected, result, f"traced (tracing_mode={mode!r})", values)
    return True


def _is_not_meant(subject: Subject, error: Exception) -> bool:
    """Whether a right operator cannot be traced for what a graph cannot hold.

    That is a number that is computed from data, or a bound that depends on the sizes of the inputs.
    """
    if isinstance(error, TraceError):
        numbers = [returned.type for returned in subject.operator.schema.returns]
        return any(not type_.is_array for type_ in numbers)
    return isinstance(error, ShapeError) and "must be a number, got the SymInt" in str(error)


def check_repeatable(subject: Subject, values: list[Any] | None = None) -> Outcome:
    """The result of an eager call and what it made of its arguments, the same three times.

    Raises:
        Failure: two calls with equal arguments differ.
    """
    first = _run(subject, values)
    for _ in range(2):
        again = _run(subject, values)
        how = "called again (hidden state, or it is nondeterministic)"
        compare(subject, first, again, how, values)
    return first


def _check_interleaved(subject: Subject, expected: Outcome, other: list[Any]) -> None:
    """What other arguments a call had before does not matter."""
    between = _run(subject, other)
    how = "called after a call with other values (hidden state)"
    compare(subject, expected, _run(subject), how)
    compare(subject, between, _run(subject, other), how, other)


def _check_same_memory(subject: Subject, other: list[Any]) -> None:
    """An array is what it holds: neither its address nor its identity stands for a result."""
    values = copied(subject.values)
    if any(not array.flags.writeable for array in subject.arrays(values)):
        return
    with np.errstate(all="ignore"):
        subject.call(values)
        # Written to where they are, as training loops do.
        fresh = copied(other)
        for array, new in zip(subject.arrays(values), subject.arrays(fresh), strict=True):
            array[...] = new
        position = [isinstance(value, (np.ndarray, list)) for value in fresh]
        again = [
            old if same else new for old, new, same in zip(values, fresh, position, strict=True)
        ]
        expected = _run(subject, again)
        result = subject.call(again)
    how = "called with the same array, which holds other values now (a result was kept for it)"
    compare(subject, expected, (result, again), how, other)


def _check_ambient(subject: Subject) -> None:
    """The generators that all of a program shares are not a kernel's to seed."""
    before = random.getstate(), np.random.get_state(legacy=False)
    try:
        after = []
        for seed in (1, 2):
            random.seed(seed)
            np.random.seed(seed)
            if subject.attempt(subject.values) is REFUSED:
                return
            after.append(_ambient())
        for name, state in after[0].items():
            if state == after[1][name]:
                raise subject.fail(
                    f"it seeds {name}, which is the whole program's: draw from an RNGState "
                    "argument, or from a generator of the kernel's own"
                )
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


def _ambient() -> dict[str, bytes]:
    return {
        "the module random": pickle.dumps(random.getstate()),
        "numpy.random": pickle.dumps(np.random.get_state(legacy=False)),
    }


def _run(subject: Subject, values: list[Any] | None = None) -> Outcome:
    given = copied(subject.values if values is None else values)
    with np.errstate(all="ignore"):
        return subject.call(given), given


def compare(
    subject: Subject,
    expected: Outcome,
    got: Outcome,
    how: str,
    values: list[Any] | None = None,
) -> None:
    """Compare two calls: what they returned, and what they wrote to their arguments.

    Args:
        subject: the operator.
        expected: one call's result and arguments.
        got: the other's.
        how: what is different about it, for the message.
        values: the arguments to show, if not the sample's.

    Raises:
        Failure: naming the output or argument, and both values.
    """
    operator = subject.operator
    left, right = leaves(operator, expected[0]), leaves(operator, got[0])
    if len(left) != len(right):
        raise subject.fail(f"{how}, it returns {len(right)} values and not {len(left)}", values)
    pairs = [(name, one, other) for (name, one), (_, other) in zip(left, right, strict=True)]
    for parameter, one, other in zip(operator.schema.parameters, expected[1], got[1], strict=True):
        if parameter.is_mutated and one is not None:
            items = zip(one, other, strict=True) if isinstance(one, list) else [(one, other)]
            pairs += [(f"argument {parameter.name!r}", a, b) for a, b in items]
    for name, one, other in pairs:
        problem = subject.difference(one, other, values)
        if problem:
            raise subject.fail(f"{how}, {name} differs: {problem}", values)
