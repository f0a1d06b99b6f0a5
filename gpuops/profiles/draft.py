"""Draft tracing: what keeps a function from being traced symbolically, found on real arrays."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gpuops.devices import array_kind, device_of
from gpuops.errors import (
    ArgumentError,
    DynamicShapeError,
    GpuopsError,
    NoFakeError,
    UnknownSizeError,
    caller_location,
    describe,
)
from gpuops.interception import ambient
from gpuops.memory import shares_memory
from gpuops.opaque_fakes import real_of
from gpuops.profiles.agreement import (
    FakeRun,
    arrays_in,
    check_dense,
    mismatches,
    place_of,
    run_fake,
)
from gpuops.profiles.generate import GeneratedFake
from gpuops.profiles.model import OpProfile, note_profile, profile_of_call, profile_of_output
from gpuops.profiles.report import DraftReport, Failure, FailureKind
from gpuops.profiles.sizes import DraftEnv
from gpuops.profiles.snapshot import Snapshot
from gpuops.register import FAKE
from gpuops.registry import Operator, registry
from gpuops.symbols import is_sym_number, is_symbolic
from gpuops.transforms.fake import FakeArray, FakeMode
from gpuops.transforms.trace.array import TracingArray
from gpuops.transforms.trace.closures import reachable
from gpuops.transforms.trace.graph import Graph
from gpuops.transforms.trace.objects import is_reference
from gpuops.transforms.trace.structure import leaves, map_leaves
from gpuops.transforms.trace.tracer import Tracer

__all__ = ["DraftReport", "Failure", "FailureKind", "trace_draft"]


_KEPT = 64 << 20
"""How many bytes of arrays around a function are copied; larger ones are only watched."""


def trace_draft(fn: Callable[..., Any]) -> Callable[..., tuple[Graph, DraftReport]]:
    """``trace(fn, tracing_mode="draft")``.

    The function runs once. It gets symbols for the sizes, as in symbolic tracing, while every
    operator runs on real arrays and on fakes; what nobody could know of a size is answered as it is
    and reported. Only where the function raises an error on symbols, it runs again with ints.

    These are as they were before when it returns or raises: arrays among the arguments; arrays that
    operators are declared to write to; opaque objects that operators get; and NumPy arrays and
    opaque objects that the function can reach through its closure, globals and attributes.

    Returns:
        A function of the same arguments that returns the graph and a `DraftReport`.

    Raises:
        ArgumentError (the returned function): a fake array is among the arguments.
        TraceError (the returned function): the output of an operator without a fake is not dense
            in memory, or begins within another array: no fake could be generated.
    """

    def traced(*args: Any) -> tuple[Graph, DraftReport]:
        for path, leaf in leaves(args):
            if type(leaf) is FakeArray:
                raise ArgumentError(
                    f"trace: a draft runs on real arrays, got {leaf!r} as argument {path[0]}"
                )
        report = DraftReport()
        draft = _Draft(fn, args, report)
        try:
            return draft.run_and_restore(), report
        except Exception as error:  # a function may raise anything because a size is no int
            if error is draft.own_error:
                raise
            place = place_of(error)
            text = " ".join(str(error).split())
            reason = f"{type(error).__name__} on symbols for sizes: {text}"
        # What the first run has kept is not needed any more.
        draft = _Draft(fn, args, report, symbolic=False)
        graph = draft.run_and_restore()
        report.add(Failure(FailureKind.DATA_DEPENDENT_ERROR, None, reason, place))
        return graph, report

    return traced


class _Draft(Tracer):
    """Traces fakes, each of which has a real array beside it, on which the operators run too.

    Attributes:
        own_error: what a kernel, or the draft itself, has raised; None if nothing did.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        report: DraftReport,
        *,
        symbolic: bool = True,
    ) -> None:
        self.report = report
        self.sizes = DraftEnv(report)
        self.reals = _Reals()
        self.before = Snapshot()
        self.own_error: Exception | None = None
        super().__init__(fn, "symbolic" if symbolic else "fake", args)

    def make_mode(self) -> FakeMode:
        return FakeMode(self.sizes)

    def run_and_restore(self) -> Graph:
        """The graph; arrays and opaque objects are as they were before."""
        self._keep_surroundings()
        for _, leaf in leaves(self.args):
            if _is_real_array(leaf) or is_reference(leaf):
                self.before.add(real_of(leaf))
        try:
            return self.run()
        finally:
            self.report.unrestored += [
                lost for lost in self.before.restore() if lost not in self.report.unrestored
            ]

    def _keep_surroundings(self) -> None:
        """Keep what the function can reach, and may change without an operator."""
        left = _KEPT
        for value in reachable(self.fn):
            if is_reference(value):
                self.before.add(real_of(value))
            elif type(value) is np.ndarray and value.flags.writeable:
                if value.nbytes <= left:
                    left -= value.nbytes
                    self.before.add(value)
                else:
                    self.before.watch(value)

    # -- real arrays beside fakes ------------------------------------------------------------------

    def _input(self, parameters: list[str], path: Any, leaf: Any) -> Any:
        made = super()._input(parameters, path, leaf)
        if isinstance(made, TracingArray):
            self.reals.bind(made.value, leaf)
        return made

    def _value(self, operator: Operator, leaf: Any, known: dict[int, TracingArray]) -> Any:
        found = super()._value(operator, leaf, known)
        if type(found) is FakeArray and _is_real_array(leaf):
            self.reals.bind(found, leaf)
        return found

    def _real(self, leaf: Any) -> Any:
        if type(leaf) is FakeArray:
            return self.reals.of(leaf)
        return self.sizes.number(leaf) if is_symbolic(leaf) or is_sym_number(leaf) else leaf

    def reveal(self, array: Any, what: str) -> Any:
        self._note(FailureKind.DATA_DEPENDENT_ERROR, None, f"the function {what}")
        return self.reals.of(array.value)

    # -- one call ----------------------------------------------------------------------------------

    def run_call(self, operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        real_args = map_leaves(lambda path, leaf: self._real(leaf), list(args))
        real_kwargs = map_leaves(lambda path, leaf: self._real(leaf), kwargs)
        values = (*real_args, *real_kwargs.values())
        self._keep_state(operator, values)
        arguments = profile_of_call(values)
        try:
            out = self._run_kernel(operator, real_args, real_kwargs)
        except Exception as error:
            self.own_error = error
            raise
        undo = self.sizes.undoable()
        made = self._run_fake(operator, args, kwargs)
        if not self._agrees(operator, made, out, (args, kwargs), values, undo):
            profile = OpProfile(arguments, profile_of_output(out))
            if self.sizes.refused is None:
                known = self.report.op_profiles.setdefault(operator.qualname, set())
                note_profile(known, profile)
            made = self._stand_in(operator, args, kwargs, profile)
        return self._paired(made.outputs, out)

    def _keep_state(self, operator: Operator, values: tuple[Any, ...]) -> None:
        """Keep what the call may change, and what was there before the function ran."""
        for parameter, value in zip(operator.schema.parameters, values, strict=True):
            for item in value if isinstance(value, list) else [value]:
                if is_reference(item):
                    self.before.add(item)
                elif parameter.is_mutated and item is not None:
                    for constant in self.constants.values():
                        if shares_memory(constant.value, item):
                            self.before.add(constant.value)

    def _run_kernel(self, operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        token = ambient.set(self.outer)
        try:
            return operator.call(*args, **kwargs)
        finally:
            ambient.reset(token)

    def _run_fake(
        self,
        operator: Operator,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        fake: Callable[..., Any] | None = None,
    ) -> FakeRun:
        self.sizes.call, self.sizes.refused = (operator, caller_location()), None
        try:
            return run_fake(operator, args, kwargs, fake)
        finally:
            self.sizes.call = None

    def _agrees(
        self,
        operator: Operator,
        made: FakeRun,
        out: Any,
        fakes: tuple[Sequence[Any], dict[str, Any]],
        values: tuple[Any, ...],
        undo: Callable[[], None],
    ) -> bool:
        """Whether the fake kernel says what the kernel did; what it does not is reported.

        Then `undo` takes back what the fake kernel asked of sizes, and what is known of them.
        """
        error, name = made.error, operator.qualname
        if self.sizes.refused is not None:
            # The fake kernel took unknown sizes for what they are not: it cannot know better.
            undo()
            self.report.add(self.sizes.refused)
            return False
        if isinstance(error, (UnknownSizeError, DynamicShapeError)):
            undo()
            text = " ".join(str(error).split())
            call = operator, caller_location()
            place = made.place or call[1]
            kind = FailureKind.DATA_DEPENDENT_ERROR
            self.report.add(self.sizes.failure(kind, text, place, call))
            return False
        if error is not None and _has_no_fake(operator, error):
            undo()
            self._check_dense(operator, out)
            self._note(FailureKind.MISSING_FAKE_KERNEL, name, "it has no fake kernel")
            return False
        args, kwargs = fakes
        inputs = arrays_in([*args, *kwargs.values()]), arrays_in(list(values))
        found = mismatches(operator, self.sizes, made, out, inputs)
        if found:
            undo()
        for what, reason in found:
            self._note(FailureKind.MISMATCHED_FAKE_KERNEL, name, reason, what)
        return not found

    def _check_dense(self, operator: Operator, out: Any) -> None:
        try:
            for array in arrays_in(out):
                check_dense(operator, array, caller_location())
        except GpuopsError as error:
            self.own_error = error
            raise

    def _stand_in(
        self, operator: Operator, args: Sequence[Any], kwargs: dict[str, Any], profile: OpProfile
    ) -> FakeRun:
        """What a fake made from the profile returns."""

        return self._run_fake(
            operator, args, kwargs, GeneratedFake(operator, [profile], match=False)
        )

    def _paired(self, fake: Any, real: Any) -> Any:
        """The outputs for the function: fakes with their real arrays, and numbers."""
        if isinstance(real, (tuple, list)):
            return type(real)(map(self._paired, fake, real))
        if type(fake) is FakeArray:
            device = device_of(real)
            if device is not None and fake.device is not device and not self.reals.has(fake):
                # "cuda" of a fake is some GPU; the real array knows which.
                fake = FakeArray.raw(fake.shape, fake.dtype, device, fake.strides, self.mode)
            if self.tracing_mode != "symbolic" and any(map(is_symbolic, fake.shape)):
                fake = FakeArray.raw(
                    tuple(real.shape), fake.dtype, fake.device, tuple(real.strides), self.mode
                )
            else:
                for size, length in zip(fake.shape, real.shape, strict=True):
                    self.sizes.fits(size, length)
            self.reals.bind(fake, real)
            return fake
        if is_symbolic(fake):
            self.sizes.fits(fake, real)
        elif is_sym_number(fake):
            self.sizes.set_number(fake, real)
        else:
            return real
        return fake if self.tracing_mode == "symbolic" else real

    def _wrap_number(self, node: Any, path: tuple[int, ...], value: Any) -> tuple[Any, Any]:
        if value is None or type(value) in (int, str) or is_symbolic(value) or is_sym_number(value):
            return super()._wrap_number(node, path, value)
        reason = f"{describe(value)} that it returned is fixed in the graph"
        kind = FailureKind.DATA_DEPENDENT_ERROR
        self.report.add(Failure(kind, node.target, reason, node.location))
        return value, value

    def _note(self, kind: FailureKind, operator: str | None, reason: str, what: str = "") -> None:
        self.report.add(Failure(kind, operator, reason, caller_location()), what)


class _Reals:
    """The real arrays beside fakes; each lives as long as its fake does."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[FakeArray], Any]] = {}

    def bind(self, fake: FakeArray, real: Any) -> None:
        """Let a fake have a real array beside it, unless it has one."""
        key, known = id(fake), self._known
        if key not in known:
            known[key] = weakref.ref(fake, lambda _: known.pop(key, None)), real

    def has(self, fake: FakeArray) -> bool:
        """Whether a fake has a real array beside it."""
        return id(fake) in self._known

    def of(self, fake: FakeArray) -> Any:
        """The real array beside a fake."""
        return self._known[id(fake)][1]


def _is_real_array(value: Any) -> bool:
    return array_kind(type(value)) is not None


def _has_no_fake(operator: Operator, error: Exception) -> bool:
    """Whether an error says that there is no fake, or that a default kernel cannot be one."""
    if isinstance(error, NoFakeError):
        return True
    return registry.rule(operator, FAKE) is None and operator.signature is None
