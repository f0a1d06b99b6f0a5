"""Whether what a fake kernel says and what the kernel returned are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuops.devices import array_kind
from gpuops.errors import AliasError, Location, TraceError, describe
from gpuops.memory import byte_range, shares_memory
from gpuops.profiles.model import metadata_of
from gpuops.profiles.sizes import DraftEnv
from gpuops.register import FAKE
from gpuops.registry import Operator, registry
from gpuops.symbols import is_sym_number, is_symbolic
from gpuops.transforms.fake import FakeArray
from gpuops.transforms.fake.interpreter import interpret, overrides

__all__ = [
    "FakeRun",
    "Mismatch",
    "arrays_in",
    "check_dense",
    "mismatches",
    "place_of",
    "run_fake",
]

Mismatch = tuple[str, str]
"""What is wrong, in a few words, and the whole of it with both values."""


@dataclass(slots=True)
class FakeRun:
    """What came of a fake kernel.

    Attributes:
        outputs: what the call returned, as operators return it.
        raw: what the fake kernel returned, before views were made new arrays.
        error: what it raised instead, without its traceback, which would keep arrays alive.
        place: the line that raised it.
    """

    outputs: Any = None
    raw: Any = None
    error: Exception | None = None
    place: Location | None = None


def run_fake(
    operator: Operator,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    fake: Callable[..., Any] | None = None,
) -> FakeRun:
    """Run the fake kernel of an operator, or `fake` in its place; an error is a result too.

    Nobody who records profiles is told of it: the kernel ran too, and is what counts.
    """
    found = FakeRun()
    standing: dict[Operator, Callable[..., Any]] = dict(overrides.get() or {})
    entry = registry.rule(operator, FAKE)
    if fake is not None:
        standing[operator] = fake
    elif entry is not None or operator in standing:
        rule = standing.get(operator) or entry.value  # type: ignore[union-attr]  # one of them is

        def spy(*given: Any, **named: Any) -> Any:
            found.raw = rule(*given, **named)
            return found.raw

        # For messages, which name the place of a fake kernel.
        spied: Any = spy
        spied.py_func, spied.described = rule, getattr(rule, "described", None)
        standing[operator] = spy
    token = overrides.set(standing)
    try:
        found.outputs = interpret(operator, args, kwargs, told=True)
    except Exception as error:  # whatever an author's code raises is what the fake says
        found.place = place_of(error)
        found.error = error.with_traceback(None)
    finally:
        overrides.reset(token)
    return found


def place_of(error: BaseException) -> Location:
    """The innermost line that an error comes from, outside of gpuops and NumPy."""
    traceback = error.__traceback__
    found = Location("<unknown>", 0)
    while traceback is not None:
        frame = traceback.tb_frame
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in ("gpuops", "numpy"):
            found = Location(frame.f_code.co_filename, traceback.tb_lineno, module)
        traceback = traceback.tb_next
    return found


def pairs(fake: Any, real: Any) -> Iterator[tuple[Any, Any]] | None:
    """The values of two results side by side; None if they have another structure."""
    if isinstance(real, (tuple, list)):
        if not isinstance(fake, (tuple, list)) or len(fake) != len(real):
            return None
        inner = [pairs(one, other) for one, other in zip(fake, real, strict=True)]
        if any(item is None for item in inner):
            return None
        return (pair for item in inner for pair in item or ())
    return iter([(fake, real)])


def mismatches(
    operator: Operator, env: DraftEnv, made: FakeRun, out: Any, inputs: tuple[Any, Any]
) -> list[Mismatch]:
    """How the result of a fake kernel differs from that of the kernel.

    Args:
        operator: the operator.
        env: the symbols; those that the fake made get the numbers that the kernel gave.
        made: what the fake kernel did.
        out: what the kernel returned.
        inputs: the arrays among the arguments, fake ones and real ones.
    """
    if isinstance(made.error, AliasError):
        return [("aliasing", f"Mismatched aliasing spec: {made.error}")]
    if made.error is not None:
        text = " ".join(str(made.error).split())
        return [("raised", f"the fake raised {type(made.error).__name__}: {text}")]
    side_by_side = pairs(made.outputs, out)
    if side_by_side is None:
        fakes, reals = len(arrays_in(made.outputs)), len(arrays_in(out))
        return [("length", f"the fake returned {fakes} arrays, the kernel {reals}")]
    found: list[Mismatch] = []
    for index, (fake, real) in enumerate(side_by_side):
        found += [
            (f"{index} {what}", f"output {index}: {what} mismatch: {said}")
            for what, said in _differences(env, fake, real)
        ]
    if all(declared.alias is None for declared in operator.schema.returns):
        fake_inputs, real_inputs = inputs
        said = _aliases(arrays_in(made.raw), fake_inputs, _fakes_share)
        done = _aliases(arrays_in(out), real_inputs, shares_memory)
        if said != done:
            text = f"Mismatched aliasing spec: the fake {_say(said)}, the kernel {_say(done)}"
            found.append(("aliasing", text))
    return found


def arrays_in(value: Any) -> list[Any]:
    """The arrays in nested tuples and lists, real or fake."""
    if isinstance(value, (tuple, list)):
        return [array for item in value for array in arrays_in(item)]
    found = type(value) is FakeArray or array_kind(type(value)) is not None
    return [value] if found else []


def _differences(env: DraftEnv, fake: Any, real: Any) -> Iterator[tuple[str, str]]:
    metadata = metadata_of(real)
    if metadata is None or type(fake) is not FakeArray:
        yield from _other_differences(env, fake, real)
        return
    fits = fake.ndim == real.ndim and all(map(env.fits, fake.shape, real.shape))
    if not fits:
        shape = tuple(map(env.number, fake.shape))
        text = "(" + ", ".join(map(str, shape)) + ")"
        yield "shape", f"the fake says {text}, the kernel returned {tuple(real.shape)}"
    if fake.dtype != real.dtype:
        yield "dtype", f"the fake says {fake.dtype}, the kernel {real.dtype}"
    if fake.device.type != metadata.device:
        yield "device", f"the fake says {fake.device}, the kernel {metadata.device}"
    if fits and real.size and fake.dtype == real.dtype:
        strides = tuple(map(env.number, fake.strides))
        axes = zip(real.shape, strides, real.strides, strict=True)
        # Those of axes of size 1 lead nowhere.
        if any(size != 1 and not is_symbolic(one) and one != other for size, one, other in axes):
            yield "strides", f"the fake says {strides}, the kernel {tuple(real.strides)}"


def _other_differences(env: DraftEnv, fake: Any, real: Any) -> Iterator[tuple[str, str]]:
    """Of what is no array. Numbers that are no ints are the data's, and no fake can know them."""
    if type(real) is int and (type(fake) is int or is_symbolic(fake)):
        if not env.fits(fake, real):
            yield "number", f"the fake says {env.number(fake)}, the kernel returned {real}"
    elif is_sym_number(fake):
        if fake.kind != type(real).__name__:
            yield "type", f"the fake gives a {fake.kind}, the kernel {describe(real)}"
    elif type(fake) is str and type(real) is str:
        if fake != real:
            yield "value", f"the fake says {fake!r}, the kernel returned {real!r}"
    elif type(fake) is not type(real):
        yield "type", f"the fake gives {describe(fake)}, the kernel {describe(real)}"


# -- aliasing --------------------------------------------------------------------------------------


def _fakes_share(left: FakeArray, right: FakeArray) -> bool:
    def of(array: FakeArray) -> FakeArray:
        return array if array.base is None else of(array.base)

    return of(left) is of(right)


def _aliases(outputs: list[Any], inputs: list[Any], share: Callable[[Any, Any], bool]) -> list[str]:
    found = []
    for index, output in enumerate(outputs):
        found += [
            f"output {index} with input {i}" for i, x in enumerate(inputs) if share(output, x)
        ]
        found += [
            f"output {index} with output {i}" for i in range(index) if share(output, outputs[i])
        ]
    return found


def _say(aliases: list[str]) -> str:
    return f"shares memory of {', '.join(aliases)}" if aliases else "shares no memory"


# -- what a fake could stand for -------------------------------------------------------------------


def check_dense(operator: Operator, array: Any, location: Location) -> None:
    """Refuse an output that no generated fake could stand for.

    Raises:
        TraceError: it is not dense in memory, or begins within another array.
    """
    problem = None
    step = array.dtype.itemsize
    for stride, size in sorted(zip(array.strides, array.shape, strict=True)):
        if size == 1 or not array.size:
            continue
        if stride != step:
            problem = "is not dense in memory"
        step *= size
    base = getattr(array, "base", None)
    within = type(base) is np.ndarray and array.size
    if problem is None and within and byte_range(array)[0] != byte_range(base)[0]:
        problem = "has a non-zero storage offset"
    if problem is not None:
        raise TraceError(
            f"{operator.qualname} has no fake kernel, and none can be generated: its output of "
            f"shape {tuple(array.shape)} and strides {tuple(array.strides)} {problem}, at "
            f"{location}. Return a contiguous array, or register a fake kernel. "
            f"Declared as {operator.declaration}"
        )
