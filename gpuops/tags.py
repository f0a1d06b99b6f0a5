"""Tags: what an operator promises beyond its schema."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from gpuops.errors import SchemaError

__all__ = ["Tag", "layout_constraint", "normalise_tags"]


class Tag(Enum):
    """What an operator promises beyond its schema.

    `inplace` and `out` name the two calling conventions whose result is one of the arguments.
    The four layout tags say which strides an operator's kernels need, from the most to the least
    constrained; `compliant` (carried by every `custom_op`) says that the operator works with
    fakes, tracing and transforms.
    """

    compliant = "compliant"
    inplace = "inplace"
    out = "out"
    needs_exact_strides = "needs_exact_strides"
    needs_contiguous_strides = "needs_contiguous_strides"
    needs_fixed_stride_order = "needs_fixed_stride_order"
    flexible_layout = "flexible_layout"

    def __repr__(self) -> str:
        return f"Tag.{self.name}"


_LAYOUTS = (
    Tag.needs_exact_strides,
    Tag.needs_contiguous_strides,
    Tag.needs_fixed_stride_order,
    Tag.flexible_layout,
)


def normalise_tags(tags: Tag | Iterable[Tag], *, extra: Iterable[Tag] = ()) -> list[Tag]:
    """One tag, or several, as a list without duplicates, `extra` ones last.

    Raises:
        SchemaError: something is no `Tag`, or the tags contradict each other.

    >>> normalise_tags(Tag.inplace, extra=[Tag.compliant])
    [Tag.inplace, Tag.compliant]
    """
    if isinstance(tags, Tag):
        given = [tags]
    elif isinstance(tags, Iterable) and not isinstance(tags, str):
        given = list(tags)
    else:
        given = [tags]  # refused below
    for tag in given:
        if not isinstance(tag, Tag):
            choices = ", ".join(repr(choice) for choice in Tag)
            raise SchemaError(f"tags= takes gpuops.Tag members ({choices}), got {tag!r}")
    found = list(dict.fromkeys([*given, *extra]))
    if Tag.inplace in found and Tag.out in found:
        raise SchemaError("Tag.inplace and Tag.out are mutually exclusive")
    return found


def layout_constraint(tags: Iterable[Tag]) -> Tag:
    """The layout tag that holds: the most constrained one; without any, `needs_exact_strides`.

    >>> layout_constraint([Tag.flexible_layout, Tag.needs_fixed_stride_order])
    Tag.needs_fixed_stride_order
    >>> layout_constraint([])
    Tag.needs_exact_strides
    """
    given = set(tags)
    return next((tag for tag in _LAYOUTS if tag in given), Tag.needs_exact_strides)
