"""`test_trace`: what is traced gives the eager values, and calls with equal inputs equal ones."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from gpuops.errors import NoFakeError
from gpuops.opchecks.report import difference, leaves
from gpuops.opchecks.subject import Subject, copied
from gpuops.transforms.trace import trace

__all__ = ["check", "check_repeatable"]


def check(subject: Subject) -> None:
    """Trace a call real, fake and symbolic, run each graph, and compare with the eager call.

    Without SymPy there are no symbols, and the graph with them is left out.

    Raises:
        Failure: another value, or a call that cannot be traced.
    """
    expected = check_repeatable(subject)
    if not subject.arrays(subject.values):
        return  # nothing that a graph could be given

    def call(*values: Any) -> Any:
        return subject.call(list(values))

    modes = ["real", "fake"]
    if importlib.util.find_spec("sympy") is not None:
        modes.append("symbolic")
    for mode in modes:
        values = copied(subject.values)
        try:
            with np.errstate(all="ignore"):
                graph = trace(call, mode)(*copied(subject.values))
                result = graph(*values)
        except NoFakeError:
            return  # test_fake says so
        except Exception as error:
            raise subject.fail(
                f"a call cannot be traced (tracing_mode={mode!r}): {type(error).__name__}: {error}"
            ) from error
        _compare(subject, expected, (result, values), f"traced (tracing_mode={mode!r})")


def check_repeatable(subject: Subject) -> tuple[Any, list[Any]]:
    """The result of an eager call and what it made of its arguments, the same three times.

    Raises:
        Failure: two calls with equal arguments differ.
    """
    first = _run(subject)
    for _ in range(2):
        _compare(
            subject, first, _run(subject), "called again (hidden state, or it is nondeterministic)"
        )
    return first


def _run(subject: Subject) -> tuple[Any, list[Any]]:
    values = copied(subject.values)
    with np.errstate(all="ignore"):
        return subject.call(values), values


def _compare(
    subject: Subject, expected: tuple[Any, list[Any]], got: tuple[Any, list[Any]], how: str
) -> None:
    operator = subject.operator
    left, right = leaves(operator, expected[0]), leaves(operator, got[0])
    if len(left) != len(right):
        raise subject.fail(f"{how}, it returns {len(right)} values and not {len(left)}")
    pairs = [(name, one, other) for (name, one), (_, other) in zip(left, right, strict=True)]
    for parameter, one, other in zip(operator.schema.parameters, expected[1], got[1], strict=True):
        if parameter.is_mutated and one is not None:
            items = zip(one, other, strict=True) if isinstance(one, list) else [(one, other)]
            pairs += [(f"argument {parameter.name!r}", a, b) for a, b in items]
    for name, one, other in pairs:
        problem = difference(one, other, rtol=subject.rtol, atol=subject.atol)
        if problem:
            raise subject.fail(f"{how}, {name} differs: {problem}")
