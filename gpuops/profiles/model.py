"""What a profile is made of, and which calls it is of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuops.devices import Device, device_of
from gpuops.errors import describe
from gpuops.profiles.errors import ProfileError
from gpuops.registry import Operator
from gpuops.symbols import is_sym_number, is_symbolic
from gpuops.transforms.fake.layout import is_contiguous

__all__ = [
    "ArrayMetadata",
    "ListProfile",
    "OpProfile",
    "ScalarProfile",
    "checked_profiles",
    "differences",
    "metadata_of",
    "note_profile",
    "ordered",
    "profile_of_call",
    "profile_of_output",
]

ORDERS = ("C", "F", "strided", "any")
SCALARS = ("int", "float", "complex", "bool", "str", "none", "object")


@dataclass(frozen=True, slots=True)
class ArrayMetadata:
    """What is recorded of an array: everything but its sizes.

    Attributes:
        rank: the number of axes.
        dtype: a `numpy.dtype`; anything that `numpy.dtype` takes is converted.
        device: the device type, such as ``"cuda"``: which GPU of a machine it was says nothing
            about the operator. A `Device` or ``"cuda:1"`` is converted.
        order: ``"C"`` or ``"F"`` for a contiguous array (``"C"`` if it is both), ``"strided"`` for
            any other, and ``"any"``, which is never recorded, to match all.

    Raises:
        ProfileError: a value that is none of these.

    >>> ArrayMetadata(2, "float32", "cuda:1", "F")
    ArrayMetadata(rank=2, dtype=dtype('float32'), device='cuda', order='F')
    """

    rank: int
    dtype: Any
    device: str
    order: str = "C"

    def __post_init__(self) -> None:
        if type(self.rank) is not int or not 0 <= self.rank <= 64:
            raise ProfileError(f"rank: expected an int from 0 to 64, got {self.rank!r}")
        try:
            if self.dtype is None:
                raise TypeError("None is no dtype")
            dtype = np.dtype(self.dtype)
        except Exception as error:  # NumPy raises of many kinds, deprecations among them
            raise ProfileError(f"dtype: expected a NumPy dtype, got {self.dtype!r}") from error
        try:
            device = Device(self.device).type
        except (RuntimeError, TypeError, ValueError) as error:
            raise ProfileError(f"device: expected a device type, got {self.device!r}") from error
        if not isinstance(self.order, str) or self.order not in ORDERS:
            raise ProfileError(f"order: expected one of {', '.join(ORDERS)}, got {self.order!r}")
        object.__setattr__(self, "dtype", dtype)
        object.__setattr__(self, "device", device)

    def __str__(self) -> str:
        return f"{self.dtype} rank {self.rank} order {self.order} on {self.device}"


@dataclass(frozen=True, slots=True)
class ListProfile:
    """A list: of arrays (`ArrayMetadata`) and of what is none (None, or a `ScalarProfile`)."""

    items: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.items, (tuple, list)):
            raise ProfileError(f"items: expected a tuple, got {describe(self.items)}")
        object.__setattr__(self, "items", tuple(self.items))

    def __str__(self) -> str:
        return f"[{', '.join(map(render, self.items))}]"


@dataclass(frozen=True, slots=True)
class ScalarProfile:
    """An output that is no array.

    Attributes:
        type: int, float, complex, bool, str or none, and object for everything else.
        value: of a str that has always been the same, that; it is no metadata, and profiles that
            differ in it are equal.

    Raises:
        ProfileError: another type, or a value that is none of it.
    """

    type: str
    value: str | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.type, str) or self.type not in SCALARS:
            raise ProfileError(f"scalar: expected one of {', '.join(SCALARS)}, got {self.type!r}")
        if self.value is not None and (self.type != "str" or not isinstance(self.value, str)):
            raise ProfileError(
                f"value: only a scalar of type str has one, got {describe(self.value)} "
                f"for a {self.type}"
            )

    def __str__(self) -> str:
        return self.type if self.value is None else f"{self.type} {self.value!r}"


@dataclass(frozen=True, slots=True)
class OpProfile:
    """One way in which an operator was called, and what came back.

    Attributes:
        args_profile: an entry for every declared parameter, in the order of the schema:
            `ArrayMetadata`, a `ListProfile` for a list with arrays, None for whatever is no array.
        out_profile: `ArrayMetadata` for one array, a tuple, a `ListProfile`, or a `ScalarProfile`.

    A list is converted to a `ListProfile`, as an entry, and to a tuple as `args_profile`; an
    `out_profile` of None is a ``ScalarProfile("none")``.

    Raises:
        ProfileError: an entry is something else.

    >>> x = ArrayMetadata(1, "int8", "cpu")
    >>> print(OpProfile([x, None, [x, x]], [x]))
    (int8 rank 1 order C on cpu, -, [int8 rank 1 order C on cpu, int8 rank 1 order C on cpu]) -> \
[int8 rank 1 order C on cpu]
    """

    args_profile: tuple[Any, ...]
    out_profile: Any

    def __post_init__(self) -> None:
        if not isinstance(self.args_profile, (tuple, list)):
            raise ProfileError(f"args_profile: expected a tuple, got {describe(self.args_profile)}")
        object.__setattr__(self, "args_profile", tuple(map(_with_lists, self.args_profile)))
        out = ScalarProfile("none") if self.out_profile is None else _with_lists(self.out_profile)
        object.__setattr__(self, "out_profile", out)
        for index, entry in enumerate(self.args_profile):
            _check_entry(f"args_profile[{index}]", entry, (ArrayMetadata, ListProfile, type(None)))
        allowed = (ArrayMetadata, ListProfile, ScalarProfile)
        for entry in out if isinstance(out, tuple) else (out,):
            _check_entry("out_profile", entry, allowed)

    def __str__(self) -> str:
        return f"({', '.join(map(render, self.args_profile))}) -> {render(self.out_profile)}"


def _with_lists(entry: Any) -> Any:
    if isinstance(entry, list):
        return ListProfile(tuple(map(_with_lists, entry)))
    return tuple(map(_with_lists, entry)) if isinstance(entry, tuple) else entry


def _check_entry(where: str, entry: Any, allowed: tuple[type, ...]) -> None:
    if not isinstance(entry, allowed):
        raise ProfileError(f"{where}: expected array metadata, got {describe(entry)}")
    if isinstance(entry, ListProfile):
        for item in entry.items:
            _check_entry(where, item, (ArrayMetadata, ScalarProfile, type(None)))


def render(entry: Any) -> str:
    """An entry of a profile, for people."""
    if entry is None:
        return "-"
    if isinstance(entry, tuple):
        return f"({', '.join(map(render, entry))})"
    return str(entry)


# -- of values -------------------------------------------------------------------------------------


def _orders(array: Any) -> list[str]:
    shape, strides = tuple(array.shape), tuple(array.strides)
    itemsize = array.dtype.itemsize
    found = [order for order in ("C", "F") if is_contiguous(shape, strides, itemsize, order)]
    return found or ["strided"]


def _device_type(value: Any) -> str | None:
    found = device_of(value)
    if found is None:
        found = getattr(value, "device", None)
    return found.type if isinstance(found, Device) and hasattr(value, "strides") else None


def metadata_of(value: Any) -> ArrayMetadata | None:
    """The metadata of a real or a fake array; None if it is no array."""
    device = _device_type(value)
    if device is None:
        return None
    return ArrayMetadata(len(value.shape), value.dtype, device, _orders(value)[0])


def _argument(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        items = tuple(map(metadata_of, value))
        # A list of numbers is one value that is no array; an empty list may be of either.
        return ListProfile(items) if any(items) else None
    return metadata_of(value)


def profile_of_call(values: Sequence[Any]) -> tuple[Any, ...]:
    """The `args_profile` of a call with these values, in schema order."""
    return tuple(map(_argument, values))


def profile_of_output(out: Any) -> Any:
    """The `out_profile` of a result.

    >>> profile_of_output((np.zeros(3), 2))
    (ArrayMetadata(rank=1, dtype=dtype('float64'), device='cpu', order='C'), \
ScalarProfile(type='int'))
    """
    if isinstance(out, tuple):
        return tuple(map(profile_of_output, out))
    if isinstance(out, list):
        return ListProfile(tuple(map(profile_of_output, out)))
    found = metadata_of(out)
    if found is not None:
        return found
    if is_symbolic(out):
        return ScalarProfile("int")
    if is_sym_number(out):
        return ScalarProfile(out.kind)
    if out is None:
        return ScalarProfile("none")
    name = type(out).__name__
    return ScalarProfile(name if name in SCALARS else "object", out if name == "str" else None)


# -- matching --------------------------------------------------------------------------------------


def differences(operator: Operator, profile: OpProfile, values: Sequence[Any]) -> list[str]:
    """What keeps a profile from being of a call; empty if it is of it."""
    recorded = profile.args_profile
    if len(recorded) != len(values):
        return [f"{len(recorded)} arguments were recorded, {len(values)} given"]
    names = [parameter.name for parameter in operator.schema.parameters]
    found = []
    for name, entry, value in zip(names, recorded, values, strict=True):
        given = _argument(value)
        if isinstance(entry, ListProfile) and isinstance(given, ListProfile):
            if len(entry.items) != len(value):
                found.append(
                    f"{name}: length mismatch: recorded {len(entry.items)}, got {len(value)}"
                )
            else:
                for index, (item, each) in enumerate(zip(entry.items, value, strict=True)):
                    found += _array_differences(f"{name}[{index}]", item, each)
        else:
            found += _array_differences(name, entry, value)
    return found


def _array_differences(name: str, entry: Any, value: Any) -> list[str]:
    given = _argument(value)
    if isinstance(entry, ArrayMetadata) and isinstance(given, ArrayMetadata):
        pairs = [
            (what, getattr(entry, what), getattr(given, what))
            for what in ("rank", "dtype", "device")
        ]
        if entry.order != "any" and given.rank == entry.rank:
            orders = _orders(value)
            # An array that is contiguous both ways is of either order.
            pairs.append(
                ("order", entry.order, entry.order if entry.order in orders else orders[0])
            )
        return [
            f"{name}: {what} mismatch: recorded {recorded}, got {got}"
            for what, recorded, got in pairs
            if recorded != got
        ]
    if entry is None and given is None:
        return []
    return [f"{name}: recorded {_kind(entry)}, got {_kind(given)}"]


def _kind(entry: Any) -> str:
    return "no array" if entry is None else str(entry)


# -- sets of profiles ------------------------------------------------------------------------------


def ordered(profiles: Iterable[OpProfile]) -> list[OpProfile]:
    """Profiles in the order in which they are tried: those with fewer "any" first, then by text.

    It does not depend on the order in which they were recorded.
    """
    return sorted(profiles, key=lambda p: (sum(_anys(p.args_profile)), str(p)))


def note_profile(profiles: set[OpProfile], profile: OpProfile) -> None:
    """Add a profile to a set; a value that it has otherwise is no constant, and is dropped.

    >>> seen: set[OpProfile] = set()
    >>> for text in ("a", "a", "b"):
    ...     note_profile(seen, OpProfile((), ScalarProfile("str", text)))
    >>> seen
    {OpProfile(args_profile=(), out_profile=ScalarProfile(type='str'))}
    """
    if profile not in profiles:
        profiles.add(profile)
    elif "ScalarProfile(type='str'" in repr(profile.out_profile):
        (known,) = [other for other in profiles if other == profile]
        common = _common(known.out_profile, profile.out_profile)
        profiles.remove(known)
        profiles.add(OpProfile(profile.args_profile, common))


def _common(one: Any, other: Any) -> Any:
    """What two equal entries have in common: their values, if these are equal too."""
    if isinstance(one, tuple):
        return tuple(map(_common, one, other))
    if isinstance(one, ListProfile):
        return ListProfile(_common(one.items, other.items))
    if isinstance(one, ScalarProfile) and one.value != other.value:
        return ScalarProfile(one.type)
    return one


def _anys(entries: Iterable[Any]) -> Iterator[int]:
    for entry in entries:
        if isinstance(entry, ListProfile):
            yield from _anys(entry.items)
        elif isinstance(entry, ArrayMetadata):
            yield int(entry.order == "any")


def checked_profiles(profiles: object) -> dict[str, list[OpProfile]]:
    """The profiles by operator, both in their fixed order.

    Raises:
        ProfileError: it is no mapping of names to sets of `OpProfile`; it says which is wrong.
    """
    if not isinstance(profiles, Mapping):
        raise ProfileError(f"expected a dict of sets of OpProfile, got {describe(profiles)}")
    found: dict[str, list[OpProfile]] = {}
    for name in profiles:
        if not isinstance(name, str):
            raise ProfileError(f"expected names of operators as keys, got {describe(name)}")
        given = profiles[name]
        if not isinstance(given, (set, frozenset, list, tuple)):
            raise ProfileError(f"{name}: expected a set of OpProfile, got {describe(given)}")
        for profile in given:
            if not isinstance(profile, OpProfile):
                raise ProfileError(f"{name}: expected an OpProfile, got {describe(profile)}")
        found[name] = ordered(set(given))
    return dict(sorted(found.items()))
