"""`DiffArray`: an array whose operator calls are recorded for a reverse pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from gpuops.errors import GradientError
from gpuops.transforms.array_methods import xp
from gpuops.transforms.wrapped import WrappedArray

if TYPE_CHECKING:
    from gpuops.transforms.autograd.nodes import Node
    from gpuops.transforms.autograd.tape import Tape

__all__ = ["DiffArray"]


def _becoming(name: str) -> Any:
    def in_place(self: DiffArray, other: Any) -> DiffArray:
        return self._become(name, other)

    return in_place


class DiffArray(WrappedArray):
    """What a differentiated function gets for an array; `gpuops.grad` and its kin make them.

    Attributes:
        value: the array that it stands for: a real one, or a wrapper of another transformation.
        transform: the `Tape` of the differentiation that it belongs to.
        node: the call that it is an output of.
        index: which output.
        shared: whether it is a view of another, or another one of it.
    """

    __slots__ = ("__weakref__", "index", "node", "shared", "transform", "value")

    __array_priority__ = 1002

    def __init__(self, value: Any, transform: Tape, node: Node, index: int = 0) -> None:
        self.value = value
        self.transform = transform
        self.node = node
        self.index = index
        self.shared = False

    @property
    def requires_grad(self) -> bool:
        """True: an array that no argument's gradient depends on is not wrapped."""
        return True

    def __repr__(self) -> str:
        return f"DiffArray({self.value!r}, depth={self.transform.depth})"

    # -- arithmetic assignment ---------------------------------------------------------------------
    # The array becomes the result; nothing is written to memory that a formula may have kept.

    def _become(self, name: str, other: Any) -> DiffArray:
        self.transform.check_may_change(self, f"xp::{name}")
        out = getattr(xp, name)(self, other)
        if out.shape != self.shape:
            raise ValueError(
                f"non-broadcastable output operand with shape {self.shape} doesn't match the "
                f"broadcast shape {out.shape}"
            )
        out = xp.astype(out, self.dtype, copy=False)
        self.value, self.node, self.index = out.value, out.node, out.index
        return self

    __iadd__ = _becoming("add")
    __isub__ = _becoming("subtract")
    __imul__ = _becoming("multiply")
    __itruediv__ = _becoming("divide")
    __ipow__ = _becoming("pow")
    __imatmul__ = _becoming("matmul")

    # -- data --------------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        return bool(self.value)

    # NumPy calls this when an array is assigned to an element of another.
    def __float__(self) -> NoReturn:
        _refuse(self, "a number was made of it")

    __int__ = __complex__ = __float__

    def item(self, *args: Any) -> NoReturn:
        """Refused: no gradient would go through the number."""
        _refuse(self, "a number was made of it")

    tolist = tobytes = item

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NoReturn:
        _refuse(self, "a NumPy array was made of it")

    def __index__(self) -> NoReturn:
        raise TypeError("only integer arrays can be an index; gradients are of floats")

    def __dlpack__(self, **kwargs: Any) -> NoReturn:
        _refuse(self, "its data were exported")

    __dlpack_device__ = __dlpack__


def _refuse(array: DiffArray, what: str) -> NoReturn:
    raise GradientError(
        f"an array that is being differentiated would lose its gradient: {what} "
        f"({array.dtype}, shape {array.shape}). Call operators or NumPy's functions on the array "
        "itself; assign it to elements of an array like it (gpuops.xp.zeros_like(x)); where its "
        "values alone are meant, take gpuops.stop_gradient(x)"
    )
