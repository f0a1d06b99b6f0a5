"""The parameter types of a C++ function, read from its mangled type.

Grammar: Itanium C++ ABI, chapter "Mangling", which CUDA's compilers use on every system. Only
what a *resolved* function type can hold is read: template parameters have been replaced by then.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CType", "function_parameters"]

_BUILTIN = {
    "v": "void",
    "w": "wchar_t",
    "b": "bool",
    "c": "char",
    "a": "signed char",
    "h": "unsigned char",
    "s": "short",
    "t": "unsigned short",
    "i": "int",
    "j": "unsigned int",
    "l": "long",
    "m": "unsigned long",
    "x": "long long",
    "y": "unsigned long long",
    "n": "__int128",
    "o": "unsigned __int128",
    "f": "float",
    "d": "double",
    "e": "long double",
    "z": "...",
}
_BUILTIN_D = {
    "Dh": "_Float16",
    "Du": "char8_t",
    "Ds": "char16_t",
    "Di": "char32_t",
    "Dn": "nullptr_t",
}
_STD = {"St": "std", "Sa": "std::allocator", "Sb": "std::basic_string", "Ss": "std::string"}


class MangledNameError(ValueError):
    """The text is no mangled type, or has a construct that is not read."""


@dataclass(frozen=True, slots=True)
class CType:
    """A C++ type.

    Attributes:
        name: as C++ spells it, without `const` and `volatile`: ``"float"``, ``"ns::Pair<int>"``;
            of a pointer with its pointee: ``"const float*"``.
        pointee: what a pointer or a reference points to; None for other types.
        const: whether it is qualified with `const`.
    """

    name: str
    pointee: CType | None = None
    const: bool = False

    def __str__(self) -> str:
        if not self.const:
            return self.name
        return f"{self.name} const" if self.pointee else f"const {self.name}"


def function_parameters(symbol: str) -> tuple[CType, ...] | None:
    """The parameters of a function whose type is the argument of an instantiated template.

    Args:
        symbol: of a function template with one type argument, such as ``"_Z5probeIPFvPKffEEvv"``,
            which is ``probe<void (*)(const float*, float)>()``.

    Returns:
        The types; None where the symbol holds something that this reader does not know.

    >>> [str(t) for t in function_parameters("_Z5probeIPFvPKfPfS1_fxEEvv")]
    ['const float*', 'float*', 'const float*', 'float', 'long long']
    """
    try:
        return _Reader(symbol).template_argument()
    except (MangledNameError, IndexError, KeyError):
        return None


class _Reader:
    """A recursive-descent parser; `known` holds what ``S_``, ``S0_``, ... stand for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.known: list[CType] = []

    def template_argument(self) -> tuple[CType, ...]:
        self.expect("_Z")
        self.remember(CType(self.identifier()))
        self.expect("I")
        self.expect("P")
        parameters = self.function()
        self.expect("E")
        return parameters

    # -- characters --------------------------------------------------------------------------------

    def next_is(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def take(self, text: str) -> bool:
        if self.next_is(text):
            self.at += len(text)
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.take(text):
            raise MangledNameError(f"expected {text!r} at {self.at} of {self.text!r}")

    def until(self, end: str) -> str:
        stop = self.text.find(end, self.at)
        if stop < 0:
            raise MangledNameError(self.text)
        found, self.at = self.text[self.at : stop], stop + len(end)
        return found

    def number(self) -> int:
        start = self.at
        while self.text[self.at : self.at + 1].isdigit():
            self.at += 1
        if start == self.at:
            raise MangledNameError(self.text)
        return int(self.text[start : self.at])

    def remember(self, found: CType) -> CType:
        self.known.append(found)
        return found

    # -- types -------------------------------------------------------------------------------------

    def function(self) -> tuple[CType, ...]:
        """``F <return type> <parameter types> E``."""
        self.take("Do")  # noexcept
        self.expect("F")
        self.take("Y")  # extern "C"
        self.type()
        parameters = []
        while not self.take("E"):
            parameters.append(self.type())
        if parameters and parameters[0].name == "void":
            parameters = parameters[1:]
        # The function type itself can be referred to.
        self.remember(CType(f"void ({', '.join(map(str, parameters))})"))
        return tuple(parameters)

    def type(self) -> CType:
        char = self.text[self.at]
        if char in "rVK":
            return self.qualified()
        if char in "POR":
            self.at += 1
            pointee = self.type()
            mark = {"P": "*", "R": "&", "O": "&&"}[char]
            return self.remember(CType(f"{pointee}{mark}", pointee))
        if char == "F" or self.next_is("DoF"):
            self.function()
            return self.known[-1]
        if char == "A":
            self.at += 1
            length = self.until("_")
            return self.remember(CType(f"{self.type()}[{length}]"))
        if char == "D" and (found := _BUILTIN_D.get(self.text[self.at : self.at + 2])):
            self.at += 2
            return CType(found)
        if char == "u":  # a vendor's own builtin
            self.at += 1
            return self.remember(CType(self.identifier()))
        if char == "S":
            return self.substitution()
        if char == "N" or char.isdigit():
            return self.named()
        if char in _BUILTIN:
            self.at += 1
            return CType(_BUILTIN[char])
        raise MangledNameError(f"{char!r} at {self.at} of {self.text!r}")

    def qualified(self) -> CType:
        """Qualifiers in their fixed order; all of them together are one component."""
        self.take("r")
        self.take("V")
        const = self.take("K")
        inner = self.type()
        return self.remember(CType(inner.name, inner.pointee, const or inner.const))

    def substitution(self) -> CType:
        two = self.text[self.at : self.at + 2]
        if two in _STD:
            self.at += 2
            found = CType(_STD[two])
            if two == "St":
                found = self.remember(CType(f"std::{self.identifier()}"))
        else:
            self.expect("S")
            found = self.known[self.sequence_number()]
        if self.next_is("I"):
            found = self.remember(CType(found.name + self.template_arguments()))
        return found

    def sequence_number(self) -> int:
        """``_`` is 0, ``0_`` is 1, ..., in base 36."""
        digits = self.until("_")
        return int(digits, 36) + 1 if digits else 0

    def named(self) -> CType:
        if not self.take("N"):
            found = self.remember(CType(self.identifier()))
            if self.next_is("I"):
                found = self.remember(CType(found.name + self.template_arguments()))
            return found
        found = CType("")
        while not self.take("E"):
            if self.next_is("I"):
                found = CType(found.name + self.template_arguments())
            elif self.next_is("S"):
                two = self.text[self.at : self.at + 2]
                if two in _STD:
                    self.at += 2
                    found = CType(_STD[two])
                else:
                    self.expect("S")
                    found = self.known[self.sequence_number()]
                continue  # what is referred to is no new component
            else:
                found = CType(f"{found.name}::{self.identifier()}".removeprefix("::"))
            self.remember(found)
        return found

    def identifier(self) -> str:
        length = self.number()
        name = self.text[self.at : self.at + length]
        if len(name) != length:
            raise MangledNameError(self.text)
        self.at += length
        return "(anonymous namespace)" if name.startswith("_GLOBAL__N") else name

    def template_arguments(self) -> str:
        self.expect("I")
        arguments = []
        while not self.take("E"):
            if self.take("L"):
                type_ = self.type()
                value = self.until("E").replace("n", "-", 1)
                arguments.append(
                    {"0": "false", "1": "true"}[value] if type_.name == "bool" else value
                )
            elif self.take("J"):
                while not self.take("E"):
                    arguments.append(str(self.type()))
            else:
                arguments.append(str(self.type()))
        return f"<{', '.join(arguments)}>"
