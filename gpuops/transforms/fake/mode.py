"""`FakeMode`: where fakes come from."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

import numpy as np

from gpuops.devices import array_kind
from gpuops.errors import ArgumentError, describe
from gpuops.interception import entered
from gpuops.registry import Operator
from gpuops.symbols import ShapeEnv
from gpuops.transforms.fake import interpreter
from gpuops.transforms.fake.array import FakeArray
from gpuops.transforms.fake.context import LEVEL
from gpuops.transforms.fake.layout import ALIGNED, OWNDATA, WRITEABLE, contiguous_strides

__all__ = ["FakeMode"]

_OWN_ENV: Any = object()

# The ``with`` blocks of modes that this thread or task is in. Not in the modes: several threads may
# be in a block of one.
_blocks: ContextVar[tuple[AbstractContextManager[None], ...]] = ContextVar(
    "gpuops_fake_blocks", default=()
)


class FakeMode:
    """Makes fakes of arrays, and in a ``with`` block lets every operator compute shapes only.

    In the block, operators that create arrays give fakes; an operator that is given a real array
    says that it has to be converted. Fakes of one mode share the symbols of its `ShapeEnv`. A mode
    may be entered several times, also within itself and in several threads; a block concerns its
    own thread or task only, though calls of others take the slow path meanwhile.

    Args:
        shape_env: where the symbols of sizes that depend on data are kept; by default a new
            `ShapeEnv`. With None, an operator whose output's shape depends on data raises
            `DynamicShapeError`.

    >>> import numpy as np
    >>> from gpuops import FakeArray
    >>> mode = FakeMode()
    >>> mode.from_array(np.zeros((2, 3), np.float32))
    FakeArray(shape=(2, 3), dtype=float32, device='cpu')
    >>> with mode:
    ...     FakeArray((4,)).fake_mode is mode
    True
    """

    level = LEVEL
    only_factories = False

    def __init__(self, shape_env: ShapeEnv | None = _OWN_ENV) -> None:
        self.shape_env = ShapeEnv() if shape_env is _OWN_ENV else shape_env
        self._fakes: dict[int, tuple[weakref.ref[Any], FakeArray]] = {}

    @property
    def mode(self) -> FakeMode:
        """Itself: what new fakes in the block belong to."""
        return self

    def from_array(self, array: Any) -> FakeArray:
        """The fake of a real array; of one array always the same fake.

        Args:
            array: a NumPy or CuPy array, or a fake of this mode.

        Returns:
            A fake with its shape, dtype, device, strides and flags.

        Raises:
            ArgumentError: `array` is no array, or a fake of another mode.

        >>> import numpy as np
        >>> mode = FakeMode()
        >>> x = np.zeros((2, 3)).T
        >>> mode.from_array(x)
        FakeArray(shape=(3, 2), dtype=float64, device='cpu', strides=(8, 24))
        >>> mode.from_array(x) is mode.from_array(x)
        True
        """
        if type(array) is FakeArray and array.fake_mode in (None, self):
            return array
        key = id(array)
        known = self._fakes.get(key)
        if known is not None and known[0]() is array:
            return known[1]
        fake = self._make(array, array.shape if hasattr(array, "shape") else ())
        fakes = self._fakes
        fakes[key] = weakref.ref(array, lambda _: fakes.pop(key, None)), fake
        return fake

    def _make(self, array: Any, shape: Sequence[Any]) -> FakeArray:
        if type(array) is np.memmap:
            array = array.view(np.ndarray)
        kind = array_kind(type(array))
        if kind is None:
            raise ArgumentError(
                f"FakeMode.from_array takes a NumPy or CuPy array, got {describe(array)}"
            )
        flags = array.flags
        bits = OWNDATA * bool(flags.owndata)
        # CuPy's arrays have neither flag: they are always both.
        bits |= WRITEABLE * bool(getattr(flags, "writeable", True))
        bits |= ALIGNED * bool(getattr(flags, "aligned", True))
        device = kind.device_of(array)
        strides: tuple[int, ...] | None = tuple(array.strides)
        # None stands for them, so that fakes of the usual layout are all alike.
        if strides == contiguous_strides(shape, array.dtype.itemsize):
            strides = None
        return FakeArray.raw(tuple(shape), array.dtype, device, strides, self, bits)

    def interpret(self, operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run an operator's fake; see `gpuops.interception.Ambient`."""
        return interpreter.interpret(operator, args, kwargs)

    def __enter__(self) -> FakeMode:
        block = entered(self)
        block.__enter__()
        _blocks.set((*_blocks.get(), block))
        return self

    def __exit__(self, *exc_info: Any) -> None:
        *outer, block = _blocks.get()
        _blocks.set(tuple(outer))
        block.__exit__(*exc_info)
