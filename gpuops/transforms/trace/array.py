"""`TracingArray`: an array whose operator calls are recorded."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuops.transforms.trace.nodes import ArrayMeta
from gpuops.transforms.wrapped import WrappedArray

if TYPE_CHECKING:
    from gpuops.transforms.trace.nodes import Ref
    from gpuops.transforms.trace.tracer import Tracer

__all__ = ["TracingArray"]


class TracingArray(WrappedArray):
    """What a traced function gets for an array; `gpuops.trace` makes them.

    Attributes:
        value: the real or fake array that it stands for.
        ref: what it is in the graph.
        tracer: the tracing that it belongs to.
    """

    __slots__ = ("__weakref__", "ref", "tracer", "value")

    __array_priority__ = 1001

    def __init__(self, value: Any, ref: Ref, tracer: Tracer) -> None:
        self.value = value
        self.ref = ref
        self.tracer = tracer

    @property
    def transform(self) -> Tracer:
        """The tracing that it belongs to."""
        return self.tracer

    def __repr__(self) -> str:
        return f"TracingArray({self.ref.text}: {ArrayMeta.of(self.value)})"

    # -- what would need data ----------------------------------------------------------------------

    # Refused, except in a draft: see `Tracer.reveal`.

    def __bool__(self) -> bool:
        return bool(self.tracer.reveal(self, "branches on the data of an array"))

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> Any:
        found = self.tracer.reveal(self, "makes a NumPy array")
        return np.array(found, dtype=dtype, copy=copy)

    def __int__(self) -> int:
        return int(self.tracer.reveal(self, "makes an int"))

    def __float__(self) -> float:
        return float(self.tracer.reveal(self, "makes a float"))

    def __complex__(self) -> complex:
        return complex(self.tracer.reveal(self, "makes a complex"))

    def __index__(self) -> int:
        return index(self.tracer.reveal(self, "makes an index or a size"))

    def __contains__(self, item: object) -> bool:
        return item in self.tracer.reveal(self, "asks what is in the data of an array")

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.tracer.reveal(self, "exports the data of an array").__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        found = self.tracer.reveal(self, "exports the data of an array")
        return found.__dlpack_device__()

    def item(self, *args: Any) -> Any:
        """A number of the array: not while tracing, for it would be fixed in the graph."""
        return self.tracer.reveal(self, "makes a number").item(*args)

    def tolist(self) -> Any:
        """The data as nested lists: not while tracing."""
        return self.tracer.reveal(self, "makes a number").tolist()

    def tobytes(self, order: Any = "C") -> Any:
        """The data as bytes: not while tracing."""
        return self.tracer.reveal(self, "makes a number").tobytes(order)
