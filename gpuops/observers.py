"""Who is told of calls: what came in, and what came back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gpuops.registry import Operator, registry

__all__ = ["Observer", "observed", "observers"]

Observer = Callable[[Operator, Sequence[Any]], Callable[[Any], None]]
"""Is told of a call's arguments, in schema order, and returns what is told of its result."""


class _Observers:
    """Who is told of the calls of all threads; while there is one, no call is quick."""

    active: tuple[Observer, ...] = ()

    def begin(self, operator: Operator, values: Sequence[Any]) -> Callable[[Any], None]:
        """Tell all of a call that begins; what is returned tells them of its result."""
        ends = [observer(operator, values) for observer in self.active]

        def end(out: Any) -> None:
            for each in ends:
                each(out)

        return end


observers = _Observers()


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Tell `observer` of every call of a real or a fake kernel in the block, in all threads."""
    with registry.lock:
        observers.active = (*observers.active, observer)
        if len(observers.active) == 1:
            registry.refresh_calls()
    try:
        yield
    finally:
        with registry.lock:
            rest = list(observers.active)
            rest.remove(observer)
            observers.active = tuple(rest)
            if not rest:
                registry.refresh_calls()
