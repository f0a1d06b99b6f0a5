"""Checked registration: operators, kernels and fakes, complete or not at all."""

from __future__ import annotations

import importlib.util
import re
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from gpuops.conventions import apply_conventions
from gpuops.devices import check_device_type
from gpuops.errors import (
    Location,
    RegistrationError,
    SchemaError,
    UsageError,
    caller_location,
    describe,
    location_of,
    user_stacklevel,
)
from gpuops.gufunc import parse_signature
from gpuops.infer import signature_of
from gpuops.registry import Kernel, Operator, Registration, fallthrough_kernel, registry
from gpuops.schema import Schema
from gpuops.schema_parser import parse_schema
from gpuops.tags import Tag, normalise_tags

__all__ = [
    "FAKE",
    "added_or_decorator",
    "check_kernel",
    "device_parameter",
    "kernel_device",
    "kernel_devices",
    "keys_as_given",
    "make_operator",
    "parse_nameless",
    "register_fake",
    "register_kernels",
]

F = TypeVar("F", bound=Callable[..., Any])

FAKE = "fake"
"""The rule token of fake kernels."""

_LAZY = re.compile(r"(\.*[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\Z")


def make_operator(
    schema: Schema,
    *,
    kind: str,
    tags: Tag | Iterable[Tag] = (),
    default_tags: Iterable[Tag] = (),
    signature: str | None = None,
    inferred: bool = False,
    function: Callable[..., Any] | None = None,
    location: Location | None = None,
) -> Operator:
    """An operator that is checked but not visible yet; `location` is the caller's if it is None.

    Raises:
        SchemaError: the tags, or the gufunc signature, do not go with the schema.
    """
    try:
        all_tags = normalise_tags(tags, extra=default_tags)
        gufunc = None if signature is None else parse_signature(signature, schema)
    except SchemaError as error:
        raise SchemaError(f"{schema.qualname}: {error}") from None
    schema = apply_conventions(schema, all_tags, inferred=inferred)
    return Operator(
        schema,
        tags=all_tags,
        location=location or caller_location(),
        kind=kind,
        signature=gufunc,
        function=function,
    )


def kernel_devices(device_types: Any, where: str) -> list[str | None]:
    """The keys that a ``device_types`` argument means; None stands for the default kernel.

    Raises:
        DeviceError: an unknown device type.
        SchemaError: an empty list.
        UsageError: neither None, a string nor a sequence of strings.
    """
    if device_types is None or isinstance(device_types, str):
        return [_kernel_device(device_types, where)]
    if not isinstance(device_types, Iterable) or hasattr(device_types, "dtype"):
        raise UsageError(
            f"{where}: device types must be a string, a sequence of strings or None, "
            f"got {describe(device_types)}"
        )
    names = [_kernel_device(name, where) for name in device_types]
    if not names:
        raise SchemaError(f"{where}: device types must not be empty; None means every device")
    return list(dict.fromkeys(names))


def kernel_device(device_type: Any, where: str) -> str | None:
    """The key of one kernel, where there cannot be several.

    Raises:
        DeviceError: an unknown device type.
        UsageError: neither None nor a string.
    """
    if device_type is not None and not isinstance(device_type, str):
        raise UsageError(
            f"{where}: the device type must be one string or None, got {describe(device_type)}"
        )
    return _kernel_device(device_type, where)


def _kernel_device(name: Any, where: str) -> str | None:
    if name is None or (isinstance(name, str) and name == "default"):
        return None
    return check_device_type(name, where=where)


def keys_as_given(keys: list[str | None]) -> list[str]:
    """Kernel keys as a ``device_types`` argument."""
    return [key or "default" for key in keys]


def register_kernels(
    operator: Operator,
    device_types: Any,
    target: Callable[..., Any] | str,
    *,
    allow_override: bool = True,
) -> Registration:
    """Register one kernel for several device types, for all of them or none.

    Args:
        operator: the operator.
        device_types: a device type, several, or None (also ``"default"``) for the kernel that
            serves every device without one of its own.
        target: a callable, or ``"module:name"`` that is imported at the first call;
            ``".module:name"`` is relative to the package of the calling module.
        allow_override: replace what is registered already.

    Raises:
        UsageError: the kernel is required to be a callable and is not.
        RegistrationError: it does not take the operator's arguments; there is one already.
        SchemaError: a lazy string that is malformed; a factory without a ``device`` parameter.
        DeviceError: an unknown device type.
    """
    keys = kernel_devices(device_types, f"register_kernel({operator.qualname})")
    check_factory(operator.schema, keys, operator.qualname)
    location = caller_location()
    if isinstance(target, str):
        target = _absolute(target, operator, location)
    elif not callable(target):
        raise UsageError(
            f"a kernel of {operator.qualname} is required to be a callable (or a lazy "
            f"'module:name' string), got {describe(target)}"
        )
    else:
        check_kernel(operator, target, location_of(target) or location)

    def check(function: Callable[..., Any]) -> None:
        check_kernel(operator, function, location)

    kernels = [Kernel(target, key, operator.qualname, location, check) for key in keys]
    return registry.add_kernels(operator, kernels, allow_override=allow_override)


def _absolute(text: str, operator: Operator, location: Location) -> str:
    match = _LAZY.match(text)
    if match is None:
        raise SchemaError(
            f"the lazy kernel {text!r} of {operator.qualname} must look like 'package.module:name' "
            "or '.module:name'"
        )
    module, attribute = match.groups()
    if module.startswith("."):
        package = getattr(sys.modules.get(location.module), "__package__", None)
        if not package:
            raise SchemaError(
                f"the lazy kernel {text!r} of {operator.qualname} is relative, but "
                f"{location} is in no package: write the module's full name"
            )
        try:
            module = importlib.util.resolve_name(module, package)
        except ImportError as error:
            raise SchemaError(
                f"the lazy kernel {text!r} of {operator.qualname}: {error}"
            ) from error
    return f"{module}:{attribute}"


def check_kernel(operator: Operator, function: Callable[..., Any], location: Location) -> None:
    """Check that a kernel can take the operator's arguments.

    The names of positional parameters do not matter: kernels are called by position.

    Raises:
        RegistrationError: wrong arity, or a keyword-only argument it does not take by name.
    """
    if function is fallthrough_kernel:
        return
    try:
        signature = signature_of(function)
    except ValueError:
        # Compiled functions need not tell their signature; the first call will.
        return
    schema = operator.schema
    positional = [parameter.name for parameter in schema.positional]
    named = {parameter.name: None for parameter in schema.keyword_only}
    try:
        signature.bind(*positional, **named)
    except TypeError as error:
        how = f"{len(positional)} by position"
        if named:
            how += f" and {', '.join(named)} by name"
        name = getattr(function, "__name__", type(function).__name__)
        raise RegistrationError(
            f"kernel {name}{signature} at {location} cannot take the arguments of {schema}, "
            f"which are passed {how}: {error}"
        ) from None


def device_parameter(schema: Schema) -> str | None:
    """The name of the parameter that a factory is dispatched on, if there is one."""
    for parameter in schema.parameters:
        if parameter.name == "device" and parameter.type.base == "device":
            return None if parameter.type.is_list else parameter.name
    return None


def check_factory(schema: Schema, keys: list[str | None], name: str) -> None:
    """Refuse kernels per device for an operator that nothing could choose a device for.

    Raises:
        SchemaError: `schema` has neither array parameters nor a ``device`` parameter.
    """
    per_device = any(key is not None for key in keys)
    if per_device and not schema.array_parameters and device_parameter(schema) is None:
        raise SchemaError(
            f"{name} takes no arrays, so to have kernels for device types it is required to have "
            f"a `device: gpuops.Device` argument to dispatch on. Got {schema}"
        )


def register_fake(
    operator: Operator, function: Callable[..., Any], *, allow_override: bool = True
) -> Registration:
    """Register the kernel that computes an operator's output metadata only.

    Raises:
        UsageError: `function` is not callable.
        RegistrationError: it does not take the operator's arguments; there is one already.

    Warns:
        UserWarning: the operator is tagged ``inplace`` or ``out``, so it had a fake by itself.
    """
    if not callable(function):
        raise UsageError(
            f"the fake of {operator.qualname} is required to be a callable, got "
            f"{describe(function)}"
        )
    location = location_of(function) or caller_location()
    check_kernel(operator, function, location)
    handle = registry.add_rule(
        operator,
        FAKE,
        function,
        allow_override=allow_override,
        refusal="already has a fake impl",
    )
    for tag in (Tag.inplace, Tag.out):
        if tag in operator.tags:
            warnings.warn(
                f"{operator.qualname} has {tag!r} and therefore a fake kernel already; "
                f"the one at {location} overrides it",
                UserWarning,
                stacklevel=user_stacklevel(),
            )
    return handle


def added_or_decorator(add: Callable[[Any], Registration], function: Any) -> Any:
    """What a function that is a decorator too returns.

    Args:
        add: registers a function.
        function: what to register; without one, the decorator is returned, which registers what it
            decorates and leaves it as it is.
    """
    if function is not None:
        return add(function)

    def decorate(decorated: F) -> F:
        add(decorated)
        return decorated

    return decorate


def parse_nameless(schema_text: str, where: str) -> Schema:
    """Read a schema string where the operator's name is given separately.

    Raises:
        UsageError: `schema_text` is no string.
        SchemaError: it is malformed, or has a name.
    """
    try:
        parsed = parse_schema(schema_text)
    except SchemaError as error:
        raise SchemaError(f"{where}: {error}") from None
    if parsed.name:
        raise SchemaError(
            f"{where}: expected schema to look like '(Array x) -> Array', without a name, "
            f"got {schema_text!r}"
        )
    return parsed
