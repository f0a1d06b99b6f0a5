"""What the simulator says of a defect: the error class and the words of its messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpuops.cuda.sim.ptx import Instruction, Module, Place
from gpuops.errors import GpuopsError

__all__ = ["SimulationError", "Source"]

_WORDS = {
    "OUT-OF-BOUNDS": "out of bounds",
    "MISALIGNED": "misaligned",
    "UNINITIALISED": "uninitialised",
    "RACE": "race",
    "BARRIER-DIVERGENCE": "barrier divergence",
    "NO-PROGRESS": "no progress",
    "UNSUPPORTED": "unsupported instruction",
}


class SimulationError(GpuopsError, RuntimeError):
    """A kernel did something undefined, or something that the simulator cannot do.

    Attributes:
        kind: ``"OUT-OF-BOUNDS"``, ``"MISALIGNED"``, ``"UNINITIALISED"``, ``"RACE"``,
            ``"BARRIER-DIVERGENCE"``, ``"WARP-MASK"``, ``"NO-PROGRESS"``, ``"READ-ONLY"``,
            ``"TRAP"``, ``"ASSERT"``, ``"LAUNCH"`` or ``"UNSUPPORTED"``.
        kernel: its name.
        file: of the source line at fault; None if it is not known.
        line: from 1; None if it is not known.
        block: its index along x, y and z; None if no single thread is at fault.
        thread: its index in the block; None if no single thread is at fault.
    """

    def __init__(
        self,
        message: str,
        kind: str,
        kernel: str,
        file: str | None = None,
        line: int | None = None,
        block: tuple[int, int, int] | None = None,
        thread: tuple[int, int, int] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.kernel = kernel
        self.file = file
        self.line = line
        self.block = block
        self.thread = thread

    def __reduce__(self) -> tuple[Any, ...]:
        place = (self.file, self.line, self.block, self.thread)
        return SimulationError, (str(self), self.kind, self.kernel, *place)


@dataclass(frozen=True, slots=True)
class Source:
    """The CUDA C++ behind a kernel's PTX.

    Attributes:
        kernel: its name, as its author gave it.
        filename: what messages call the source.
        text: of the source; empty if there is none.
        module: its PTX.
    """

    kernel: str
    filename: str
    text: str
    module: Module

    def file(self, number: int) -> str:
        """The name of a file of the line information.

        NVRTC puts the current folder in front of names that are not absolute.
        """
        path = self.module.files.get(number, self.filename)
        own = Path(self.filename).as_posix()
        return self.filename if path == own or path.endswith(f"/{own}") else path

    def locate(self, place: Place | None) -> tuple[str | None, int | None]:
        """(file, line) to name: the innermost in the author's own file, or the innermost of all."""
        own = self._own(place)
        return (None, None) if own is None else (self.file(own.file), own.line)

    def _own(self, place: Place | None) -> Place | None:
        at = place
        while at is not None and self.file(at.file) != self.filename:
            at = at.caller
        return at or place

    def describe(self, x: Instruction) -> str:
        """``file.cu:12`` and the line's text, or the instruction where no line is known.

        The author's own innermost line comes first, then where it was inlined at and what of a
        header was inlined into it.
        """
        own = self._own(x.place)
        if own is None or x.place is None:
            return f"PTX `{x}`"
        text = self._line(own)
        if own is not x.place:
            text += f"\n    in {self._line(x.place)}, inlined at {self._short(own)}"
        caller = own.caller
        while caller is not None:
            text += f"\n    inlined at {self._line(caller)}"
            caller = caller.caller
        return text

    def _short(self, place: Place) -> str:
        return f"{self.file(place.file)}:{place.line}"

    def _line(self, place: Place) -> str:
        file, line = self.file(place.file), place.line
        lines = self.text.splitlines() if file == self.filename else []
        text = lines[line - 1].strip() if 0 < line <= len(lines) else ""
        return f"{file}:{line}" + (f": {text}" if text else "")

    def error(
        self,
        kind: str,
        problem: str,
        x: Instruction | None = None,
        position: tuple[tuple[int, int, int], tuple[int, int, int]] | None = None,
        also: Sequence[str] = (),
    ) -> SimulationError:
        """The error of one kind.

        Args:
            kind: as `SimulationError.kind`.
            problem: what happened; the kind's plain words are added if it does not have them.
            x: the instruction at fault.
            position: (thread, block) at fault.
            also: further lines of the message.
        """
        words = _WORDS.get(kind, "")
        if words and words not in problem:
            problem = f"{words}: {problem}"
        message = f"{kind} in kernel {self.kernel!r}: {problem}"
        thread, block = position or (None, None)
        if position is not None:
            message += f"; thread {_triple(thread)} of block {_triple(block)}"
        file = line = None
        if x is not None:
            message += f"\n  at {self.describe(x)}"
            file, line = self.locate(x.place)
        message += "".join(f"\n  {text}" for text in also)
        return SimulationError(message, kind, self.kernel, file, line, block, thread)


def _triple(index: tuple[int, int, int] | None) -> str:
    return "({}, {}, {})".format(*(index or (0, 0, 0)))
