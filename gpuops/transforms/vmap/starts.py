"""The same random numbers for all parts of a batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gpuops.errors import VmapError
from gpuops.opaque_fakes import is_fake

__all__ = ["Starts"]


class Starts:
    """Where random states were before the first part of a batch drew from them.

    Each later part begins there, so that it draws the same numbers, and behind the last one the
    states have moved on as by one part.
    """

    def __init__(self) -> None:
        # By id, with the state, which keeps the id its own.
        self._offsets: dict[int, tuple[Any, Any]] = {}
        self._met: set[int] = set()

    def begin(self) -> None:
        """Begin with the next part."""
        self._met.clear()

    def meet(self, states: Iterable[Any], where: str) -> None:
        """Take states back to where they were, if this part has not drawn from them yet.

        Args:
            states: those that a call is about to draw from.
            where: what messages call the `vmap`.

        Raises:
            VmapError: a state is only a stand-in, of a call that is being traced.
        """
        for state in states:
            key = id(state)
            if key in self._met:
                continue
            self._met.add(key)
            known = self._offsets.get(key)
            if is_fake(state):
                if known is not None:
                    raise VmapError(
                        f"{where}: with randomness='same' and chunk_size, every part of the batch "
                        "begins at the same place of a random state, which a graph cannot say. "
                        "Trace it without chunk_size"
                    )
                self._offsets[key] = state, None
            elif known is None:
                self._offsets[key] = state, state.offset.copy()
            else:
                state.offset[...] = known[1]
