"""Defaults of parameters: checked against their type when they are declared, and printed."""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import Any, Final, final

import numpy as np

from gpuops import opaque
from gpuops.devices import Device
from gpuops.errors import DeviceError, SchemaError, describe
from gpuops.schema_types import ORDERS, Type

__all__ = ["MISSING", "check_default", "render_default"]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SURROGATE = re.compile("[\ud800-\udfff]")


@final
class _Missing:
    """The type of `MISSING`; a class of its own so that its repr is readable."""

    def __repr__(self) -> str:
        return "MISSING"

    def __copy__(self) -> _Missing:
        return self

    def __deepcopy__(self, memo: object) -> _Missing:
        return self

    def __reduce__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""The default of a parameter that has none (None is a default like any other)."""


def check_default(type_: Type, value: Any, name: str) -> Any:
    """The default of parameter `name`, converted to what a kernel would receive.

    NumPy scalars become Python numbers, an int for a float becomes a float, a list is copied.

    Raises:
        SchemaError: the default does not fit the declared type.

    >>> check_default(Type("float"), 1, "eps")
    1.0
    >>> check_default(Type("int"), "x", "n")
    Traceback (most recent call last):
    ...
    gpuops.errors.SchemaError: parameter 'n' has default str 'x', which is no int
    """
    if value is None:
        if type_.optional:
            return None
        raise SchemaError(
            f"parameter {name!r} has default None, which is no {type_}: declare it optional"
        )
    if type_.is_list:
        if isinstance(value, (list, tuple)):
            if type_.size is not None and len(value) != type_.size:
                raise SchemaError(
                    f"parameter {name!r} has a default of length {len(value)}, "
                    f"but {type_} has length {type_.size}"
                )
            return [_check_item(type_.item, item, name) for item in value]
        if type_.size is not None and type_.is_number:
            return [_check_item(type_.item, value, name)] * type_.size
    return _check_item(type_, value, name)


def _check_item(type_: Type, value: Any, name: str) -> Any:
    if value is None and type_.optional:
        return None
    if isinstance(value, np.generic):
        # What `numpy.longdouble` gives for .item() is no Python number.
        value = float(value) if isinstance(value, np.longdouble) else value.item()
    try:
        converted = MISSING if type_.is_list else _convert_default(type_.base, value)
    except OverflowError:
        raise SchemaError(
            f"parameter {name!r} has a default that is too large for a {type_.base}"
        ) from None
    if converted is MISSING:
        raise SchemaError(f"parameter {name!r} has default {describe(value)}, which is no {type_}")
    if not _has_spelling(converted):
        raise SchemaError(
            f"parameter {name!r} has default {value!r}, which a schema string cannot spell"
        )
    return converted


def _convert_default(base: str, value: Any) -> Any:
    cls = type(value)
    if base in ("int", "SymInt"):
        return int(value) if cls in (int, bool) else MISSING
    if base == "float":
        return _canonical_nan(float(value)) if cls in (float, int, bool) else MISSING
    if base == "complex":
        return _canonical_nan(complex(value)) if cls in (complex, float, int, bool) else MISSING
    if base == "bool":
        return value if cls is bool else MISSING
    if base == "Scalar":
        return _canonical_nan(value) if cls in (int, bool, float, complex) else MISSING
    if base == "str":
        return str(value) if isinstance(value, str) else MISSING
    if base == "order":
        return str(value) if isinstance(value, str) and value in ORDERS else MISSING
    if base == "dtype":
        if isinstance(value, np.dtype):
            return value
        return _dtype_default(value)
    if base == "device":
        return _device_default(value)
    cls_of_base = opaque.opaque_class(base)
    return value if cls_of_base is not None and isinstance(value, cls_of_base) else MISSING


def _dtype_default(value: Any) -> Any:
    if isinstance(value, type) and issubclass(value, np.generic):
        try:
            return np.dtype(value)
        except TypeError:  # an abstract class of NumPy's, such as `numpy.number`
            return MISSING
    return MISSING


def _device_default(value: Any) -> Any:
    if isinstance(value, (Device, str)):
        try:
            return Device(value)
        except DeviceError as error:
            raise SchemaError(str(error)) from error
    return MISSING


_nans: dict[str, Any] = {}


def _canonical_nan(value: Any) -> Any:
    # One object for each NaN: tuples compare by identity first, so equal schemas stay equal.
    return value if value == value else _nans.setdefault(repr(value), value)


def _has_spelling(value: Any) -> bool:
    """Whether a default that is printed can be read again.

    Not so for combined flags, which are no member of their enumeration, and for dtypes with fields
    or parameters. Objects of opaque classes are printed for people only.
    """
    if isinstance(value, Enum):
        return value.name in type(value).__members__
    return not isinstance(value, np.dtype) or _dtype_spelling(value) is not None


def _dtype_spelling(dtype: np.dtype[Any]) -> str | None:
    """What `numpy.dtype` reads as `dtype`: a plain word if there is one; None if there is none."""
    for text in (str(dtype), dtype.str):
        try:
            if np.dtype(text) == dtype:
                return text
        except (TypeError, ValueError, SyntaxError):
            continue
    return None


def _quoted(text: str) -> str:
    # JSON's escapes are among those that the parser reads. Half a surrogate pair is written as an
    # escape, since no stream could encode it.
    return _SURROGATE.sub(lambda m: f"\\u{ord(m[0]):04x}", json.dumps(text, ensure_ascii=False))


def render_default(value: Any) -> str:
    """A default as schema strings spell it.

    >>> [render_default(v) for v in (None, 3.14, "a\\"b", np.dtype("float32"), Device("cpu:0"))]
    ['None', '3.14', '"a\\\\"b"', 'float32', '"cpu:0"']
    """
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, (bool, int, float, complex)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(render_default(item) for item in value)}]"
    if isinstance(value, np.dtype):
        text = _dtype_spelling(value) or str(value)
        return text if _IDENTIFIER.match(text) else _quoted(text)
    if isinstance(value, (Device, str)):
        return _quoted(str(value))
    return f"<{type(value).__name__}>"
