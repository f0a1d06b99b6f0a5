"""The names of a kernel's parameters, which no compiled form of it has, from its source."""

from __future__ import annotations

import re

__all__ = ["parameter_names"]

_NOISE = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"", re.DOTALL)


def parameter_names(source: str, kernel: str) -> tuple[str, ...]:
    """The names of a kernel's parameters, for messages; empty where they cannot be told.

    Args:
        source: CUDA C++.
        kernel: its name, or a name expression.

    >>> parameter_names('__global__ void f(const float* x, int (*p)[3], float a = g(1, 2))', "f")
    ('x', 'p', 'a')
    """
    base = re.escape(kernel.partition("<")[0].rpartition(":")[2].strip())
    text = _NOISE.sub(lambda found: '""' if found[0][0] == '"' else " ", source)
    for found in re.finditer(rf"__global__[^;{{}}]*?\b{base}\s*\(", text):
        parts = _split(text[found.end() :])
        if parts is not None:
            names = tuple(_declared_name(part) for part in parts)
            return names if all(names) else ()
    return ()


def _split(text: str) -> list[str] | None:
    """The parts between commas up to the parenthesis that closes; None if none does."""
    depth, start = 0, 0
    parts: list[str] = []
    for at, char in enumerate(text):
        if char in "(<[{":
            depth += 1
        elif char == ")" and depth == 0:
            last = text[start:at].strip()
            return [*parts, last] if last not in ("", "void") else parts
        elif char in ")>]}":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    return None


# What an unnamed parameter ends with.
_TYPE_WORDS = {"bool", "char", "const", "double", "float", "int", "long", "short", "unsigned"}


def _declared_name(declaration: str) -> str:
    text = declaration.partition("=")[0]
    if found := re.search(r"\(\s*[*&]\s*(\w+)", text):  # pointer to an array or a function
        return found[1]
    found = re.search(r"(?:[\s*&>]|\.\.\.)(\w+)\s*(?:\[[^]]*\]\s*)*$", text)
    return found[1] if found and found[1] not in _TYPE_WORDS else ""
