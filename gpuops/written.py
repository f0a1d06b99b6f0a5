"""A schema that is written beside the function it is for: the two have to agree."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from gpuops import infer
from gpuops.errors import SchemaError
from gpuops.register import parse_nameless
from gpuops.schema import MISSING, Parameter, Schema, check_default

__all__ = ["read_written"]


def read_written(name: str, function: Callable[..., Any], text: str, mutates_args: Any) -> Schema:
    """Read the schema of `custom_op`, and compare it with the function and with `mutates_args`.

    Raises:
        SchemaError: it is malformed, has a name, or says something else than the function or
            `mutates_args`.
        UsageError: `text` is no string, or `mutates_args` no iterable of names.
    """

    def fail(message: str) -> Any:
        raise SchemaError(f"custom_op({name}): {message}. The schema is {text!r}")

    schema = parse_nameless(text, f"custom_op({name})")
    known = [parameter.name for parameter in schema.parameters]
    mutated = infer.mutated_names(mutates_args, known, fail)
    source = "mutates_args"
    if isinstance(mutates_args, str):  # it is "unknown": everything that can be
        mutated = frozenset(parameter.name for parameter in schema.array_parameters)
        source = "mutates_args='unknown'"
    if mutated != frozenset(schema.mutated):
        spelled = "{" + ", ".join(map(repr, schema.mutated)) + "}"
        given = "{" + ", ".join(map(repr, sorted(mutated))) + "}"
        fail(f"by its schema, the op mutates {spelled}, but {source} says {given}")
    _check_signature(schema, function, fail)
    return schema


def _check_signature(
    schema: Schema, function: Callable[..., Any], fail: Callable[[str], Any]
) -> None:
    """Compare a written schema with the function it is written for: names, kinds, defaults."""
    try:
        signature = infer.signature_of(function)
    except ValueError:
        return
    kinds = inspect.Parameter
    by_position, by_name = [], set()
    for parameter in signature.parameters.values():
        if parameter.kind in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD):
            fail(f"the function takes {parameter}, which no schema can describe")
        if parameter.kind is kinds.KEYWORD_ONLY:
            by_name.add(parameter.name)
        else:
            by_position.append(parameter.name)
    positional = [parameter.name for parameter in schema.positional]
    if by_position != positional:
        fail(
            f"the function takes the positional arguments ({', '.join(by_position)}), the schema "
            f"({', '.join(positional)})"
        )
    keyword_only = {parameter.name for parameter in schema.keyword_only}
    if by_name != keyword_only:
        fail(
            f"the function takes the keyword-only arguments {sorted(by_name)}, the schema "
            f"{sorted(keyword_only)}"
        )
    for declared in schema.parameters:
        default = signature.parameters[declared.name].default
        if default is not kinds.empty and not _same_default(declared, default):
            fail(
                f"argument {declared.name!r} has the default {default!r} in the function and "
                f"{'none' if declared.default is MISSING else repr(declared.default)} in the schema"
            )


def _same_default(declared: Parameter, default: Any) -> bool:
    """Whether a function's default is the declared one, in whatever way it is written."""
    if not declared.has_default:
        return False
    try:
        default = check_default(declared.type, default, declared.name)
    except SchemaError:
        return False
    # A list that holds NaN is not equal to another one.
    return bool(default == declared.default) or repr(default) == repr(declared.default)
