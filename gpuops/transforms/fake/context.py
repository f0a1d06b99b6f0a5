"""Where a fake kernel runs: which operator's, in which mode; `get_ctx`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gpuops.errors import (
    ArgumentError,
    DynamicShapeError,
    FakeContextError,
    ShapeError,
    describe,
    location_of,
)
from gpuops.interception import ambient
from gpuops.symbols import ShapeEnv, Symbol, SymBool, SymInt, SymNumber, require_equal

if TYPE_CHECKING:
    from gpuops.registry import Operator
    from gpuops.transforms.fake.mode import FakeMode

__all__ = ["FakeContext", "current_fake", "current_mode", "get_ctx"]

_only_ints = frozenset({int}).issuperset

LEVEL = 0
"""Fakes come below every other wrapper: all others can hold one."""


class FakeContext:
    """What a fake kernel may ask for while it runs; see `get_ctx`.

    Attributes:
        operator: the operator whose fake runs.
        fake: the function.
        mode: the `FakeMode` of the arguments, or None.
        symbols: the symbols that it made; None if it made none.
    """

    __slots__ = ("fake", "mode", "operator", "symbols")

    level = LEVEL
    # Other operators may run on real arrays within a fake kernel; what they return is no output.
    only_factories = True

    def __init__(self, operator: Operator, fake: Any, mode: FakeMode | None) -> None:
        self.operator = operator
        self.fake = fake
        self.mode = mode
        self.symbols: list[Symbol] | None = None

    def new_dynamic_size(
        self,
        min: int = 0,  # noqa: A002  # torch's names
        max: int | None = None,  # noqa: A002
    ) -> SymInt:
        """A size that depends on data: a symbol that can be a size of an output.

        Args:
            min: the least it can be.
            max: the greatest it can be; None for no bound.

        Raises:
            ShapeError: a bound that is negative or symbolic, or max < min.
            DynamicShapeError: the arguments are fakes of no `FakeMode`, or of one without a
                `ShapeEnv`.
        """
        env = self._shape_env()
        size = env.new_dynamic(min, max, origin=f"made in {self.describe()}")
        symbol = env.symbol(size)
        assert symbol is not None
        self.symbols = [*(self.symbols or ()), symbol]
        return size

    def new_dynamic_number(self, kind: type = float) -> SymInt | SymNumber:
        """A number that depends on data: what a fake kernel returns where the kernel returns one.

        A graph hands it on from the call that returns it to those that take it; nobody computes
        with it, or branches on it. Of an int, which may be negative, sizes can be made.

        Args:
            kind: float, complex, bool or int.

        Raises:
            ArgumentError: `kind` is something else.
            DynamicShapeError: the arguments are fakes of no `FakeMode`, or of one without a
                `ShapeEnv`.
        """
        if kind not in (int, float, complex, bool):
            raise ArgumentError(
                f"new_dynamic_number: kind must be float, complex, bool or int, "
                f"got {describe(kind)}"
            )
        origin = f"a number that {self.operator.qualname} returned"
        env = self._shape_env()
        if kind is int:
            return env.new_number(origin=origin)
        return env.new_scalar(kind.__name__, origin=origin)

    def _shape_env(self) -> ShapeEnv:
        env = None if self.mode is None else self.mode.shape_env
        if env is None:
            why = (
                "its arguments are fakes of no FakeMode: make them with FakeMode().from_array, or "
                "call it in a `with FakeMode():` block"
                if self.mode is None
                else "its FakeMode has no shape_env"
            )
            raise DynamicShapeError(
                f"{self.operator.qualname} has a data-dependent shape (dynamic output shape), "
                f"which {self.describe()} has to make a symbol for, but {why}"
            )
        return env

    def check(self, condition: bool | SymBool, message: str = "a check failed") -> None:
        """Let a comparison of sizes hold; what is not known becomes a recorded condition.

        Args:
            condition: such as ``x.shape[0] <= 8``.
            message: what to say where it does not hold.

        Raises:
            ShapeError: it does not hold.
        """
        if isinstance(condition, SymBool):
            condition.env.require(condition, f"{self.operator.qualname}: {message}")
        elif not condition:
            raise ShapeError(f"{self.operator.qualname}: {message}")

    def check_equal(self, a: Any, b: Any, message: str = "sizes differ") -> Any:
        """Let two sizes be equal; what is not known becomes a recorded condition.

        Returns:
            The size; an int if one of the two is.

        Raises:
            ShapeError: they differ.
        """
        return require_equal(a, b, f"{self.operator.qualname}: {message}")

    def check_same_shape(self, a: Sequence[Any], b: Sequence[Any], message: str = "") -> None:
        """Let two shapes be equal, axis by axis, as `check_equal` does.

        Raises:
            ShapeError: they differ.
        """
        # Quick for what is most often so; no text is put together for it.
        if a is b or (_only_ints(map(type, a)) and _only_ints(map(type, b)) and a == b):
            return
        prefix = message or "shapes differ"
        if len(a) != len(b):
            raise ShapeError(f"{self.operator.qualname}: {prefix}: {tuple(a)} and {tuple(b)}")
        for axis, (left, right) in enumerate(zip(a, b, strict=True)):
            self.check_equal(left, right, f"{prefix} in axis {axis}")

    def interpret(self, operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run an operator that was called without arrays in a fake kernel: as a fake too."""
        from gpuops.transforms.fake.interpreter import interpret  # they need each other

        return interpret(operator, args, kwargs)

    def describe(self) -> str:
        """The fake kernel and its place, for messages."""
        # Fakes that nobody wrote have no place, and say what they are.
        place = getattr(self.fake, "described", None) or location_of(self.fake)
        place = place or self.operator.location
        return f"the fake of {self.operator.qualname} ({place})"


def current_fake() -> FakeContext | None:
    """The context of the fake kernel that runs in this thread or task, or None."""
    found = ambient.get()
    return found if isinstance(found, FakeContext) else None


def current_mode() -> FakeMode | None:
    """The mode that new fakes belong to: the running fake kernel's, or that of a ``with`` block."""
    return getattr(ambient.get(), "mode", None)


def get_ctx() -> FakeContext:
    """The context of the fake kernel that is running.

    Raises:
        FakeContextError: none is.

    >>> import gpuops, numpy as np
    >>> @gpuops.custom_op("demo_ctx::positive", mutates_args=())
    ... def positive(x: gpuops.Array) -> gpuops.Array:
    ...     return x[x > 0]
    >>> @positive.register_fake
    ... def _(x):
    ...     return x.new_empty((gpuops.get_ctx().new_dynamic_size(),))
    >>> positive(gpuops.FakeMode().from_array(np.zeros(5)))
    FakeArray(shape=(u0,), dtype=float64, device='cpu')
    >>> positive.undo()
    """
    found = ambient.get()
    if isinstance(found, FakeContext):
        return found
    raise FakeContextError("get_ctx() may only be called while a fake kernel runs, and none does")
