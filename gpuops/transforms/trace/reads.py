"""What was read of real objects while tracing: a graph holds where the same is read again.

Members declared as ``USE_REAL`` give values that become constants of the graph. What a method gave
is compared too, by calling it again with the same arguments. A value is compared where it was read:
at the beginning, or, if calls before it may have changed the object, right after these (if tracing
ran no kernels, at the beginning too).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

from gpuops.opaque import MemberType, opaque_info
from gpuops.opaque_fakes import IDENTITY
from gpuops.snapshots import ABSENT, is_unchanged
from gpuops.symbols import is_symbolic
from gpuops.transforms.trace.nodes import Node, Ref, SizeSource, refs
from gpuops.transforms.trace.objects import External, Member, ObjectInput, fail_read
from gpuops.transforms.trace.structure import leaves

__all__ = ["PLACED", "Read", "place", "symbols_of"]


PLACED = -1


@dataclass(eq=False, slots=True)
class Read:
    """A member of an opaque object of the graph that was read, or a method that was called.

    Attributes:
        owner: the object.
        path: the member: ``"size"``, and of a member that is an object itself ``"inner.size"``.
        value: what there was; its sizes may be symbolic.
        args: for a method its positional arguments, in which objects are `Ref`s; else None.
        kwargs: its arguments by name.
        position: how many calls had been recorded by then; `PLACED` where `after` is known.
        after: the call that it is compared after; None for the beginning.
    """

    owner: ObjectInput | External
    path: str
    value: Any
    args: tuple[Any, ...] | None = None
    kwargs: dict[str, Any] = field(default_factory=dict)
    position: int = 0
    after: Node | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is an attribute that is compared at the beginning."""
        return self.args is None and self.after is None and not symbols_of(self)

    def check(self, value: Any, expected: Any, args: tuple[Any, ...], kwargs: Any) -> None:
        """Refuse an object of which another value is read now.

        Args:
            value: the object.
            expected: the value, with the numbers that its sizes have now.
            args: likewise the arguments.
            kwargs: likewise.

        Raises:
            GraphError: it says what there was and what there is.
        """
        found = self._read(value, args, kwargs)
        if expected is ABSENT and isinstance(found, AttributeError):
            return
        if isinstance(found, Exception) or not is_unchanged(expected, found):
            fail_read(self._where(), self._text(args, kwargs), expected, found)

    def _read(self, value: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """What there is now; an exception where there is nothing."""
        around, _, name = self.path.rpartition(".")
        try:
            holder = attrgetter(around)(value) if around else value
            if name == IDENTITY:
                return holder is args[0]
            info = opaque_info(type(holder))
            # A graph that was read from a text must not call whatever that names.
            if info is None or info.members.get(name) is not MemberType.USE_REAL:
                return AttributeError(f"{name!r} is no member that is declared as USE_REAL")
            found = getattr(holder, name)
            return found if self.args is None else found(*args, **kwargs)
        except Exception as error:
            return error

    def _where(self) -> str:
        if isinstance(self.owner, External):
            return self.owner.source.text
        return f"the graph's input {self.owner.name!r}"

    def _text(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        if self.args is None:
            return self.path
        shown = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
        return f"{self.path}({', '.join(shown)})"


def symbols_of(read: Read) -> set[Any]:
    """The symbols of sizes in a value that was read, or in a method's arguments."""
    found: set[Any] = set()
    for _, leaf in leaves([read.value, read.args, read.kwargs]):
        if is_symbolic(leaf):
            found |= leaf.expr.free_symbols
    return found


def place(
    reads: Sequence[Read],
    nodes: Sequence[Node],
    kept: Sequence[Node],
    externals: Sequence[External],
    sources: dict[Any, SizeSource],
    *,
    kernels_ran: bool,
) -> list[Read]:
    """Say of each read after which call it is to be compared; reads that say the same go.

    Args:
        reads: in order.
        nodes: all calls that were recorded.
        kept: those that are in the graph.
        externals: the objects of the graph that were not given to it.
        sources: where the symbols of sizes are told.
        kernels_ran: whether the kernels did when the calls were recorded. If not, nothing had
            changed, and what was read behind a call was there at the beginning too: where it is
            another value then, the graph can refuse before it has done anything.
    """
    number = {id(node): index for index, node in enumerate(nodes)}
    there = {id(owner) for owner in externals}
    placed: list[Read] = []
    for read in reads:
        if read.position == PLACED:
            placed.append(read)
            continue
        # Of an object that no call of the graph takes any more, nothing depends on what was read.
        if isinstance(read.owner, External) and id(read.owner) not in there:
            continue
        tellers = {
            id(sources[symbol].ref.owner) for symbol in symbols_of(read) if symbol in sources
        }
        for node in kept:
            before = number[id(node)] < read.position
            if (before and _may_change_objects(node)) or id(node) in tellers:
                read.after = node
        both = [read]
        if not kernels_ran and read.after is not None and not tellers:
            both.insert(0, replace(read, after=None))
        placed += [r for r in both if not any(_says_the_same(r, other) for other in placed)]
    return placed


def _may_change_objects(node: Node) -> bool:
    if not node.has_effect:
        return False
    owners = [ref.owner for ref in refs([node.args, node.kwargs])]
    return any(isinstance(owner, (ObjectInput, External, Member)) for owner in owners)


def _says_the_same(read: Read, other: Read) -> bool:
    return (
        read.owner is other.owner
        and read.path == other.path
        and read.after is other.after
        and (read.args is None) is (other.args is None)
        and is_unchanged(_spelled(other), _spelled(read))
    )


def _spelled(read: Read) -> list[Any]:
    """Arguments and value with what has no plain equality as text."""
    return [
        [path, str(leaf) if is_symbolic(leaf) or isinstance(leaf, Ref) else leaf]
        for path, leaf in leaves([read.value, list(read.args or ()), read.kwargs])
    ]
