"""Opaque objects in graphs: given ones, found ones, and the values that a graph is made for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NoReturn

from gpuops import external_objects
from gpuops.errors import DeadObjectError, GraphError, TraceError, caller_location, describe
from gpuops.opaque import guard_values, opaque_class, opaque_info
from gpuops.opaque_fakes import FakeOpaque, fake_of, is_fake, member_path, reads, real_of
from gpuops.snapshots import ABSENT, is_unchanged, snapshot_of
from gpuops.symbols.env import line_text
from gpuops.transforms.trace.closures import Source, SourceGone, find_source
from gpuops.transforms.trace.structure import Path

__all__ = [
    "ClosedValue",
    "Created",
    "Expected",
    "External",
    "Member",
    "ObjectInput",
    "Objects",
    "fail_read",
    "is_reference",
]


def fail_read(what: str, member: str, expected: Any, found: Any) -> NoReturn:
    """Say that something else is read of an object than when the graph was traced.

    Raises:
        GraphError: always.
    """
    raise GraphError(
        f"{what} had {member} = {expected!r} when the graph was traced, and it is fixed so; now it "
        f"is {found!r}. Trace again"
    )


def is_reference(value: Any) -> bool:
    """Whether `value` is an object of a reference type, or the fake of one."""
    info = None if is_fake(value) else opaque_info(type(value))
    return is_fake(value) or (info is not None and info.kind == "reference")


@dataclass(eq=False, slots=True)
class Expected:
    """What a graph holds for of an opaque object.

    Attributes:
        type: the name of its class in schemas.
        guards: what its class's ``guard_fn`` gave; see `gpuops.opaque.guard_values`.
        reads: the members whose real values were read while tracing: ``"size"``, and of a member
            that is an opaque object itself ``"inner.size"``; see `gpuops.transforms.trace.reads`
            for those that are not compared at the beginning.
    """

    type: str
    guards: tuple[Any, ...]
    reads: dict[str, Any] = field(default_factory=dict)

    def check(self, what: str, value: Any) -> None:
        """Refuse an object that the graph does not hold for.

        Raises:
            GraphError: it says what differs.
        """
        cls = opaque_class(self.type)
        if cls is None or not isinstance(value, cls) or is_fake(value):
            raise GraphError(f"{what} must be a {self.type}, got {describe(value)}")
        for name, expected in self.reads.items():
            try:
                found = attrgetter(name)(value)
            except AttributeError as error:
                found = error
            gone = isinstance(found, AttributeError)
            if not (gone if expected is ABSENT else is_unchanged(expected, found)):
                fail_read(what, name, expected, found)
        guards = guard_values(value)
        if not is_unchanged(self.guards, guards):
            pairs = zip(self.guards, guards, strict=False)
            differing = [i for i, pair in enumerate(pairs) if not is_unchanged(*pair)]
            which = differing[0] if differing else min(len(guards), len(self.guards))
            raise GraphError(
                f"{what} is guarded: its guard_fn gave {self.guards!r} when the graph was traced "
                f"and gives {guards!r} now (they differ at {which}). Trace again"
            )


@dataclass(eq=False, slots=True)
class ObjectInput:
    """An opaque reference object that the traced function was given.

    Attributes:
        name: its name in the code.
        path: where it is in the arguments.
        expected: what it has to be when the graph runs.
    """

    name: str
    path: Path
    expected: Expected

    @property
    def meta(self) -> str:
        """Its type, as schemas spell it."""
        return self.expected.type


@dataclass(eq=False, slots=True)
class External:
    """An opaque reference object that the traced function found by itself.

    Attributes:
        name: its name in the code.
        index: its index in the table of external objects while the graph runs.
        source: where it is found again.
        expected: what it has to be when the graph runs.
    """

    name: str
    index: int
    source: Source
    expected: Expected

    @property
    def meta(self) -> str:
        """Its type, as schemas spell it."""
        return self.expected.type

    def find(self) -> Any:
        """The object that is at the source now.

        Raises:
            DeadObjectError: there is none any more.
            GraphError: it is another one, which the graph does not hold for.
        """
        try:
            found = self.source.find()
        except SourceGone as gone:
            self._fail_dead(f"{gone}. The graph was traced with it and looks it up at each replay")
        if found is None:
            self._fail_dead(f"{self.source.text} is None")
        self.expected.check(self.source.text, found)
        return found

    def _fail_dead(self, why: str) -> NoReturn:
        raise DeadObjectError(
            f"external object {self.index}, {self.source.text} (a {self.meta}), is no longer "
            f"alive: {why}"
        ) from None


@dataclass(eq=False, slots=True)
class Created:
    """An opaque object that the traced function made, and that the graph makes anew.

    Attributes:
        name: its name in the code.
        index: its index in the table of external objects while the graph runs.
        construct: makes one.
        meta: its type, as schemas spell it.
    """

    name: str
    index: int
    construct: Callable[[], Any]
    meta: str


@dataclass(eq=False, slots=True)
class Member:
    """An opaque object that is a member of another one in the graph."""

    parent: Any
    attribute: str

    @property
    def name(self) -> str:
        """Its expression in the code."""
        return f"{self.parent.name}.{self.attribute}"

    @property
    def meta(self) -> str:
        """What it is, in words."""
        return "an opaque member"


@dataclass(frozen=True, slots=True)
class ClosedValue:
    """An object of a value type that the traced function found by itself; it is fixed in the graph.

    Attributes:
        source: where it was found.
        value: what was there.
    """

    source: Source
    value: Any

    def check(self) -> None:
        """Refuse another value.

        Raises:
            GraphError: it names the source and both values.
        """
        try:
            found = self.source.find()
        except SourceGone as gone:
            raise GraphError(
                f"{self.source.text} was {self.value!r} when the graph was traced, and is fixed in "
                f"it; now it is gone ({gone}). Trace again"
            ) from None
        if not (found is self.value or (type(found) is type(self.value) and found == self.value)):
            raise GraphError(
                f"{self.source.text} was {self.value!r} when the graph was traced, and is fixed in "
                f"it; now it is {found!r}. Trace again"
            )


class Objects:
    """The opaque objects of one tracing.

    Args:
        fn: the traced function.
        name: gives a name that nothing in the graph has yet.
        position: how many calls have been recorded.

    Attributes:
        reads: what was read of them: each the object, the member, its value, a method's arguments
            and the position.
    """

    def __init__(self, fn: Any, name: Callable[[str], str], position: Callable[[], int]) -> None:
        self._fn = fn
        self._name = name
        self._position = position
        self.reads: list[tuple[Any, str, Any, Any, Any, int]] = []
        self.inputs: list[ObjectInput] = []
        self.externals: list[External] = []
        self.created: list[Created] = []
        self.values: list[ClosedValue] = []
        # id of a fake or of a real object -> it, and what it is in the graph.
        self._owners: dict[int, tuple[Any, Any]] = {}
        # The stream that was the current one before the function began; None for the default one.
        streams = _streams()
        self._outer = None if streams is None else streams.outer_stream()
        self._entered = 0 if streams is None else streams.entered_streams()
        self._sourced: dict[int, Any] = {}

    def add_input(self, name: str, path: Path, value: Any) -> FakeOpaque:
        """An argument of the traced function; what the function gets for it."""
        fake: FakeOpaque = fake_of(real_of(value), f"argument {name!r} of the traced function")
        made = ObjectInput(self._name(name), path, _expected(real_of(value)))
        self.inputs.append(made)
        self._owners[id(fake)] = (fake, made)
        # A stream that is entered comes back as itself, from `current_stream`.
        self._owners.setdefault(id(real_of(value)), (real_of(value), made))
        return fake

    def leave_streams(self) -> None:
        """Leave the streams that the traced function entered and did not leave."""
        streams = _streams()
        if streams is not None:
            streams.leave_streams(self._entered)

    def add_created(self, value: Any, construct: Callable[[], Any]) -> None:
        """Note that the traced function has just made an object, which the graph can make too."""
        info = opaque_info(type(value))
        assert info is not None
        name = self._name(info.name.rpartition(".")[2].lower())
        made = Created(name, len(self.created), construct, info.name)
        self.created.append(made)
        self._owners[id(value)] = (value, made)

    def owner(self, value: Any) -> Any:
        """What a reference object, or the fake of one, is in the graph.

        Raises:
            TraceError: it is not an argument, and neither a closure nor a global leads to it.
        """
        known = self._owners.get(id(value))
        if known is not None:
            return known[1]
        nested = member_path(value)
        if nested is not None:
            parent, attribute = nested
            found: Any = Member(self.owner(parent), attribute)
        else:
            found = self._external(real_of(value))
        self._owners[id(value)] = (value, found)
        return found

    def _external(self, value: Any) -> External:
        source = find_source(self._fn, value)
        if source is None:
            source = _current_stream(value, self._outer)
        if source is None:
            _fail_created(value)
        wanted = source.text.rpartition("['")[2].partition("'")[0]
        if source.text == CURRENT_STREAM:
            wanted = "caller_stream"
        name = self._name(wanted if wanted.isidentifier() else "external")
        found = External(name, len(self.externals), source, _expected(value))
        self.externals.append(found)
        return found

    def note_value(self, value: Any) -> None:
        """Note where an object of a value type comes from, if it is not the function's own."""
        if id(value) not in self._sourced:
            self._sourced[id(value)] = value
            source = find_source(self._fn, value)
            if source is not None:
                self.values.append(ClosedValue(source, value))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Note what is read of objects in the block: the graph holds for these values only."""
        seen: list[tuple[Any, str, Any, Any, Any, int]] = []

        def note(fake: Any, name: str, value: Any, args: Any, kwargs: Any) -> None:
            if args is not None:
                args, kwargs = snapshot_of(args), snapshot_of(kwargs)
            seen.append((fake, name, snapshot_of(value), args, kwargs, self._position()))

        token = reads.set(note)
        try:
            yield
        finally:
            reads.reset(token)
        for fake, name, *rest in seen:
            for owner, path in self._ways(fake, name):
                self.reads.append((owner, path, *rest))

    def _ways(self, fake: Any, name: str) -> Iterator[tuple[ObjectInput | External, str]]:
        """The ways in the graph to what was read of an object, or of a member of it."""
        while (nested := member_path(fake)) is not None:
            fake, attribute = nested
            name = f"{attribute}.{name}"
        for known, owner in list(self._owners.values()):
            if real_of(known) is not real_of(fake):
                continue
            path = name
            while isinstance(owner, Member):
                path = f"{owner.attribute}.{path}"
                owner = owner.parent
            if isinstance(owner, (ObjectInput, External)):
                yield owner, path


CURRENT_STREAM = "current_stream()"


def _streams() -> Any:
    """The module of streams, if anybody has imported it."""
    return sys.modules.get("gpuops.cuda.streams")


def _current_stream(value: Any, outer: Any) -> Source | None:
    """The source of the stream that is the current one around a traced function, or its graph."""
    streams = _streams()
    if streams is None or not isinstance(value, streams.Stream):
        return None
    if value is not outer and not (outer is None and streams.is_default(value)):
        return None
    return Source(CURRENT_STREAM, (lambda _: streams.current_stream(),))


def _expected(value: Any) -> Expected:
    info = opaque_info(type(value))
    assert info is not None
    return Expected(info.name, guard_values(value))


def _fail_created(value: Any) -> NoReturn:
    location = caller_location()
    raise TraceError(
        f"the traced function uses {describe(value)}, a reference object that it made itself or "
        f"got where a graph cannot find it again, at {location}{line_text(location)}. Make it "
        "before, and pass it as an argument or keep it in a variable around the function"
    )


@contextmanager
def in_table(externals: list[External], created: list[Created] | None = None) -> Iterator[None]:
    """Make a graph's external objects the table of this thread in the block.

    Behind those that it finds there is room for those that it makes.

    Raises:
        DeadObjectError, GraphError: as `External.find` does.
    """
    found = [external.find() for external in externals]
    saved = external_objects.snapshot()
    external_objects.hold(*found)
    for made in created or ():
        external_objects.expect(made.construct, f"{made.name}, made in the graph")
    try:
        yield
    finally:
        external_objects.restore(saved)
