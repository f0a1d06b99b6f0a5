"""The forms of call that are timed, and the functions and loops that belong to each.

The functions are generated, so that every peer is called as a user would write the call: by
position and by name, and never through ``f(*args)``, which costs time of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Literal

__all__ = ["BAR_FORM", "FORMS", "SCALAR", "Form"]

# What the scalar argument is in every call.
SCALAR = 2.0


@dataclass(frozen=True, slots=True)
class Form:
    """A call with `arrays` arrays and perhaps a float, given by position or by name.

    >>> str(Form(2, "name"))
    '2 arrays, 1 float by name'
    """

    arrays: int
    scalar: Literal["none", "position", "name"] = "none"

    def __str__(self) -> str:
        arrays = f"{self.arrays} array{'s' if self.arrays > 1 else ''}"
        scalar = {"none": "", "position": ", 1 float", "name": ", 1 float by name"}
        return arrays + scalar[self.scalar]

    @property
    def array_names(self) -> list[str]:
        """The names of the array parameters."""
        return [f"a{index}" for index in range(self.arrays)]

    @property
    def parameters(self) -> list[str]:
        """The names of all parameters; the scalar is the last."""
        return self.array_names if self.scalar == "none" else [*self.array_names, "s"]

    @property
    def arguments(self) -> str:
        """The arguments as they are written in a call.

        >>> Form(2, "name").arguments
        'a0, a1, s=s'
        """
        by_name = self.scalar == "name"
        return ", ".join(f"{p}={p}" if by_name and p == "s" else p for p in self.parameters)

    @property
    def positional(self) -> int:
        """How many arguments are given by position."""
        return self.arrays + (self.scalar == "position")

    def schema(self, array: str) -> str:
        """A schema without a name, with `array` for the type of an array.

        >>> Form(1, "position").schema("Tensor")
        '(Tensor a0, float s) -> Tensor'
        """
        declared = [f"{array} {name}" for name in self.array_names]
        if self.scalar != "none":
            declared.append("float s")
        return f"({', '.join(declared)}) -> {array}"

    def function(self, body: str, **names: Any) -> Callable[..., Any]:
        """A function with the form's parameters.

        Args:
            body: its statements, on one line.
            names: the globals that `body` uses.
        """
        return _define(f"def f({', '.join(self.parameters)}): {body}", names)

    def kernel(self, result: Any) -> Callable[..., Any]:
        """A kernel that does nothing: it returns `result`, which was made beforehand."""
        return self.function("return result", result=result)

    def loop(self) -> Callable[..., None]:
        """``loop(f, calls, *arrays, s)``, which calls `f` that often.

        Each has code of its own: the interpreter specialises a call for the function it meets
        there, which a loop that was used for another function would hinder.
        """
        return _define(
            f"def f(f, calls, {', '.join(self.array_names)}, s):\n"
            f"    for _ in repeat(None, calls): f({self.arguments})",
            {"repeat": repeat},
        )


def _define(source: str, names: dict[str, Any]) -> Callable[..., Any]:
    namespace = dict(names)
    exec(compile(source, "<bench>", "exec"), namespace)
    function: Callable[..., Any] = namespace.pop("f")
    return function


FORMS = [Form(arrays, scalar) for arrays in (1, 2, 10) for scalar in ("none", "position", "name")]

# The form that the bars are set for.
BAR_FORM = Form(2, "position")
