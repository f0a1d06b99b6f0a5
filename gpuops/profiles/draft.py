"""Draft tracing: what keeps a function from being traced symbolically, found on real arrays."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any

import numpy as np

from gpuops.devices import array_kind
from gpuops.errors import (
    AliasError,
    ArgumentError,
    GpuopsError,
    Location,
    NoFakeError,
    TraceError,
    caller_location,
    describe,
)
from gpuops.memory import byte_range, shares_memory
from gpuops.profiles.generate import overridden
from gpuops.profiles.model import OpProfile, metadata_of, profile_of_call, profile_of_output
from gpuops.register import FAKE
from gpuops.registry import Operator, registry
from gpuops.symbols import is_symbolic
from gpuops.symbols.env import line_text
from gpuops.transforms.fake import FakeArray, FakeMode
from gpuops.transforms.fake.interpreter import interpret, overrides
from gpuops.transforms.trace.graph import Graph
from gpuops.transforms.trace.objects import is_reference
from gpuops.transforms.trace.structure import leaves, map_leaves
from gpuops.transforms.trace.tracer import Tracer

__all__ = ["DraftReport", "Failure", "FailureKind", "trace_draft"]


class FailureKind(StrEnum):
    """What a draft found."""

    MISSING_FAKE_KERNEL = "missing fake kernel"
    MISMATCHED_FAKE_KERNEL = "mismatched fake kernel"
    DATA_DEPENDENT_ERROR = "data-dependent error"
    GUARD_ADDED = "guard added"


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that a draft found.

    Attributes:
        kind: its `FailureKind`.
        operator: the operator's qualified name, or None.
        reason: both values, or the condition, or what was asked of the data.
        location: the line of the traced function.
    """

    kind: FailureKind
    operator: str | None
    reason: str
    location: Location

    def __str__(self) -> str:
        who = "" if self.operator is None else f" {self.operator}:"
        return f"{self.kind}:{who} {self.reason} at {self.location}{line_text(self.location)}"


@dataclass(slots=True)
class DraftReport:
    """What a draft found.

    Attributes:
        failures: each once: missing fakes by operator, wrong ones by operator and reason, the rest
            by line.
        op_profiles: of the operators whose fake is missing or wrong, for
            `gpuops.profiles.unsafe_generate_fake_kernels`.
    """

    failures: list[Failure] = field(default_factory=list)
    op_profiles: dict[str, set[OpProfile]] = field(default_factory=dict)
    _seen: set[Any] = field(default_factory=set, repr=False)

    @property
    def ok(self) -> bool:
        """Whether nothing was found but conditions."""
        return all(failure.kind is FailureKind.GUARD_ADDED for failure in self.failures)

    def of_kind(self, kind: FailureKind) -> list[Failure]:
        """The failures of one kind."""
        return [failure for failure in self.failures if failure.kind is kind]

    def add(self, kind: FailureKind, operator: str | None, reason: str, location: Location) -> None:
        """Note a failure, unless it is known."""
        if kind is FailureKind.MISSING_FAKE_KERNEL:
            key: Any = (kind, operator)
        elif kind is FailureKind.MISMATCHED_FAKE_KERNEL:
            key = (kind, operator, reason)
        else:
            key = (kind, location.file, location.line)
        if key not in self._seen:
            self._seen.add(key)
            self.failures.append(Failure(kind, operator, reason, location))

    def __str__(self) -> str:
        return "\n".join(map(str, self.failures)) or "nothing to report"


def trace_draft(fn: Callable[..., Any]) -> Callable[..., tuple[Graph, DraftReport]]:
    """``trace(fn, tracing_mode="draft")``.

    The function runs twice: on the real arrays, which gives the graph, and on fakes with symbols
    for their sizes, which shows what it asks of the sizes. Arrays among the arguments have their
    data back afterwards, and opaque objects are copied before.

    Returns:
        A function of the same arguments that returns the graph and a `DraftReport`.

    Raises:
        TraceError (the returned function): the output of an operator without a fake is not dense
            in memory, or begins within another array: no fake could be generated.
        ArgumentError (the returned function): an opaque argument cannot be copied.
    """

    def traced(*args: Any) -> tuple[Graph, DraftReport]:
        report = DraftReport()
        real = _Draft(fn, "real", _with_copies(args))
        real.report = report
        saved = _saved(args)
        try:
            graph = real.run()
        finally:
            _restore(saved)
        with overridden(report.op_profiles):
            _add_guards(fn, args, report, real.revealed)
        return graph, report

    return traced


class _Draft(Tracer):
    """Traces real arrays, and compares every call with what its fake says."""

    report: DraftReport

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.revealed: list[Any] = []

    def run_call(self, operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        values = (*args, *kwargs.values())
        location = caller_location()
        profile_args = profile_of_call(values)
        fake = _fake_outputs(operator, args, kwargs)
        out = super().run_call(operator, args, kwargs)
        name = operator.qualname
        if isinstance(fake, NoFakeError):
            for array in _arrays(out):
                _check_dense(operator, array, location)
            reason = "it has no fake kernel"
            self.report.add(FailureKind.MISSING_FAKE_KERNEL, name, reason, location)
            bad = True
        else:
            reasons = _mismatches(operator, fake, out, values)
            for reason in reasons:
                self.report.add(FailureKind.MISMATCHED_FAKE_KERNEL, name, reason, location)
            bad = bool(reasons)
        if bad:
            profile = OpProfile(profile_args, profile_of_output(out))
            profiles = self.report.op_profiles.setdefault(name, set())
            profiles.add(profile)
        return out

    def reveal(self, array: Any, what: str) -> Any:
        location = caller_location()
        self.report.add(FailureKind.DATA_DEPENDENT_ERROR, None, f"the function {what}", location)
        self.revealed.append(copy.copy(array.value))
        return array.value

    def _wrap_number(self, node: Any, path: tuple[int, ...], value: Any) -> tuple[Any, Any]:
        if value is not None:
            reason = f"{describe(value)} that it returned is fixed in the graph"
            kind = FailureKind.DATA_DEPENDENT_ERROR
            self.report.add(kind, node.target, reason, node.location)
        return value, value


class _Symbolic(Tracer):
    """Traces fakes, and answers questions about data as the real run did."""

    revealed: list[Any]

    def reveal(self, array: Any, what: str) -> Any:
        if not self.revealed:
            super().reveal(array, what)
        return self.revealed.pop(0)


def _add_guards(
    fn: Callable[..., Any], args: tuple[Any, ...], report: DraftReport, revealed: list[Any]
) -> None:
    tracer = _Symbolic(fn, "symbolic", _with_copies(args))
    tracer.revealed = list(revealed)
    try:
        tracer.run()
    except GpuopsError as error:
        place = _place_of(error.__traceback__)
        reason = " ".join(str(error).split())
        report.add(FailureKind.DATA_DEPENDENT_ERROR, None, reason, place)
    for condition in tracer.env.conditions:
        reason = f"{condition} {condition.message}".strip()
        report.add(FailureKind.GUARD_ADDED, None, reason, condition.location)


def _place_of(traceback: TracebackType | None) -> Location:
    """The innermost line on a traceback that is not of gpuops."""
    found = Location("<unknown>", 0)
    while traceback is not None:
        frame = traceback.tb_frame
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] != "gpuops":
            found = Location(frame.f_code.co_filename, traceback.tb_lineno, module)
        traceback = traceback.tb_next
    return found


# -- arguments as they were ------------------------------------------------------------------------


def _is_real_array(value: Any) -> bool:
    return array_kind(type(value)) is not None


def _with_copies(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments with copies of their opaque objects; of one object, one copy."""
    memo: dict[int, Any] = {}

    def copied(path: Any, leaf: Any) -> Any:
        if not is_reference(leaf):
            return leaf
        try:
            return copy.deepcopy(leaf, memo)
        except Exception as error:
            raise ArgumentError(
                f"trace: a draft works on a copy of {describe(leaf)}, which cannot be copied: "
                f"{error}"
            ) from error

    return tuple(map_leaves(copied, list(args)))


def _saved(args: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    found = {id(leaf): leaf for _, leaf in leaves(args) if _is_real_array(leaf)}
    return [(array, array.copy()) for array in found.values()]


def _restore(saved: Iterable[tuple[Any, Any]]) -> None:
    for array, before in saved:
        if getattr(array.flags, "writeable", True):
            array[...] = before


# -- what a fake says, and what came ---------------------------------------------------------------


@dataclass(slots=True)
class _FakeOutputs:
    outputs: Any
    raw: Any
    inputs: list[Any]


def _fake_outputs(operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """What the fake kernel returns for fakes of the arguments, or the error that it raises."""
    mode = FakeMode()

    def faked(path: Any, leaf: Any) -> Any:
        return mode.from_array(leaf) if _is_real_array(leaf) else leaf

    fakes, keywords = map_leaves(faked, list(args)), map_leaves(faked, kwargs)
    inputs = _arrays([*fakes, *keywords.values()])
    result = _FakeOutputs(None, None, inputs)
    entry = registry.rule(operator, FAKE)
    spied = dict(overrides.get() or {})
    if entry is not None:
        rule = spied.get(operator, entry.value)

        def spy(*given: Any, **named: Any) -> Any:
            # As it is, for what a call returns is made fresh.
            result.raw = rule(*given, **named)
            return result.raw

        spied[operator] = spy
    token = overrides.set(spied)
    try:
        with mode:
            result.outputs = interpret(operator, fakes, keywords)
    except GpuopsError as error:
        return error
    finally:
        overrides.reset(token)
    return result


def _arrays(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [array for item in value for array in _arrays(item)]
    return [value] if metadata_of(value) is not None else []


def _mismatches(operator: Operator, fake: Any, out: Any, values: Sequence[Any]) -> list[str]:
    if isinstance(fake, AliasError):
        return [f"Mismatched aliasing spec: {fake}"]
    if isinstance(fake, GpuopsError):
        return [f"the fake raised {type(fake).__name__}: {fake}"]
    real_outs, fake_outs = _arrays(out), _arrays(fake.outputs)
    if len(real_outs) != len(fake_outs):
        return [f"the fake returned {len(fake_outs)} arrays, the kernel {len(real_outs)}"]
    found = []
    for index, (made, real) in enumerate(zip(fake_outs, real_outs, strict=True)):
        found += [f"output {index}: {reason}" for reason in _differences(made, real)]
    if all(r.alias is None for r in operator.schema.returns):
        real_aliases = _aliases(real_outs, _arrays(list(values)), shares_memory)
        fake_aliases = _aliases(_arrays(fake.raw), fake.inputs, _fakes_share)
        if real_aliases != fake_aliases:
            found.append(
                f"Mismatched aliasing spec: the fake {_say(fake_aliases)}, "
                f"the kernel {_say(real_aliases)}"
            )
    return found


def _differences(made: FakeArray, real: Any) -> list[str]:
    found = []
    if made.ndim != real.ndim or not all(map(_size_fits, made.shape, real.shape)):
        shape = "(" + ", ".join(map(str, made.shape)) + ")"
        found.append(f"shape mismatch: the fake says {shape}, the kernel returned {real.shape}")
    if made.dtype != real.dtype:
        found.append(f"dtype mismatch: the fake says {made.dtype}, the kernel {real.dtype}")
    if made.device.type != metadata_of(real).device:  # type: ignore[union-attr]
        found.append(f"device mismatch: the fake says {made.device}")
    if not found and real.size and not any(map(is_symbolic, made.shape)):
        # Those of axes of size 1 lead nowhere.
        pairs = zip(made.shape, made.strides, real.strides, strict=True)
        if any(size != 1 and one != other for size, one, other in pairs):
            found.append(
                f"strides mismatch: the fake says {made.strides}, the kernel {tuple(real.strides)}"
            )
    return found


def _size_fits(size: Any, real: int) -> bool:
    if not is_symbolic(size):
        return bool(size == real)
    symbol = size.env.symbol(size)
    return symbol is None or bool(symbol.low <= real <= symbol.high)


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
    return "shares memory of " + ", ".join(aliases) if aliases else "shares no memory"


def _check_dense(operator: Operator, array: Any, location: Location) -> None:
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
