"""What a fake kernel and a traced function see of an opaque object.

The fake of a reference object passes for an instance of its class and can be handed to operators.
Of the object itself it gives away the members that were declared for it with
`register_opaque_type`, and nothing else: what a fake kernel reads, a graph would have to know.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NoReturn, final

from gpuops.devices import array_kind
from gpuops.errors import OpaqueAccessError, describe
from gpuops.opaque import MemberType, OpaqueInfo, opaque_info
from gpuops.snapshots import ABSENT, items_in

__all__ = ["IDENTITY", "FakeOpaque", "fake_of", "is_fake", "member_path", "reads", "real_of"]

Note = Callable[[Any, str, Any, "tuple[Any, ...] | None", "dict[str, Any] | None"], None]

reads: ContextVar[Note | None] = ContextVar("gpuops_reads", default=None)
"""Called with what is read of real objects: the fake, the member and its value, and of a method
the arguments, by position and by name; None: nobody wants to know."""

IDENTITY = "is"
"""What the comparison of two fakes is noted as: a method that is given the other object."""

_get = object.__getattribute__
_set = object.__setattr__
# How `copy` and `pickle` ask an object.
_OWN = frozenset({"__copy__", "__deepcopy__", "__reduce_ex__"})


@final
class FakeOpaque:
    """The fake of a reference object; `fake_of` makes them.

    ``isinstance`` says that it is of the object's class. Two fakes of one object are equal; those
    of two objects are not, unless their class has an ``__eq__``, which they do not tell about.
    """

    __slots__ = ("__weakref__", "_info", "_parent", "_real", "_where")

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return type(_get(self, "_real"))
        if name in _OWN:
            return _get(self, name)
        return _member(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        _refuse(self, "__setattr__", name)

    def __delattr__(self, name: str) -> None:
        _refuse(self, "__delattr__", name)

    def __eq__(self, other: object) -> bool:
        if type(other) is not FakeOpaque:
            return False
        real = _get(self, "_real")
        same = real is _get(other, "_real")
        own: Any = getattr(type(real), "__eq__", None)
        if not same and own is not object.__eq__:
            # What the class compares is data.
            _refuse(self, "__getattr__", "__eq__")
        note = reads.get()
        if note is not None:
            note(self, IDENTITY, same, (other,), {})
        return same

    def __hash__(self) -> int:
        return id(_get(self, "_real"))

    def __repr__(self) -> str:
        return f"<fake of an opaque {_get(self, '_info').name}>"

    def __copy__(self) -> FakeOpaque:
        return self

    def __deepcopy__(self, memo: object) -> FakeOpaque:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        _refuse(self, "__reduce_ex__", "__reduce_ex__")

    def __bool__(self) -> bool:
        # An object whose class says nothing about truth is true, and everybody knows.
        cls = type(_get(self, "_real"))
        for name in ("__bool__", "__len__"):
            if hasattr(cls, name):
                return bool(_member(self, name)())
        return True


def _special(name: str) -> Callable[..., Any]:
    def call(self: FakeOpaque, *args: Any) -> Any:
        return _member(self, name)(*args)

    call.__name__ = name
    return call


# Python looks these up on the class, so that `__getattribute__` does not see them.
_LOOKED_UP_ON_THE_CLASS = (
    "__call__",
    "__contains__",
    "__delitem__",
    "__enter__",
    "__exit__",
    "__getitem__",
    "__len__",
    "__next__",
    "__setitem__",
)
for _name in _LOOKED_UP_ON_THE_CLASS:
    setattr(FakeOpaque, _name, _special(_name))


def fake_of(value: Any, where: str = "") -> Any:
    """The fake of a reference object; anything else, value types included, as it is.

    Args:
        value: an argument of an operator.
        where: what messages say of it, such as ``"argument 'queue' of demo::push"``.

    >>> from gpuops.payload import OpaqueObject, make_opaque
    >>> fake = fake_of(make_opaque([1]), "argument 'queue' of demo::push")
    >>> isinstance(fake, OpaqueObject), fake
    (True, <fake of an opaque OpaqueObject>)
    """
    cls = type(value)
    if cls is FakeOpaque:
        return value
    info = opaque_info(cls)
    if info is None or info.kind == "value":
        return value
    fake = object.__new__(FakeOpaque)
    _set(fake, "_real", value)
    _set(fake, "_info", info)
    _set(fake, "_where", where)
    _set(fake, "_parent", None)
    return fake


def is_fake(value: Any) -> bool:
    """Whether `value` is the fake of an opaque object, which it does not admit by itself."""
    return type(value) is FakeOpaque


def real_of(value: Any) -> Any:
    """The object that a fake stands for; anything else as it is. For interpreters, not kernels."""
    return _get(value, "_real") if type(value) is FakeOpaque else value


def member_path(value: Any) -> tuple[FakeOpaque, str] | None:
    """The fake that another one was read from, and the member's name; None for other objects."""
    found: tuple[FakeOpaque, str] | None = None
    if type(value) is FakeOpaque:
        found = _get(value, "_parent")
    return found


# -- members ---------------------------------------------------------------------------------------


def _member(fake: FakeOpaque, name: str) -> Any:
    info: OpaqueInfo = _get(fake, "_info")
    how = info.members.get(name)
    if how is None:
        _refuse(fake, "__getattr__", name)
    if how is MemberType.USE_REAL:
        return _real_member(fake, name)
    return _inlined_member(fake, name)


_CALLED = (
    types.MethodType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodWrapperType,
    functools.partial,
)


def _real_member(fake: FakeOpaque, name: str) -> Any:
    note = reads.get()
    try:
        value = _read(fake, name)
    except OpaqueAccessError:
        if note is not None:
            note(fake, name, ABSENT, None, None)
        raise
    if isinstance(value, _CALLED):
        return functools.partial(_call, fake, name, value)
    if note is not None:
        note(fake, name, value, None, None)
    return _constant(fake, name, value)


def _call(fake: FakeOpaque, name: str, method: Any, /, *args: Any, **kwargs: Any) -> Any:
    """What a method of the real object gives: a constant of a graph, for these arguments."""
    note = reads.get()
    if note is not None:
        _refuse_arrays(fake, name, [args, kwargs])
    value = _constant(fake, name, method(*_reals(args), **_reals(kwargs)))
    if note is not None:
        note(fake, name, value, args, kwargs)
    return value


def _reals(given: Any) -> Any:
    """The same, with real objects in the place of fakes."""
    if type(given) in (list, tuple):
        return type(given)(map(_reals, given))
    if type(given) is dict:
        return {key: _reals(item) for key, item in given.items()}
    return real_of(given)


def _refuse_arrays(fake: FakeOpaque, name: str, given: Any) -> None:
    """Refuse arrays for a method whose result a graph would have as a constant.

    Raises:
        OpaqueAccessError: there is one.
    """
    for item in items_in(given):
        if hasattr(type(item), "__array_namespace__") or array_kind(type(item)) is not None:
            info: OpaqueInfo = _get(fake, "_info")
            raise OpaqueAccessError(
                f"member {name!r} of {info.name} is declared as USE_REAL, so that what it gives is "
                f"a constant of a graph, and is called with an array ({describe(item)}): declare "
                "it as MemberType.INLINED, or make it an operator"
            )


def _constant(fake: FakeOpaque, name: str, value: Any) -> Any:
    """`value`, unless it is a reference object, which no graph can have as a constant."""
    for item in items_in(value):
        info = opaque_info(type(item))
        if info is not None and info.kind == "reference":
            own: OpaqueInfo = _get(fake, "_info")
            raise OpaqueAccessError(
                f"member {name!r} of {own.name} is declared as USE_REAL, but it gives a reference "
                f"object ({info.name}), which cannot be a constant of a graph: declare it as "
                "MemberType.INLINED, or pass that object as an argument of its own"
            )
    return value


def _inlined_member(fake: FakeOpaque, name: str) -> Any:
    real = _get(fake, "_real")
    found = _class_attribute(type(real), name)
    if isinstance(found, types.FunctionType):
        return types.MethodType(found, fake)
    if isinstance(found, property) and found.fget is not None:
        return found.fget(fake)
    if isinstance(found, (classmethod, staticmethod)):
        return _read(fake, name)
    info: OpaqueInfo = _get(fake, "_info")
    value = _read(fake, name)
    inner = fake_of(value, f"member {name!r} of {_get(fake, '_where') or info.name}")
    if inner is value:
        raise OpaqueAccessError(
            f"member {name!r} of {info.name} is declared as INLINED, but it is neither a method, a "
            "property nor an opaque object: declare it as MemberType.USE_REAL"
        )
    if _get(inner, "_parent") is None:
        _set(inner, "_parent", (fake, name))
    return inner


def _class_attribute(cls: type, name: str) -> Any:
    for base in cls.__mro__:
        if name in vars(base):
            return vars(base)[name]
    return None


def _read(fake: FakeOpaque, name: str) -> Any:
    try:
        return getattr(_get(fake, "_real"), name)
    except AttributeError as error:
        info: OpaqueInfo = _get(fake, "_info")
        raise OpaqueAccessError(
            f"{info.name} declares the member {name!r} ({info.members[name].name}) at "
            f"{info.location}, but the object has no such member: {error}"
        ) from None


def _refuse(fake: FakeOpaque, how: str, name: str) -> NoReturn:
    info: OpaqueInfo = _get(fake, "_info")
    where = _get(fake, "_where")
    what = f"{where} (an opaque {info.name})" if where else f"an opaque {info.name}"
    if info.location is None:
        advice = "It gives away nothing: pass what is needed as an argument of its own"
    elif how == "__getattr__":
        advice = (
            "It gives away declared members only: add "
            f"members={{{name!r}: MemberType.USE_REAL}} (its value becomes a constant) or "
            f"MemberType.INLINED (a method that runs on the fake) to the registration at "
            f"{info.location}, or pass what is needed as an argument of its own"
        )
    else:
        advice = (
            "Only real kernels may change an opaque object: a fake kernel computes the outputs' "
            "metadata and changes nothing"
        )
    raise OpaqueAccessError(
        f"Tried to call {how} with attr {name!r} on the fake of {what}. {advice}"
    )
