"""What arrays and objects were like, to put them back so.

An object keeps its identity, and so does everything that it is made of: the lists, dictionaries,
arrays and objects that it leads to get their former contents back, in place. What has changed and
cannot be put back is named.
"""

from __future__ import annotations

import collections
import functools
import pickle
import random
import sys
import types
import warnings
import weakref
import zlib
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

import numpy as np

from gpuops.convert import wrapper_types
from gpuops.devices import Device, array_kind
from gpuops.errors import describe
from gpuops.opaque_fakes import is_fake

__all__ = ["Snapshot"]

_ATOMS = (
    *(int, float, complex, str, bytes, type(None), type(Ellipsis), type(NotImplemented)),
    *(range, slice, type, types.ModuleType, types.CodeType),
    *(Enum, np.generic, np.dtype, np.ufunc, Device, weakref.ref, types.MemberDescriptorType),
)
# Threads, locks, files of the system: setting them back would break what goes on with them.
# Those of GPUs hold nothing that an operator changes, and arrays are looked at before.
_LEFT_ALONE = frozenset(
    {"_thread", "threading", "concurrent", "multiprocessing", "asyncio", "logging", "weakref"}
    | {"socket", "ssl", "subprocess", "selectors", "ctypes", "_ctypes", "cupy", "cupy_backends"}
)

_MISSING: Any = object()

Undo = Callable[[], None]
"""Puts one thing back, and raises `_Lost` where it cannot."""


class _Lost(Exception):
    """Something has changed, and cannot be put back."""


class Snapshot:
    """The state of arrays and objects when each was added, and of all that they lead to.

    >>> queue, data = {"items": [1]}, np.zeros(2)
    >>> before = Snapshot()
    >>> before.add(queue)
    >>> before.add(data)
    >>> queue["items"].append(2)
    >>> data += 1
    >>> before.restore()
    []
    >>> queue, data
    ({'items': [1]}, array([0., 0.]))
    """

    def __init__(self) -> None:
        self._undo: list[tuple[Undo, str]] = []
        # The objects too, so that no other one gets the id of one that is gone.
        self._seen: dict[int, Any] = {}

    def add(self, value: Any) -> None:
        """Keep what an array or an object is like; what is known already stays as it was kept."""
        where = describe(value)
        waiting = [value]
        while waiting:
            part = waiting.pop()
            if id(part) in self._seen:
                continue
            self._seen[id(part)] = part
            try:
                saved = [] if _is_atom(part) else list(_saved(part))
            except Exception as error:  # an object's own methods, which may refuse anything
                saved = [(_refused(error), [])]
            for undo, inner in saved:
                if undo is not None:
                    name = where if part is value else f"{describe(part)} in {where}"
                    self._undo.append((undo, name))
                waiting += inner

    def watch(self, array: np.ndarray) -> None:
        """Let `restore` name an array that has changed by then, without a copy of it."""
        before = _checksum(array)

        def undo() -> None:
            if _checksum(array) != before:
                raise _Lost("its data changed, and it was too large to be kept")

        self._undo.append((undo, describe(array)))

    def restore(self) -> list[str]:
        """Put everything back, the latest first.

        Returns:
            What has changed and could not be put back.
        """
        lost = []
        # Of arrays that overlap, the one that was kept first knows best.
        for undo, name in reversed(self._undo):
            try:
                undo()
            except _Lost as error:
                lost.append(f"{name}: {error}")
            except Exception as error:  # an object's own methods, which may refuse anything
                lost.append(f"{name}: {type(error).__name__}: {error}")
        return lost


def _refused(error: Exception) -> Undo:
    text = f"it may have changed, and cannot be looked into ({type(error).__name__}: {error})"

    def undo() -> None:
        raise _Lost(text)

    return undo


def _is_atom(value: Any) -> bool:
    if isinstance(value, _ATOMS) or is_fake(value) or type(value) in wrapper_types:
        return True
    if array_kind(type(value)) is not None:
        return False
    module = str(getattr(type(value), "__module__", ""))
    return module.partition(".")[0] in _LEFT_ALONE or module.startswith("gpuops.cuda.")


# -- what there is to put back, by kind ------------------------------------------------------------

Saved = tuple[Undo | None, list[Any]]
"""How to put a part back (None: nothing to do), and what it leads to."""


def _saved(value: Any) -> Iterator[Saved]:
    cls = type(value)
    if isinstance(value, np.ndarray) or array_kind(cls) is not None:
        yield _array(value)
    elif isinstance(value, (tuple, frozenset)):
        yield None, list(value)
    elif isinstance(value, (types.MethodType, types.BuiltinFunctionType)):
        yield None, [value.__self__, getattr(value, "__func__", None)]
        return
    elif isinstance(value, functools.partial):
        yield None, [value.func, *value.args, *value.keywords.values()]
    elif isinstance(value, types.FunctionType):
        for cell in value.__closure__ or ():
            yield _cell(cell)
        return
    elif (container := _container(value)) is not None:
        yield container
    elif (own := _own_state(value)) is not None:
        yield own, []
    elif not _has_attributes(value):
        yield _watched(value), []
    yield from _attributes(value)


def _array(array: Any) -> Saved:
    plain = array.view(np.ndarray) if isinstance(array, np.ndarray) else array
    before = plain.copy()
    shape = tuple(array.shape)

    def undo() -> None:
        if tuple(array.shape) != shape:
            array.resize(shape, refcheck=False)
        now = array.view(np.ndarray) if isinstance(array, np.ndarray) else array
        if getattr(now.flags, "writeable", True):
            now[...] = before
        elif now.tobytes() != before.tobytes():
            raise _Lost("its data changed, and it is read-only now")

    inner = list(plain.flat) if array.dtype.hasobject and array.dtype.fields is None else []
    return undo, inner


def _container(value: Any) -> Saved | None:
    """A list, dictionary, set, deque or array of bytes, subclasses among them."""
    if isinstance(value, list):
        return _sequence(value, list(list.__iter__(value)), _fill_list), list(list.__iter__(value))
    if isinstance(value, collections.deque):
        return _sequence(value, list(value), _fill_deque), list(value)
    if isinstance(value, dict):
        return _mapping(value), [*dict.keys(value), *dict.values(value)]
    if isinstance(value, set):
        items = set(set.__iter__(value))
        return _sequence(value, items, _fill_set), list(items)
    if isinstance(value, bytearray):
        return _sequence(value, bytes(value), _fill_slice), []
    arrays = sys.modules.get("array")
    if arrays is not None and isinstance(value, arrays.array):
        return _sequence(value, value[:], _fill_slice), []
    return None


def _sequence(value: Any, before: Any, fill: Callable[[Any, Any], None]) -> Undo:
    # Whatever did not change is left alone: others may be at work with it.
    def undo() -> None:
        if len(value) != len(before) or not _alike(value, before):
            fill(value, before)

    return undo


def _alike(value: Any, before: Any) -> bool:
    if isinstance(before, (bytes, set)):
        return bool(value == before)
    return all(one is other for one, other in zip(value, before, strict=True))


def _fill_list(value: Any, before: Any) -> None:
    list.__setitem__(value, slice(None), before)


def _fill_deque(value: Any, before: Any) -> None:
    collections.deque.clear(value)
    collections.deque.extend(value, before)


def _fill_set(value: Any, before: Any) -> None:
    set.clear(value)
    set.update(value, before)


def _fill_slice(value: Any, before: Any) -> None:
    value[:] = before


def _mapping(value: Any) -> Undo:
    # An ordered dictionary keeps a list beside the table, which `dict`'s methods do not know of.
    own: Any = collections.OrderedDict if isinstance(value, collections.OrderedDict) else dict
    before = list(own.items(value))

    def undo() -> None:
        now = list(own.items(value))
        if len(now) == len(before) and all(
            k is key and v is old for (k, v), (key, old) in zip(now, before, strict=True)
        ):
            return
        own.clear(value)
        for key, old in before:
            own.__setitem__(value, key, old)

    return undo


def _cell(cell: Any) -> Saved:
    """A variable of a function that is shared with a function inside of it."""
    try:
        before = cell.cell_contents
    except ValueError:  # it has no value yet
        before = _MISSING

    def undo() -> None:
        if before is _MISSING:
            del cell.cell_contents
        else:
            cell.cell_contents = before

    return undo, [] if before is _MISSING else [before]


def _own_state(value: Any) -> Undo | None:
    """Objects that give their state, and take it back: generators of random numbers, streams."""
    if isinstance(value, random.Random):
        if isinstance(value, random.SystemRandom):
            return None
        return functools.partial(value.setstate, value.getstate())
    numbers = sys.modules.get("numpy.random")
    if numbers is not None:
        if isinstance(value, numbers.Generator):
            return _bit_generator(value.bit_generator)
        if isinstance(value, numbers.BitGenerator):
            return _bit_generator(value)
        if isinstance(value, numbers.RandomState):
            return functools.partial(value.set_state, value.get_state())
    cls: Any = type(value)
    give: Any = getattr(cls, "__getstate__", None)
    take: Any = getattr(cls, "__setstate__", None)
    # What Python code says of its state may be made for files; its attributes are at hand.
    if give is object.__getstate__ or take is None:
        return None
    if isinstance(give, types.FunctionType) or isinstance(take, types.FunctionType):
        return None
    return functools.partial(take, value, give(value))


def _bit_generator(bits: Any) -> Undo:
    import copy

    before = copy.deepcopy(bits.state)
    # What `spawn` counts, and nothing can set.
    seeds = getattr(bits, "seed_seq", None)
    spawned = getattr(seeds, "n_children_spawned", None)

    def undo() -> None:
        bits.state = before
        if getattr(seeds, "n_children_spawned", None) != spawned:
            raise _Lost("it has spawned others, and the next ones will be other ones than before")

    return undo


# -- attributes ------------------------------------------------------------------------------------


def _has_attributes(value: Any) -> bool:
    return hasattr(value, "__dict__") or any(True for _ in _slots(type(value)))


def _slots(cls: type) -> Iterator[Any]:
    for base in cls.__mro__:
        if "__slots__" in vars(base):
            for found in list(vars(base).values()):
                if isinstance(found, types.MemberDescriptorType):
                    yield found


def _attributes(value: Any) -> Iterator[Saved]:
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        attributes = None
    if isinstance(attributes, dict):
        yield _mapping(attributes), list(attributes.values())
    for slot in _slots(type(value)):
        before = _read_slot(slot, value)
        yield (
            functools.partial(_put_slot, slot, value, before),
            [] if before is _MISSING else [before],
        )


def _read_slot(slot: Any, value: Any) -> Any:
    try:
        return slot.__get__(value)
    except AttributeError:
        return _MISSING


def _put_slot(slot: Any, value: Any, before: Any) -> None:
    now = _read_slot(slot, value)
    if now is before:
        return
    if before is _MISSING:
        slot.__delete__(value)
    else:
        slot.__set__(value, before)


# -- what can only be watched ----------------------------------------------------------------------


def _watched(value: Any) -> Undo | None:
    """For an object that neither shows its parts nor takes a state: say so if it has changed."""
    before = _fingerprint(value)
    if before is None:
        return None

    def undo() -> None:
        if _fingerprint(value) != before:
            raise _Lost("it has changed, and nothing can put it back")

    return undo


def _checksum(array: np.ndarray) -> int:
    if array.flags.c_contiguous and not array.dtype.hasobject:
        return zlib.crc32(array.reshape(-1).view(np.uint8).data)
    found = 0
    for part in array if array.ndim else [array[()]]:
        found = zlib.crc32(np.ascontiguousarray(part).tobytes(), found)
    return found


def _fingerprint(value: Any) -> Any:
    """Something that changes when an object does; None if nothing is known to."""
    if isinstance(value, types.GeneratorType):
        return -1 if value.gi_frame is None else value.gi_frame.f_lasti
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # iterators will lose it some day
            return pickle.dumps(value)
    except Exception:  # an object's own methods, which may refuse anything
        return None
