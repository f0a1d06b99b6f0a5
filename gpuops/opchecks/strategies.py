"""What `gpuops.opcheck` draws, as a Hypothesis strategy for properties of one's own.

`opcheck` itself draws with NumPy: a seed of Hypothesis' gives other draws in another process (it
takes constants from the modules that are loaded, and keeps them in a folder), and within a test of
Hypothesis' it refuses to be started again. Here the test is the caller's, and so are the database,
the shrinking and the report.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from gpuops.errors import ArgumentError, HypothesisNotInstalledError
from gpuops.opchecks.api import bound_sample
from gpuops.opchecks.draw_menu import menu
from gpuops.opchecks.inputs import combination, small_sample
from gpuops.opchecks.subject import REFUSED, Subject, copied

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["calls"]


def calls(
    op: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None, *, changes: int = 3
) -> SearchStrategy[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Calls of an operator that it accepts: the sample with up to `changes` changes.

    Args:
        op: an operator.
        args: the sample's positional arguments.
        kwargs: its keyword arguments.
        changes: how many edits of different kinds (sizes, ranks, dtypes, elements, layouts,
            scalars, lists, what is optional) a call has at most.

    Returns:
        A strategy of ``(args, kwargs)``, made anew for each example: they may be written to.

    Raises:
        HypothesisNotInstalledError: it is not.
        ArgumentError: the operator does not take the sample, or it is large and no smaller one.

    >>> import numpy as np, gpuops
    >>> from hypothesis import given, settings
    >>> @gpuops.custom_op("demo_calls::double", mutates_args=())
    ... def double(x: gpuops.Array) -> gpuops.Array:
    ...     return np.asarray(x + x)
    >>> @settings(max_examples=20, database=None)
    ... @given(calls(double, (np.ones((2, 3)),)))
    ... def test(call):
    ...     args, kwargs = call
    ...     np.testing.assert_array_equal(double(*args, **kwargs), args[0] + args[0])
    >>> test()
    >>> double.undo()
    """
    if importlib.util.find_spec("hypothesis") is None:
        raise HypothesisNotInstalledError(
            "gpuops.opchecks.strategies needs Hypothesis: pip install 'gpuops[test]'"
        )
    from hypothesis import strategies as st

    operator, values = bound_sample(op, args, kwargs)
    subject = Subject(operator, values)
    base = small_sample(subject)
    if base is None or subject.attempt(base) is REFUSED:
        raise ArgumentError(
            f"calls({operator.qualname}): the operator does not take the sample, or it is too "
            "large and the operator takes no smaller one like it"
        )
    edits = menu(subject, base)
    names = [parameter.name for parameter in operator.schema.keyword_only]
    positional = len(operator.schema.positional)

    @st.composite
    def drawn(draw: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        def choose(number: int) -> int:
            return int(draw(st.integers(0, number - 1)))

        made = combination(edits, base, choose(changes + 1), choose)
        chosen = base if made is None or subject.attempt(made.values) is REFUSED else made.values
        given = copied(chosen)
        return tuple(given[:positional]), dict(zip(names, given[positional:], strict=True))

    return drawn()
