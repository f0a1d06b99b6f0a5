"""The two calling conventions whose result is an argument: ``Tag.inplace`` and ``Tag.out``."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

from gpuops.errors import SchemaError
from gpuops.schema import Parameter, Schema
from gpuops.tags import Tag

__all__ = ["apply_conventions", "returned_arguments"]


def apply_conventions(schema: Schema, tags: list[Tag], *, inferred: bool) -> Schema:
    """Check a schema against its ``inplace`` or ``out`` tag.

    Args:
        schema: the operator's schema.
        tags: its tags.
        inferred: the schema comes from type hints, which cannot say that a return value aliases
            an argument; the alias is added. A written schema has to say so itself.

    Returns:
        The schema, with the returns' alias annotations filled in.

    Raises:
        SchemaError: the schema does not follow the convention.
    """
    if Tag.inplace in tags:
        return _check_inplace(schema, inferred)
    if Tag.out in tags:
        return _check_out(schema, inferred)
    return schema


def returned_arguments(schema: Schema, tags: list[Tag]) -> tuple[Parameter, ...]:
    """The parameters that an operator returns, one per return; empty without such a tag."""
    if Tag.inplace in tags:
        return schema.positional[:1]
    if Tag.out in tags:
        return tuple(p for p in schema.keyword_only if p.is_mutated)
    return ()


def _check_inplace(schema: Schema, inferred: bool) -> Schema:
    def fail(message: str) -> NoReturn:
        raise SchemaError(f"{schema.qualname} has Tag.inplace, so {message}. Got {schema}")

    if not schema.positional:
        fail("it must have a positional argument, which it writes to and returns")
    first = schema.positional[0]
    if not first.type.is_plain_array:
        fail(f"its first argument {first.name!r} must be an Array, not {first.type}")
    if schema.mutated != (first.name,):
        fail(
            f"it must mutate its first argument {first.name!r} and no other; "
            f"it mutates {_listed(schema.mutated)}"
        )
    return _check_returns(schema, (first,), inferred, fail)


def _check_out(schema: Schema, inferred: bool) -> Schema:
    def fail(message: str) -> NoReturn:
        raise SchemaError(f"{schema.qualname} has Tag.out, so {message}. Got {schema}")

    for parameter in schema.parameters:
        if parameter.is_mutated and not parameter.kwarg_only:
            fail(f"the argument {parameter.name!r} that it mutates must be keyword-only")
    outs = tuple(p for p in schema.keyword_only if p.is_mutated)
    if not outs:
        fail("it must have mutable keyword-only arguments, which it writes to and returns")
    for out in outs:
        if not out.type.is_plain_array:
            fail(f"its mutable keyword-only argument {out.name!r} must be an Array, not {out.type}")
    return _check_returns(schema, outs, inferred, fail)


def _check_returns(
    schema: Schema, returned: tuple[Parameter, ...], inferred: bool, fail: object
) -> Schema:
    assert callable(fail)
    names = _listed(tuple(parameter.name for parameter in returned))
    single = len(returned) == 1
    if len(schema.returns) != len(returned):
        what = "exactly one value" if single else f"exactly {len(returned)} values"
        fail(f"it must return {what} ({names}), not {len(schema.returns)}")
    if schema.returns_tuple != (not single):
        fail(f"it must return the Array {names} itself, not a tuple of it")
    outputs = []
    for index, (output, parameter) in enumerate(zip(schema.returns, returned, strict=True)):
        if not output.type.is_plain_array:
            fail(f"return {index} must be an Array, not {output.type}")
        if inferred:
            output = replace(output, alias=parameter.alias)
        elif output.alias != parameter.alias:
            fail(
                f"return {index} must alias the argument {parameter.name!r} "
                f"(write Array{parameter.alias}, not {output})"
            )
        outputs.append(output)
    return replace(schema, returns=tuple(outputs))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names)) or "nothing"
