"""The table of objects that a graph refers to by index.

A graph is code and numbers; a stream, a handle or a random state that it uses is neither. Such an
object has an index in a table, and the graph has the index. Each thread has a table of its own.

Objects that users own are referred to weakly: a graph does not keep a stream alive that its owner
has dropped, and says so when it needs it. Nobody else owns what the graph made itself
(`register_graph_created_object`, `set_external_object_by_index`): that is kept until it is replaced
or the table is reset.

>>> class Handle: ...
>>> handle = Handle()
>>> register_user_object(handle, "L['handle']")
0
>>> get_external_object_by_index(0) is handle
True
>>> reset_user_object_tracking()
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, final

from gpuops.errors import (
    DeadObjectError,
    ExternalObjectError,
    NoWeakReferenceError,
    UsageError,
    describe,
)

__all__ = [
    "Snapshot",
    "construct_external_object",
    "expect",
    "get_external_object_by_index",
    "has_user_objects",
    "hold",
    "register_graph_created_object",
    "register_user_object",
    "reset_user_object_tracking",
    "restore",
    "set_external_object_by_index",
    "snapshot",
    "source_of",
    "store_user_object_weakrefs",
]


_SWEEP = 4096
_REMEMBERED = 1024
"""Of how many dead objects it is known what they were, once there are many."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One object of the table.

    Attributes:
        find: gives the object, or None when it is dead.
        kept: the object itself if the table keeps it alive.
        source: where the object comes from, in the words of Python.
        kind: its class in words, for when it is dead.
        construct: makes another one, for an object that a graph makes anew.
    """

    find: Callable[[], Any]
    kept: Any
    source: str
    kind: str
    construct: Callable[[], Any] | None = None


class _Tables(threading.local):
    """Each thread's table. A new dictionary replaces the old one; none is changed in bulk."""

    def __init__(self) -> None:
        self.entries: dict[int, _Entry] = {}
        self.next = 0
        # At how many entries to look for dead ones next.
        self.sweep_at = _SWEEP
        # Indices below it that have no entry may be of objects that died.
        self.swept = 0


_tables = _Tables()


@final
class Snapshot:
    """A table as it was; see `snapshot`. It keeps alive what the table kept alive."""

    __slots__ = ("_entries", "_next", "_swept")

    def __init__(self, entries: dict[int, _Entry], following: int, swept: int) -> None:
        self._entries = entries
        self._next = following
        self._swept = swept

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Snapshot of {len(self)} external objects>"


# -- registering -----------------------------------------------------------------------------------


def register_user_object(value: Any, source: str = "") -> int:
    """Give an object that a user owns an index; only a weak reference is kept.

    Args:
        value: any object that can be referred to weakly.
        source: where it comes from, for messages: ``"L['stream']"`` for a local variable,
            ``"G['STREAM']"`` for a global one, ``"L['self'].stream"`` for an attribute.

    Returns:
        The index: 0 for the first object of this thread's table, then 1, 2, ...

    Raises:
        NoWeakReferenceError: `value` cannot be referred to weakly; the table is unchanged.
    """
    return _add(_entry(value, "register_user_object", source, keep=False))


def register_graph_created_object(
    example_value: Any, construct_fn: Callable[[], Any] | None = None, source: str = ""
) -> int:
    """Give an object that a graph makes an index; it is kept until it is replaced.

    Resetting the table lets go of it, too.

    Args:
        example_value: the object that was made while the graph was.
        construct_fn: makes such an object anew, at each replay of the graph.
        source: where it comes from, for messages.

    Returns:
        The index, as from `register_user_object`.

    Raises:
        NoWeakReferenceError: `example_value` cannot be referred to weakly; the table is unchanged.
        UsageError: `construct_fn` is not callable.
    """
    if construct_fn is not None and not callable(construct_fn):
        raise UsageError(
            "register_graph_created_object: construct_fn must be a callable without arguments, "
            f"got {describe(construct_fn)}"
        )
    name = "register_graph_created_object"
    return _add(_entry(example_value, name, source, keep=True, construct=construct_fn))


def store_user_object_weakrefs(*objects: Any) -> None:
    """Make these objects the whole table, with the indices 0, 1, 2, ...; only weakly, as a user's.

    Raises:
        NoWeakReferenceError: one of them cannot be referred to weakly; the table is unchanged.
    """
    name = "store_user_object_weakrefs"
    entries = {i: _entry(o, f"{name}: object {i}", "", keep=False) for i, o in enumerate(objects)}
    _replace(entries, len(objects))


def expect(construct_fn: Callable[[], Any], source: str = "") -> int:
    """An index for an object that is only made later, by `construct_external_object`.

    Returns:
        The index, as from `register_user_object`.
    """
    return _add(_Entry(lambda: None, None, source, "not made yet", construct_fn))


def hold(*objects: Any) -> None:
    """Make these objects the whole table and keep them alive in it: a graph does so while it runs.

    They may also be objects that cannot be referred to weakly, as NumPy's random generators.
    """
    entries = {}
    for index, value in enumerate(objects):
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        entries[index] = _Entry(partial(_itself, value), value, "", kind)
    _replace(entries, len(objects))


def _itself(value: Any) -> Any:
    return value


def set_external_object_by_index(index: int, value: Any) -> None:
    """Put an object in the place of another one, or at a new index.

    It is kept until it is replaced in turn or the table reset; what it replaces is not kept any
    longer. The source of the index stays.

    Raises:
        ExternalObjectError: `index` is negative, or `value` cannot be referred to weakly; the table
            is unchanged.
        UsageError: `index` is no int.
    """
    name = "set_external_object_by_index"
    _check_index(index, name)
    if index < 0:
        raise ExternalObjectError(f"{name}: index {index} is negative. {_contents()}")
    known = _tables.entries.get(index)
    source, construct = ("", None) if known is None else (known.source, known.construct)
    _tables.entries[index] = _entry(value, name, source, keep=True, construct=construct)
    _tables.next = max(_tables.next, index + 1)


def _entry(
    value: Any,
    where: str,
    source: str,
    *,
    keep: bool,
    construct: Callable[[], Any] | None = None,
) -> _Entry:
    try:
        find = weakref.ref(value)
    except TypeError:
        what = f"{source} ({describe(value)})" if source else describe(value)
        raise NoWeakReferenceError(
            f"{where}: {what} cannot be referred to weakly, so the table cannot have it. "
            "Wrap it in a class of your own; one with __slots__ needs '__weakref__' among them "
            "(gpuops.OpaqueBase has it)"
        ) from None
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return _Entry(find, value if keep else None, source, kind, construct)


def _add(entry: _Entry) -> int:
    if len(_tables.entries) >= _tables.sweep_at:
        _sweep()
    index = _tables.next
    _tables.entries[index] = entry
    _tables.next = index + 1
    return index


def _sweep() -> None:
    """Forget the oldest of the dead, so that a table of what lives has no more than that."""
    entries = _tables.entries
    dead = [i for i, e in entries.items() if e.construct is None and e.find() is None]
    forgotten = set(dead[:-_REMEMBERED])
    if forgotten:
        _tables.swept = max(_tables.swept, max(forgotten) + 1)
        _tables.entries = {i: e for i, e in entries.items() if i not in forgotten}
    _tables.sweep_at = max(_SWEEP, 2 * len(_tables.entries))


def _replace(entries: dict[int, _Entry], following: int, swept: int = 0) -> None:
    old = _tables.entries
    _tables.entries, _tables.next, _tables.swept = entries, following, swept
    _tables.sweep_at = max(_SWEEP, 2 * len(entries))
    # Only now: what dies with the old table may ask for the new one.
    del old


# -- looking up ------------------------------------------------------------------------------------


def get_external_object_by_index(index: int) -> Any:
    """The object with an index in this thread's table.

    Raises:
        ExternalObjectError: there is no such index.
        DeadObjectError: its owner has dropped the object; the message has its source.
        UsageError: `index` is no int.
    """
    entry = _find(index, "get_external_object_by_index")
    found = entry.find()
    if found is None:
        raise DeadObjectError(
            f"external object {index}, {_spell(entry)}, is no longer alive. Keep a reference to it "
            f"for as long as graphs use it. {_contents()}"
        )
    return found


def construct_external_object(index: int) -> Any:
    """Make the object of an index anew, as a graph does that made it, and put it in its place.

    Returns:
        The new object.

    Raises:
        ExternalObjectError: there is no such index, or no way to make its object is known.
    """
    entry = _find(index, "construct_external_object")
    if entry.construct is None:
        raise ExternalObjectError(
            f"external object {index}, {_spell(entry)}, cannot be made anew: it was registered "
            "without a construct_fn"
        )
    value = entry.construct()
    set_external_object_by_index(index, value)
    return value


def source_of(index: int) -> str:
    """Where the object of an index comes from, as it was registered; empty if that was not said.

    Raises:
        ExternalObjectError: there is no such index.
    """
    return _find(index, "source_of").source


def has_user_objects() -> bool:
    """Whether this thread's table has any objects, alive or dead."""
    return bool(_tables.entries)


def _find(index: int, where: str) -> _Entry:
    entry = _tables.entries.get(index) if type(index) is int else None
    if entry is None:
        _check_index(index, where)
        entry = _tables.entries.get(int(index))
    if entry is None and 0 <= index < _tables.swept:
        raise DeadObjectError(
            f"external object {index} is no longer alive, nor are many others: what it was is "
            f"forgotten. {_contents()}"
        )
    if entry is None:
        what = "is negative and" if index < 0 else "is"
        raise ExternalObjectError(f"external object {index} {what} not registered. {_contents()}")
    return entry


def _check_index(index: Any, where: str) -> None:
    if isinstance(index, bool) or not hasattr(type(index), "__index__"):
        raise UsageError(f"{where}: the index must be an int, got {describe(index)}")


def _spell(entry: _Entry) -> str:
    return f"{entry.source} (of type {entry.kind})" if entry.source else f"of type {entry.kind}"


def _contents() -> str:
    """How many objects there are, for messages."""
    entries = _tables.entries
    if not entries:
        return "This thread's table is empty"
    dead = sum(entry.find() is None for entry in entries.values())
    noun = "object" if len(entries) == 1 else "objects"
    text = f"This thread's table has {len(entries)} {noun}, with indices up to {max(entries)}"
    return f"{text}; {dead} of them dead" if dead else text


# -- the table as a whole --------------------------------------------------------------------------


def reset_user_object_tracking() -> None:
    """Empty this thread's table, and let go of what it keeps alive; indices start at 0 again."""
    _replace({}, 0)


def snapshot() -> Snapshot:
    """This thread's table as it is now, for `restore`.

    >>> class Handle: ...
    >>> first, second = Handle(), Handle()
    >>> store_user_object_weakrefs(first)
    >>> saved = snapshot()
    >>> store_user_object_weakrefs(second)
    >>> restore(saved)
    >>> get_external_object_by_index(0) is first
    True
    >>> reset_user_object_tracking()
    """
    return Snapshot(dict(_tables.entries), _tables.next, _tables.swept)


def restore(saved: Snapshot) -> None:
    """Make a snapshot this thread's table; it may come from another thread, and be restored often.

    Raises:
        UsageError: `saved` is no `Snapshot`.
    """
    if not isinstance(saved, Snapshot):
        raise UsageError(f"restore takes what snapshot() returned, got {describe(saved)}")
    _replace(dict(saved._entries), saved._next, saved._swept)
