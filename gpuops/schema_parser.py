"""Schema strings -> `Schema`.

The grammar, in the order the functions below read it::

    schema   = [name] "(" [parameter {"," parameter}] ")" "->" returns
    name     = identifier ["::" identifier] ["." identifier]
    parameter= "*" | type identifier ["=" literal]
    returns  = type | "(" [type [identifier] {"," type [identifier]}] ")"
    type     = base [alias] ["?"] ["[" [integer] "]" ["?"]]
    alias    = "(" identifier {"|" identifier} ["!"] ")"
    literal  = number | string | "True" | "False" | "None" | identifier | "[" {literal} "]"
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NoReturn

import numpy as np

from gpuops import opaque
from gpuops.errors import SchemaError, UsageError, closest
from gpuops.schema import BASE_TYPES, MISSING, Alias, Parameter, Return, Schema, Type

__all__ = ["is_functional", "parse_schema"]

_NUMBERS = ("inf", "nan", "infj", "nanj")
_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?j?)
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<symbol>->|::|[()\[\],.*?!|=+-])
    """,
    re.VERBOSE,
)

# What a backslash in a string literal can begin; the rest of Python's escapes is refused.
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"} | {c: c for c in "\\\"'/"}

# Spellings that other libraries' schemas use, and what they are called here.
_SYNONYMS = {"ScalarType": "dtype", "Device": "device", "Layout": "order", "MemoryFormat": "order"}
_ADVICE = {
    "Tensor": "Use `Array`",
    "ndarray": "Use `Array`",
    "array": "Use `Array`",
    "int64_t": "Use `SymInt` or `int`",
    "int32_t": "Use `SymInt` or `int`",
    "int64": "Use `SymInt` or `int`",
    "double": "Use `float`",
    "float64": "Use `float`",
    "string": "Use `str`",
    "PyObject": "Register the class with `register_opaque_type` and use its name",
}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


@dataclass(frozen=True, slots=True)
class _Word:
    """A bare identifier as a default, such as a dtype's name; its type says what it means."""

    text: str


def parse_schema(text: str) -> Schema:
    """Read a schema string.

    Args:
        text: for instance ``"my::scale(Array x, *, float s=2.0) -> Array"``; the name may be
            left out, and may lack the namespace.

    Raises:
        UsageError: `text` is no string.
        SchemaError: a syntax error (with a caret at its position), an unknown type, a default
            that does not fit.

    >>> str(parse_schema("(Array(a!) x, int[2] size=1, str mode=\\"fast\\") -> ()"))
    '(Array(a!) x, int[2] size=[1, 1], str mode="fast") -> ()'
    >>> parse_schema("(Array x, Arry y) -> Array")
    Traceback (most recent call last):
    ...
    gpuops.errors.SchemaError: unknown type specifier 'Arry'. Did you mean 'Array'?
        (Array x, Arry y) -> Array
                  ^
    """
    if not isinstance(text, str):
        raise UsageError(f"a schema must be a string, got {type(text).__name__}")
    return _Parser(text).schema()


def is_functional(schema: str | Schema) -> bool:
    """Whether an operator of this schema writes to nothing, aliases nothing and returns something.

    >>> is_functional("f(Array x) -> Array"), is_functional("f(Array(a!) x) -> ()")
    (True, False)
    """
    return (schema if isinstance(schema, Schema) else parse_schema(schema)).is_functional


def _tokens(text: str) -> list[_Token]:
    found = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            _fail(text, position, f"unexpected character {text[position]!r}")
        kind = match.lastgroup or ""
        if kind != "space":
            found.append(_Token(kind, match.group(), position))
        position = match.end()
    found.append(_Token("end", "", len(text)))
    return found


def _fail(text: str, position: int, message: str) -> NoReturn:
    # A caret only lines up under one line: show the one that holds the position.
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : len(text) if end < 0 else end].replace("\t", " ")
    raise SchemaError(f"{message}\n    {line}\n    {' ' * (position - start)}^")


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.index = 0
        self.names: list[_Token] = []  # of the parameters

    # -- reading tokens ----------------------------------------------------------------------------

    @property
    def token(self) -> _Token:
        return self.tokens[self.index]

    def fail(self, message: str, token: _Token | None = None) -> NoReturn:
        _fail(self.text, (token or self.token).position, message)

    def at(self, text: str) -> bool:
        token = self.token
        return token.kind == "symbol" and token.text == text

    def take(self, text: str) -> bool:
        if self.at(text):
            self.index += 1
            return True
        return False

    def expect(self, text: str, why: str) -> None:
        if not self.take(text):
            got = self.token.text or "the end of the schema"
            self.fail(f"expected {text!r} {why}, got {got!r}")

    def word(self, what: str) -> str:
        token = self.token
        if token.kind != "word":
            self.fail(f"expected {what}, got {token.text or 'the end of the schema'!r}")
        self.index += 1
        return token.text

    def listed(self, close: str, item: Callable[[], None], what: str) -> None:
        """Comma-separated items up to `close`, which is consumed."""
        if self.take(close):
            return
        while True:
            item()
            if self.take(close):
                return
            self.expect(",", f"or {close!r} after {what}")

    # -- the grammar -------------------------------------------------------------------------------

    def schema(self) -> Schema:
        name, overload = self.name()
        parameters = self.parameters()
        self.expect("->", "after the parameters")
        returns, returns_tuple = self.returns()
        if self.token.kind != "end":
            self.fail(f"unexpected {self.token.text!r} after the end of the schema")
        try:
            return Schema(name, overload, parameters, returns, returns_tuple)
        except SchemaError as error:
            if error.parameter is not None:
                self.fail(str(error), self.names[error.parameter])
            raise SchemaError(f"{error}\n    {self.text}") from None

    def name(self) -> tuple[str, str]:
        if self.token.kind != "word":
            if not self.at("("):
                self.fail("expected an operator name or '('")
            return "", ""
        name = self.word("an operator name")
        if self.take("::"):
            name = f"{name}::{self.word('a name after the namespace')}"
        overload = self.word("an overload name") if self.take(".") else ""
        return name, "" if overload == "default" else overload

    def parameters(self) -> tuple[Parameter, ...]:
        self.expect("(", "before the parameters")
        found: list[Parameter] = []
        stars: list[_Token] = []

        def parameter() -> None:
            star = self.token
            if self.take("*"):
                if stars:
                    self.fail("a second '*': keyword-only parameters start once", star)
                stars.append(star)
                return
            type_, alias = self.type()
            self.names.append(self.token)
            name = self.word(f"a name for the parameter of type {type_}")
            default: Any = MISSING
            if self.take("="):
                default = self.default(type_)
            found.append(Parameter(name, type_, bool(stars), default, alias))

        self.listed(")", parameter, "a parameter")
        if stars and not any(parameter.kwarg_only for parameter in found):
            self.fail("'*' must be followed by keyword-only parameters", stars[0])
        return tuple(found)

    def returns(self) -> tuple[tuple[Return, ...], bool]:
        found: list[Return] = []

        def one() -> None:
            type_, alias = self.type()
            name = self.word("a return name") if self.token.kind == "word" else ""
            found.append(Return(type_, name, alias))

        if self.take("("):
            self.listed(")", one, "a return type")
            return tuple(found), True
        one()
        return tuple(found), False

    def type(self) -> tuple[Type, Alias | None]:
        base = self.base_type()
        alias = self.alias()
        optional = self.take("?")
        if not self.at("["):
            return Type(base, optional=optional), alias
        self.take("[")
        size = self.size() if self.token.kind == "number" else None
        self.expect("]", "after a list type's length" if size is not None else "to close '['")
        list_optional = self.take("?")
        if self.at("["):
            self.fail("lists of lists are not supported")
        return Type(base, optional, True, size, list_optional), alias

    def size(self) -> int:
        token = self.token
        if not token.text.isdigit():
            self.fail(f"a list's length must be a whole number, got {token.text!r}")
        if len(token.text) > 9:
            self.fail("a list's length must have 9 digits or fewer")
        self.index += 1
        return int(token.text)

    def base_type(self) -> str:
        token = self.token
        base = self.word("a type")
        while self.at("."):
            self.index += 1
            base = f"{base}.{self.word('the rest of a type name')}"
        base = _SYNONYMS.get(base, base)
        if base in BASE_TYPES or opaque.is_opaque_type(base):
            return base
        advice = f". {_ADVICE[base]}" if base in _ADVICE else closest(base, BASE_TYPES)
        self.fail(f"unknown type specifier {base!r}{advice}", token)

    def alias(self) -> Alias | None:
        if not self.take("("):
            return None
        names = [self.word("the name of an alias set")]
        while self.take("|"):
            names.append(self.word("the name of an alias set"))
        is_write = self.take("!")
        self.expect(")", "after an alias annotation")
        return Alias(tuple(names), is_write)

    # -- defaults ----------------------------------------------------------------------------------

    def default(self, type_: Type) -> Any:
        token = self.token
        value = self.literal(_members(type_))
        try:
            return _meaning(value, type_)
        except (TypeError, ValueError) as error:
            self.fail(f"bad default for {type_}: {error}", token)

    def literal(self, members: Mapping[str, Enum]) -> Any:
        """One literal; `members` are those of the enumeration that is expected."""
        token = self.token
        if self.take("["):
            items: list[Any] = []
            self.listed("]", lambda: items.append(self.literal(members)), "a list item")
            return items
        if self.at("("):
            return self.complex_number()
        if token.kind == "string":
            self.index += 1
            return self.string(token)
        if token.kind == "word" and (token.text in members or token.text not in _NUMBERS):
            text = self.word("a default")
            constants = {"None": None, "True": True, "False": False}
            return constants[text] if text in constants else _Word(text)
        return self.number()

    def string(self, token: _Token) -> str:
        def unescape(match: re.Match[str]) -> str:
            four, two, single = match.groups()
            if single is None:
                return chr(int(four or two, 16))
            if single not in _ESCAPED:
                position = token.position + 1 + match.start()
                _fail(self.text, position, f"unknown escape sequence {match.group()!r}")
            return _ESCAPED[single]

        return _ESCAPE.sub(unescape, token.text[1:-1])

    def complex_number(self) -> complex:
        """A complex number as Python prints it, ``(1+2j)``; the signs of zeros are kept."""
        start = self.token
        while not self.take(")"):
            if self.token.kind == "end":
                self.fail("expected ')' after a complex number")
            self.index += 1
        end = self.tokens[self.index - 1].position
        try:
            return complex(self.text[start.position + 1 : end])
        except ValueError:
            self.fail("expected a complex number such as (1+2j)", start)

    def number(self) -> Any:
        sign = -1 if self.take("-") else 1
        if sign == 1:
            self.take("+")
        token = self.token
        if token.kind == "word" and token.text in _NUMBERS:
            self.index += 1
            number: Any = math.inf if token.text.startswith("inf") else math.nan
            if token.text.endswith("j"):
                return complex(0.0, sign * number)
            return number if sign == 1 else -number
        if token.kind != "number":
            self.fail(f"expected a default, got {token.text or 'the end of the schema'!r}")
        self.index += 1
        try:
            number = ast.literal_eval(token.text)
        except (SyntaxError, ValueError):
            self.fail(f"{token.text[:20]!r} is not a number", token)
        if isinstance(number, complex):
            # Multiplying would change the sign of the real part's zero too.
            return complex(0.0, sign * number.imag)
        return sign * number


def _members(type_: Type) -> Mapping[str, Enum]:
    """The members of the enumeration that a type names; none if it names none."""
    found = opaque.opaque_class(type_.base) if type_.is_opaque else None
    return found.__members__ if found is not None and issubclass(found, Enum) else {}


def _meaning(value: Any, type_: Type) -> Any:
    """What a literal says, given the type of its parameter."""
    if isinstance(value, list):
        return [_meaning(item, type_) for item in value]
    if type_.base == "dtype" and isinstance(value, (_Word, str)):
        return np.dtype(value.text if isinstance(value, _Word) else value)
    if not isinstance(value, _Word):
        return value
    members = _members(type_)
    if members:
        if value.text in members:
            return members[value.text]
        raise ValueError(f"{type_} has no member {value.text!r}{closest(value.text, members)}")
    if type_.base in ("str", "device", "order"):
        raise ValueError(f'write a string in quotes: "{value.text}"')
    raise ValueError(f"{value.text!r} is not a {type_}")
