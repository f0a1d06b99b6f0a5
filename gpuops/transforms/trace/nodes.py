"""What a graph is made of: inputs, constants, operator calls, and references to their arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuops.devices import Device, device_of
from gpuops.effects import effect_of
from gpuops.errors import Location
from gpuops.registry import Operator
from gpuops.transforms.trace.objects import Created, External, Member, ObjectInput

__all__ = ["ArrayMeta", "Constant", "Input", "Node", "Ref", "SizeSource", "refs"]


@dataclass(frozen=True, slots=True)
class ArrayMeta:
    """An array's metadata.

    Attributes:
        shape: its sizes, ints or `SymInt`s.
        dtype: its dtype.
        device: its device.
        strides: in bytes.
    """

    shape: tuple[Any, ...]
    dtype: np.dtype[Any]
    device: Device
    strides: tuple[Any, ...]

    @staticmethod
    def of(array: Any) -> ArrayMeta:
        """The metadata of a real array or of a wrapper."""
        device = device_of(array) or array.device
        return ArrayMeta(tuple(array.shape), array.dtype, device, tuple(array.strides))

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}] on {self.device}"


@dataclass(eq=False, slots=True)
class Input:
    """An array that the traced function was given.

    Attributes:
        name: its name in the code.
        meta: its metadata.
        path: where it is in the arguments: their number, and the keys into nested ones.
    """

    name: str
    meta: ArrayMeta
    path: tuple[Any, ...]


@dataclass(eq=False, slots=True)
class Constant:
    """A real array that the traced function used and was not given.

    Attributes:
        name: its name in the code.
        value: the array itself, not a copy.
    """

    name: str
    value: Any

    @property
    def meta(self) -> ArrayMeta:
        """Its metadata."""
        return ArrayMeta.of(self.value)


@dataclass(eq=False, slots=True)
class Node:
    """A call of an operator.

    Attributes:
        name: its name in the code.
        operator: the operator.
        args: its positional arguments; arrays are `Ref`s, sizes may be `SymInt`s.
        kwargs: its keyword-only ones.
        outputs: one item per return: an `ArrayMeta`, a list of them, a `SymInt`, the name of the
            type of any other number that depends on data, a number that does not, or None.
        location: the line of the traced program that made the call.
    """

    name: str
    operator: Operator
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[Any, ...] = ()
    location: Location = field(default=Location("<unknown>", 0))

    @property
    def target(self) -> str:
        """The operator's qualified name."""
        return self.operator.qualname

    @property
    def meta(self) -> ArrayMeta | None:
        """The metadata of the output, if it is one array."""
        only = self.outputs[0] if len(self.outputs) == 1 else None
        return only if isinstance(only, ArrayMeta) else None

    @property
    def has_effect(self) -> bool:
        """Whether it does anything but return something: then it is never left out.

        That is so if it writes to an argument, or has an effect by `gpuops.effects.effect_of`.
        """
        return bool(self.operator.schema.mutated) or effect_of(self.operator) is not None

    def __repr__(self) -> str:
        outputs = ", ".join(map(str, self.outputs))
        return f"<Node {self.name} = {self.target} -> {outputs or 'nothing'}>"


@dataclass(frozen=True, slots=True)
class Ref:
    """An array in a graph: an input, a constant, or an output of a call; or an opaque object.

    Attributes:
        owner: what it is of.
        path: for an output of a call, its number and, in a list, the number in that.
    """

    owner: Input | Constant | Node | ObjectInput | External | Created | Member
    path: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """Its name in the code."""
        owner = self.owner
        if not isinstance(owner, Node):
            return owner.name
        index, *rest = self.path
        first = f"{owner.name}_{index}" if owner.operator.schema.returns_tuple else owner.name
        return first + "".join(f"[{i}]" for i in rest)

    @property
    def meta(self) -> ArrayMeta | str:
        """Its metadata; of an opaque object or a number, its type."""
        if not isinstance(self.owner, Node):
            return self.owner.meta
        found = self.owner.outputs[self.path[0]]
        for index in self.path[1:]:
            found = found[index]
        assert isinstance(found, (ArrayMeta, str))
        return found

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class SizeSource:
    """Where the number that a symbol stands for is found when a graph runs.

    It is ``(size - offset) // factor`` with the size of an axis, or a number that a call returned.

    Attributes:
        ref: the array, or the number.
        axis: the axis; None for a number.
        factor: as above.
        offset: as above.
    """

    ref: Ref
    axis: int | None
    factor: int = 1
    offset: int = 0

    @property
    def text(self) -> str:
        """The number as Python."""
        size = self.ref.text if self.axis is None else f"{self.ref.text}.shape[{self.axis}]"
        if self.offset:
            size = f"({size} - {self.offset})"
        return size if self.factor == 1 else f"{size} // {self.factor}"


def refs(value: Any) -> list[Ref]:
    """The references in an argument."""
    if isinstance(value, Ref):
        return [value]
    if isinstance(value, (list, tuple)):
        return [ref for item in value for ref in refs(item)]
    if isinstance(value, dict):
        return [ref for item in value.values() for ref in refs(item)]
    return []
