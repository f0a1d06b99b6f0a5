"""Exception classes and the rendering of every message.

Every error that gpuops raises on purpose derives from `GpuopsError` and from the built-in class
that a caller would expect (`TypeError` for a wrong argument, `NotImplementedError` for a missing
kernel, ...), so that code which knows nothing of gpuops catches the right thing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import FrameType
from typing import Any

__all__ = [
    "AliasError",
    "ArgumentError",
    "BatchDimensionError",
    "DeadObjectError",
    "DeviceError",
    "DynamicShapeError",
    "EffectError",
    "ExternalObjectError",
    "FakeContextError",
    "FakeDataError",
    "FakeIndexError",
    "FakeMixError",
    "GpuopsError",
    "GradientError",
    "HypothesisNotInstalledError",
    "GraphError",
    "Location",
    "MutationError",
    "NoFakeError",
    "NoGradientError",
    "NoKernelError",
    "NoWeakReferenceError",
    "OpaqueAccessError",
    "OpaqueTypeError",
    "OperatorNotFoundError",
    "OverloadError",
    "PerformanceWarning",
    "PytreesNotInstalledError",
    "RandomnessError",
    "RegistrationError",
    "ReturnError",
    "SchemaError",
    "ShapeError",
    "StaleOperatorError",
    "SymbolsNotInstalledError",
    "TraceError",
    "UnknownSizeError",
    "UsageError",
    "VmapError",
    "caller_location",
    "closest",
    "describe",
    "location_of",
    "user_stacklevel",
]


class GpuopsError(Exception):
    """Base of every error that gpuops raises on purpose."""


class UsageError(GpuopsError, TypeError):
    """A function of gpuops was given an object of the wrong kind, such as a number for a name."""


class SchemaError(GpuopsError, ValueError):
    """A declaration is malformed: a name, a schema string, a type hint, a default, a tag.

    Attributes:
        parameter: which parameter of a schema is at fault, counted from 0; None for anything else.
    """

    parameter: int | None = None


class OpaqueTypeError(SchemaError, TypeError):
    """A class cannot be registered as an opaque type, or is one already."""


class OpaqueAccessError(GpuopsError, AttributeError):
    """A fake kernel or a traced function wants more of an opaque object than it gives away."""


class ExternalObjectError(GpuopsError, IndexError, RuntimeError):
    """A graph's table of external objects has no such index, or cannot have such an object."""


class DeadObjectError(ExternalObjectError, ReferenceError):
    """An object that a graph needs was dropped by its owner."""


class NoWeakReferenceError(ExternalObjectError, TypeError):
    """An object cannot be referred to weakly, as the table of external objects does."""


class EffectError(UsageError, ValueError):
    """`register_effect` was given something that is no operator, or no effect."""


class RegistrationError(GpuopsError, RuntimeError):
    """A registration contradicts what is registered already, or its library is gone."""


class DeviceError(GpuopsError, RuntimeError, ValueError):
    """A device does not exist, or the arrays of one call are on several devices.

    It is a `ValueError` too: a misspelled device string is a bad value.
    """


class ArgumentError(GpuopsError, TypeError):
    """A call's argument cannot be converted to its declared type."""


class ReturnError(GpuopsError, TypeError):
    """A kernel returned something else than its operator declares."""


class NoKernelError(GpuopsError, NotImplementedError):
    """No kernel is registered that could serve the call."""


class NoFakeError(GpuopsError, RuntimeError):
    """An operator was called with fakes and has no fake kernel."""


class FakeIndexError(GpuopsError, IndexError):
    """An index of a fake array is out of bounds, or a mask has another shape than the array."""


class FakeMixError(GpuopsError, RuntimeError, TypeError):
    """A call has real and fake arrays among its arguments, or fakes of several modes."""


class FakeContextError(GpuopsError, RuntimeError):
    """`get_ctx` was called where no fake kernel runs."""


class FakeDataError(GpuopsError, RuntimeError, TypeError):
    """Something needs the data of a fake array, which has none."""


class DynamicShapeError(GpuopsError, RuntimeError):
    """An output's shape depends on data, and there is no `ShapeEnv` to make a symbol in."""


class ShapeError(GpuopsError, ValueError):
    """Shapes do not go together, or no array can have such a size."""


class UnknownSizeError(GpuopsError, RuntimeError):
    """A program wants to know a size that is unknown until the kernels run."""


class SymbolsNotInstalledError(GpuopsError, ImportError):
    """Symbolic sizes need SymPy, which is not installed."""


class VmapError(GpuopsError, RuntimeError, ValueError, TypeError):
    """`vmap` cannot batch a function, or a batching rule returned what it may not."""


class BatchDimensionError(VmapError, IndexError):
    """An array has no such axis to batch along, or has no room for one there."""


class RandomnessError(VmapError):
    """An operator draws random numbers in a `vmap` that does not say what that means."""


class PerformanceWarning(UserWarning):
    """Something is right and slower than it has to be."""


class PytreesNotInstalledError(GpuopsError, ImportError):
    """Gradients and batching need optree, which is not installed."""


class HypothesisNotInstalledError(GpuopsError, ImportError):
    """Strategies need Hypothesis, which is not installed."""


class NoGradientError(GpuopsError, NotImplementedError):
    """A gradient goes through an operator for which none is registered.

    It is a `RuntimeError` too, as every `NotImplementedError` is.
    """


class GradientError(GpuopsError, RuntimeError, TypeError, ValueError):
    """A gradient is not what it has to be: by number, structure, type or shape.

    Also for what cannot be differentiated: a saved array that was written to, a second pass over a
    graph that was freed.
    """


class TraceError(GpuopsError, RuntimeError):
    """A function cannot be traced: what it does depends on data."""


class GraphError(GpuopsError, ValueError):
    """A graph was called with arguments that it does not hold for, or its text is no graph."""


class AliasError(GpuopsError, RuntimeError):
    """A kernel's output shares memory it may not share, or is not the array it has to be."""


class MutationError(GpuopsError, RuntimeError):
    """A kernel changed an argument that the operator does not declare as mutated."""


class StaleOperatorError(GpuopsError, RuntimeError):
    """The operator object was replaced by a newer definition, or its library is gone."""


class OverloadError(GpuopsError, TypeError, RuntimeError):
    """No overload of an operator accepts the arguments of a call."""


class OperatorNotFoundError(GpuopsError, AttributeError, RuntimeError):
    """There is no operator, overload or namespace of that name.

    It is an `AttributeError` because ``ops.<ns>.<name>`` is attribute access.
    """


@dataclass(frozen=True, slots=True)
class Location:
    """A place in somebody's source: where an operator or a kernel was registered.

    Attributes:
        file: as Python names it in tracebacks.
        line: counted from 1.
        module: the ``__name__`` of the module.
        function: the name of the function around it, ``"<module>"`` outside of any.
        run: tells executions of a module's code apart: its code object, which is another one each
            time that the module is loaded.
    """

    file: str
    line: int
    module: str = ""
    function: str = ""
    run: object = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def is_reload_of(self, earlier: Location) -> bool:
        """Whether this is the same module-level statement, executed once more.

        True for a module that was loaded again, edited or not, and for a notebook cell that is run
        again (whose file name changes with each run in some front ends): same module, module
        level, and the same file or both typed interactively. Two statements of a module that is
        loaded once are two definitions, and so is one inside a function that is called twice.
        """
        if self.function != "<module>" or earlier.function != "<module>":
            return False
        if self.module != earlier.module:
            return False
        if _is_interactive(self.file) and _is_interactive(earlier.file):
            return True
        if self.file != earlier.file:
            return False
        return self.line == earlier.line or self.run is not earlier.run


def _is_interactive(file: str) -> bool:
    return file.startswith("<") or "ipykernel" in file


def _is_own_frame(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__", "")
    # NumPy calls back into gpuops through its protocols; nobody's own line is in it. The command
    # declares operators as any user does: its places are worth naming.
    return (
        isinstance(name, str)
        and name.partition(".")[0] in ("gpuops", "numpy")
        and not name.startswith("gpuops.cli")
    )


def caller_location() -> Location:
    """The innermost place on the stack that is neither inside gpuops nor inside NumPy.

    Returns:
        Where the user's code called into gpuops; ``<unknown>:0`` where there is no such frame
        (a finaliser at interpreter exit, for instance).
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_own_frame(frame):
        frame = frame.f_back
    if frame is None:
        return Location("<unknown>", 0)
    code = frame.f_code
    module = str(frame.f_globals.get("__name__", ""))
    return Location(code.co_filename, frame.f_lineno, module, code.co_name, code)


def user_stacklevel() -> int:
    """The ``stacklevel`` for a `warnings.warn` in the calling function that names the user's line.

    Returns:
        How far up the stack the place is that `caller_location` finds.
    """
    level = 1
    frame = sys._getframe(1)
    while _is_own_frame(frame) and frame.f_back is not None:
        frame = frame.f_back
        level += 1
    return level


def location_of(function: object) -> Location | None:
    """Where a function, bound method, partial or Numba dispatcher was written, if that is known."""
    for attribute in ("py_func", "__func__", "func"):
        function = getattr(function, attribute, function)
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    module = str(getattr(function, "__module__", "") or "")
    return Location(code.co_filename, code.co_firstlineno, module, code.co_name)


def closest(name: str, candidates: Iterable[str]) -> str:
    """A hint for a misspelled name: ``". Did you mean 'softmax'?"``, or an empty string."""
    matches = get_close_matches(name, list(candidates), n=1, cutoff=0.6)
    return f". Did you mean {matches[0]!r}?" if matches else ""


def describe(value: Any) -> str:
    """A value in a few words, for error messages; it never prints an array's data.

    >>> import numpy as np
    >>> describe(np.zeros((2, 3), np.float32))
    'numpy.ndarray float32[2, 3]'
    >>> describe([1, 2, 3])
    'list of length 3'
    >>> describe("abc")
    "str 'abc'"
    """
    if value is None:
        return "None"
    cls = type(value)
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__name__}"
    try:
        shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    except Exception:  # a property may raise anything; the error that is being made matters more
        shape = dtype = None
    if isinstance(shape, tuple) and dtype is not None and cls.__module__ != "builtins":
        return f"{name} {dtype}[{', '.join(map(str, shape))}]"
    if cls in (list, tuple, dict, set, frozenset, bytes):
        return f"{name} of length {len(value)}"
    if cls in (str, int, float, bool, complex):
        text = repr(value)
        return f"{name} {text if len(text) <= 60 else text[:57] + '...'}"
    return f"an object of type {name}"
