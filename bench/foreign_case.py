"""A kernel nobody here wrote: where it stands, how to launch it, what it has to compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.cuda_corpus.corpus import Launch


@dataclass(frozen=True)
class Case:
    """One kernel of a repository.

    Attributes:
        file: of the kernel, in the repository.
        name: its C++ name expression.
        build: makes its launch, with the right values.
        without: preprocessor lines of the file to leave out.
        first: lines to put before the file's.
        flaw: (kind, reason) if the kernel has a defect that a checker has to report.
    """

    file: str
    name: str
    build: Callable[[], Launch]
    without: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    flaw: tuple[str, str] | None = None


class Cases(list[Case]):
    """Cases of one file: a function that builds a launch is registered with `add`."""

    def __init__(self, file: str, **facts: Any) -> None:
        super().__init__()
        self.file = file
        self.facts = facts

    def add(
        self, *names: str, flaw: tuple[str, str] | None = None
    ) -> Callable[[Callable[[], Launch]], Callable[[], Launch]]:
        """Decorator: these kernels are launched alike."""

        def register(build: Callable[[], Launch]) -> Callable[[], Launch]:
            self.extend(Case(self.file, name, build, flaw=flaw, **self.facts) for name in names)
            return build

        return register


def bfloat16(x: np.ndarray) -> np.ndarray:
    """float32 rounded to bfloat16, as uint16 bits."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def float32(bits: np.ndarray) -> np.ndarray:
    """bfloat16 bits as float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def softmax(x: np.ndarray) -> np.ndarray:
    """Along the last axis."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def causal(x: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Softmax of ``scale * x`` along the last axis over what is not after the row's position."""
    allowed = np.tril(np.ones(x.shape[-2:], bool))
    return softmax(np.where(allowed, scale * x, -np.inf))
