"""NumPy gufunc signatures such as ``"(m,k),(k,n)->(m,n)"``.

The grammar is NumPy's (see "Generalized universal function API" in its manual): core dimensions
are names or fixed sizes, and ``?`` marks one that an operand may lack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuops.errors import SchemaError
from gpuops.schema import Schema

__all__ = ["CoreDimension", "GufuncSignature", "parse_signature"]

_OPERAND = re.compile(r"\(([^()]*)\)\Z")
_DIMENSION = re.compile(r"([A-Za-z_][A-Za-z0-9_]*|[1-9][0-9]*)(\?)?\Z")
# Space may stand beside punctuation, not within a name.
_SPACE = re.compile(r"(?<=[(),>])\s+|\s+(?=[(),?-])|\A\s+|\s+\Z")


@dataclass(frozen=True, slots=True)
class CoreDimension:
    """One core dimension: a name, or a fixed size; ``optional`` for ``n?``."""

    name: str
    size: int | None = None
    optional: bool = False

    def __str__(self) -> str:
        return f"{self.name}{'?' if self.optional else ''}"


@dataclass(frozen=True, slots=True)
class GufuncSignature:
    """The core dimensions of each input and each output.

    >>> [str(dimension) for dimension in parse_signature("(m,k),(k,n?)->(m,n?)").outputs[0]]
    ['m', 'n?']
    """

    inputs: tuple[tuple[CoreDimension, ...], ...]
    outputs: tuple[tuple[CoreDimension, ...], ...]

    def __str__(self) -> str:
        return "->".join(
            ",".join(f"({','.join(map(str, operand))})" for operand in side)
            for side in (self.inputs, self.outputs)
        )


def parse_signature(text: str, schema: Schema | None = None) -> GufuncSignature:
    """Read a gufunc signature and, given a schema, check that it describes that schema's arrays.

    Args:
        text: one parenthesised list of core dimensions per array input, ``->``, one per output.
        schema: the operator's schema; every array parameter must be a plain ``Array``.

    Raises:
        SchemaError: a syntax error; a number of inputs or outputs that differs from the schema's;
            an output dimension whose size no input tells.

    >>> str(parse_signature("(n),()->(n)"))
    '(n),()->(n)'
    >>> parse_signature("(n)->(m)")
    Traceback (most recent call last):
    ...
    gpuops.errors.SchemaError: gufunc signature '(n)->(m)': output dimension 'm' is in no input, \
so its size is unknown
    """
    if not isinstance(text, str):
        raise SchemaError(f"a gufunc signature must be a string, got {type(text).__name__}")
    compact = _SPACE.sub("", text)
    sides = compact.split("->")
    if len(sides) != 2:
        raise _error(text, "expected exactly one '->' between the inputs and the outputs")
    inputs, outputs = (_operands(text, side) for side in sides)
    if not outputs:
        raise _error(text, "expected at least one output")
    known = {dimension.name for operand in inputs for dimension in operand}
    for operand in outputs:
        for dimension in operand:
            if dimension.size is None and dimension.name not in known:
                raise _error(
                    text,
                    f"output dimension {dimension.name!r} is in no input, so its size is unknown",
                )
    _check_optional_marks(text, inputs + outputs)
    signature = GufuncSignature(inputs, outputs)
    if schema is not None:
        _check_against(signature, schema, text)
    return signature


def _operands(text: str, side: str) -> tuple[tuple[CoreDimension, ...], ...]:
    if not side:
        return ()
    # "),(" is the only place where a comma separates operands rather than dimensions.
    return tuple(_operand(text, part) for part in re.split(r"(?<=\)),(?=\()", side))


def _operand(text: str, part: str) -> tuple[CoreDimension, ...]:
    match = _OPERAND.match(part)
    if match is None:
        raise _error(text, f"expected parenthesised dimensions such as '(m,n)', got {part!r}")
    inside = match.group(1)
    return tuple(_dimension(text, word) for word in inside.split(",")) if inside else ()


def _dimension(text: str, word: str) -> CoreDimension:
    match = _DIMENSION.match(word)
    if match is None:
        raise _error(text, f"{word!r} is not a dimension: expected a name or a size above 0")
    name, mark = match.groups()
    return CoreDimension(name, int(name) if name.isdigit() else None, bool(mark))


def _check_optional_marks(text: str, operands: tuple[tuple[CoreDimension, ...], ...]) -> None:
    marks: dict[str, bool] = {}
    for operand in operands:
        for dimension in operand:
            if marks.setdefault(dimension.name, dimension.optional) != dimension.optional:
                raise _error(text, f"dimension {dimension.name!r} is optional in one place only")


def _check_against(signature: GufuncSignature, schema: Schema, text: str) -> None:
    arrays = schema.array_parameters
    for parameter in arrays:
        if not parameter.type.is_plain_array:
            raise _error(
                text, f"parameter {parameter.name!r} is {parameter.type}; only Array can have one"
            )
    if len(arrays) != len(signature.inputs):
        raise _error(
            text,
            f"it has {len(signature.inputs)} inputs, the schema {len(arrays)} arrays: {schema}",
        )
    outputs = schema.returns
    for output in outputs:
        if not output.type.is_plain_array:
            raise _error(text, f"a return of type {output.type} cannot have core dimensions")
    if len(outputs) != len(signature.outputs):
        raise _error(
            text, f"it has {len(signature.outputs)} outputs, the schema {len(outputs)}: {schema}"
        )


def _error(text: str, message: str) -> SchemaError:
    return SchemaError(f"gufunc signature {text!r}: {message}")
