"""Compare the CUDA simulator with the host's C compiler on random programs, bit by bit.

    python -m bench.fuzz_simulator [--count 200] [--first 0] [--keep FOLDER]

A program is a dozen statements on integers of all widths, floats and doubles: arithmetic, shifts,
divisions, conversions, branches, loops, switches, without undefined behaviour. NVRTC compiles it
for the simulator (without contraction to fused operations), `cc` for the host; both run it on the
same inputs in 96 threads. Needs a C compiler; programs that differ are kept in FOLDER.
"""

from __future__ import annotations

import argparse
import ctypes
import random
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gpuops import cuda
from gpuops.errors import GpuopsError

THREADS = 96


@dataclass(frozen=True)
class Kind:
    """A C type: its name, NumPy's, the unsigned type that it is computed in, and its bits."""

    name: str
    dtype: str
    unsigned: str
    bits: int

    @property
    def is_float(self) -> bool:
        return self.dtype.startswith("f")

    @property
    def suffix(self) -> str:
        return "f" if self.name == "float" else ""


INT, UINT = Kind("int", "i4", "unsigned", 32), Kind("unsigned", "u4", "unsigned", 32)
LONG = Kind("long long", "i8", "unsigned long long", 64)
ULONG = Kind("unsigned long long", "u8", "unsigned long long", 64)
SMALL = [
    Kind("signed char", "i1", "unsigned", 8),
    Kind("unsigned char", "u1", "unsigned", 8),
    Kind("short", "i2", "unsigned", 16),
    Kind("unsigned short", "u2", "unsigned", 16),
]
FLOAT, DOUBLE = Kind("float", "f4", "", 32), Kind("double", "f8", "", 64)
INPUTS = [INT, UINT, LONG, ULONG, FLOAT, DOUBLE]
INTEGERS = [INT, UINT, LONG, ULONG, *SMALL]
# As often as real kernels use them.
ANY = [INT, INT, INT, UINT, UINT, LONG, ULONG, *SMALL, FLOAT, FLOAT, DOUBLE]

CONSTANTS = [0, 1, 2, 3, 5, 7, 10, 31, 32, 63, 100, 127, 128, 255, 1000, 65535, 2**31 - 1, -1, -3]
DIVISORS = [2, 3, 5, 7, 10, 16, 100, 127]
REALS = [0.5, -1.25, 3.0, 1000.0, -7.5, 0.1, 0.001]

PRELUDE = """
#ifdef __CUDACC_RTC__
#define FUNCTION __device__ inline
FUNCTION int leading_zeros(unsigned x) { return __clz(x); }
FUNCTION int count_ones(unsigned long long x) { return __popcll(x); }
#else
#include <math.h>
#define FUNCTION static inline
FUNCTION int leading_zeros(unsigned x) { return x ? __builtin_clz(x) : 32; }
FUNCTION int count_ones(unsigned long long x) { return __builtin_popcountll(x); }
#endif
// Conversions beyond an integer's range are undefined in C, and so is what divides by zero.
FUNCTION long long to_integer(double x) {
    return (long long)(x > 1e9 ? 1e9 : x < -1e9 ? -1e9 : x == x ? x : 0.0);
}
#define DIVISOR(TYPE, x) ((x) == 0 || (x) == (TYPE)-1 ? (TYPE)3 : (x))
"""


@dataclass
class Program:
    """A random program; `variables` are those that an expression may use."""

    dice: random.Random
    variables: list[tuple[str, Kind]] = field(default_factory=list)

    def leaf(self, kind: Kind) -> str:
        same = [name for name, of in self.variables if of == kind]
        roll = self.dice.random()
        if same and roll < 0.75:
            return self.dice.choice(same)
        if self.variables and roll < 0.87:
            return self.convert(*self.dice.choice(self.variables), kind)
        if kind.is_float:
            return f"{self.dice.choice(REALS)}{kind.suffix}"
        return f"(({kind.name}){self.dice.choice(CONSTANTS)}LL)"

    def convert(self, text: str, kind: Kind, to: Kind) -> str:
        if kind.is_float and not to.is_float:
            return f"(({to.name})to_integer((double){text}))"
        return text if kind == to else f"(({to.name}){text})"

    def expression(self, kind: Kind, depth: int) -> str:
        if depth == 0:
            return self.leaf(kind)
        roll = self.dice.random()
        if roll < 0.12:
            other = self.dice.choice(ANY)
            return self.convert(self.expression(other, depth - 1), other, kind)
        if roll < 0.2:
            chosen, left = self.condition(depth - 1), self.expression(kind, depth - 1)
            return f"({chosen} ? {left} : {self.expression(kind, depth - 1)})"
        return self.real(kind, depth - 1) if kind.is_float else self.integer(kind, depth - 1)

    def real(self, kind: Kind, depth: int) -> str:
        a, b, f = self.expression(kind, depth), self.expression(kind, depth), kind.suffix
        # Which of two zeros fmin gives is open in C: adding 0 makes them one.
        forms = [f"({a} {operator} {b})" for operator in "+-*/"] + [
            f"(fmin{f}({a}, {b}) + 0.0{f})",
            f"(fmax{f}({a}, {b}) + 0.0{f})",
            f"sqrt{f}(fabs{f}({a}))",
            f"(-({a}))",
            *(f"{function}{f}({a})" for function in ("fabs", "floor", "ceil", "trunc", "rint")),
        ]
        if kind == DOUBLE:
            forms.append(f"fma({a}, {b}, {self.expression(kind, depth)})")
        return self.dice.choice(forms)

    def integer(self, kind: Kind, depth: int) -> str:
        """Computed unsigned, where a signed overflow would be undefined."""
        a, b = self.expression(kind, depth), self.expression(kind, depth)
        word, amount = self.expression(UINT, depth), self.expression(UINT, depth)
        u, low, count = kind.unsigned, self.dice.randrange(24), self.dice.randrange(1, 31)
        divisor = f"DIVISOR({kind.name}, ({kind.name})({b}))"
        if self.dice.random() < 0.5:
            divisor = f"({kind.name}){self.dice.choice(DIVISORS)}"
        forms = [f"(({u}){a} {operator} ({u}){b})" for operator in "+-*"] + [
            *(f"({a} {operator} {b})" for operator in "&|^"),
            f"(({u}){a} * ({u}){b} + ({u}){a})",
            f"(({u}){a} << ({amount} & {max(kind.bits, 32) - 1}))",
            f"({a} >> ({amount} & {kind.bits - 1}))",
            f"({a} / {divisor})",
            f"({a} % {divisor})",
            f"(~{a})",
            f"(0u - ({u}){a})",
            f"({a} < {b} ? {a} : {b})",
            f"leading_zeros({word})",
            f"count_ones({self.expression(ULONG, depth)})",
            f"(({word} << {count}) | ({word} >> {32 - count}))",
            f"(((long long)(int){word} * (long long)(int){amount}) >> 32)",
            f"(((unsigned long long){word} * {amount}) >> 32)",
            f"(({word} >> {low}) & {2 ** self.dice.randrange(1, 9) - 1})",
            f"((int)({word} << {count}) >> {count})",
        ]
        return f"(({kind.name}){self.dice.choice(forms)})"

    def condition(self, depth: int) -> str:
        kind, operator = self.dice.choice(ANY), self.dice.choice(["<", "<=", ">", ">=", "==", "!="])
        left, right = self.expression(kind, depth), self.expression(kind, depth)
        text = f"({left} {operator} {right})"
        if depth and self.dice.random() < 0.2:
            text = f"({text} {self.dice.choice(['&&', '||'])} {self.condition(depth - 1)})"
        return text

    def statement(self, name: str, kind: Kind) -> str:
        roll, declared = self.dice.random(), f"{kind.name} {name}"
        if roll < 0.55:
            return f"{declared} = {self.expression(kind, 3)};"
        if roll < 0.75:
            yes, no = self.expression(kind, 3), self.expression(kind, 2)
            return f"{declared}; if ({self.condition(2)}) {name} = {yes}; else {name} = {no};"
        if roll < 0.9:
            start, rounds = self.expression(kind, 1), self.leaf(UINT)
            step = f"k_{name}"
            self.variables += [(name, kind), (step, INT)]
            body, done = self.expression(kind, 2), self.condition(1)
            del self.variables[-2:]
            loop = f"for (int {step} = 0; {step} < (int)({rounds} & 7); ++{step})"
            return f"{declared} = {start}; {loop} {{ {name} = {body}; if ({done}) break; }}"
        cases = " ".join(f"case {n}: {name} = {self.expression(kind, 2)}; break;" for n in range(4))
        last = self.expression(kind, 1)
        return f"{declared}; switch ({self.leaf(UINT)} & 7) {{ {cases} default: {name} = {last}; }}"

    def write(self) -> tuple[list[str], list[tuple[str, Kind]]]:
        """Statements, and the variables they set."""
        self.variables = [(f"in_{kind.dtype}", kind) for kind in INPUTS]
        statements = []
        for number in range(self.dice.randrange(6, 16)):
            name, kind = f"v{number}", self.dice.choice(ANY)
            statements.append(self.statement(name, kind))
            self.variables.append((name, kind))
        return statements, self.variables[len(INPUTS) :]


def sources(statements: list[str], results: list[tuple[str, Kind]]) -> tuple[str, str]:
    """The program as a CUDA kernel and as a C function over all threads."""
    given = [f"const {kind.name}* p_{kind.dtype}" for kind in INPUTS]
    made = [f"{kind.name}* o_{name}" for name, kind in results]
    parameters = ", ".join([*given, *made])
    lines = [f"{kind.name} in_{kind.dtype} = p_{kind.dtype}[t];" for kind in INPUTS]
    lines += [*statements, *(f"o_{name}[t] = {name};" for name, _ in results)]
    body = "\n        ".join(lines)
    index = "int t = blockIdx.x * blockDim.x + threadIdx.x;"
    kernel = (
        f'extern "C" __global__ void program({parameters}) {{\n        {index}\n        {body}\n}}'
    )
    loop = f"for (int t = 0; t < {THREADS}; ++t) {{\n        {body}\n    }}"
    return f"{PRELUDE}{kernel}\n", f"{PRELUDE}void program({parameters}) {{\n    {loop}\n}}\n"


def inputs(seed: int) -> list[np.ndarray]:
    """Integers over their whole range and small ones, and ordinary floats."""
    rng, arrays = np.random.default_rng(seed), []
    for kind in INPUTS:
        if kind.is_float:
            values = rng.normal(size=THREADS) * 100
        else:
            values = rng.integers(0, 256, (THREADS, 8), dtype=np.uint8).view(np.uint64)[:, 0]
            values[:24] %= 100
        arrays.append(values.astype(kind.dtype))
    return arrays


def on_host(text: str, arrays: list[np.ndarray], folder: Path) -> None:
    source, library = folder / "program.c", folder / f"program_{time.monotonic_ns()}.so"
    source.write_text(text, encoding="utf-8")
    # Signed overflow cannot happen; -fwrapv is for what conversions of small types do.
    flags = ["-O1", "-w", "-fwrapv", "-ffp-contract=off", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, str(source), "-o", str(library), "-lm"], check=True)
    function = ctypes.CDLL(str(library)).program
    function(*(array.ctypes.data_as(ctypes.c_void_p) for array in arrays))


def same(a: np.ndarray, b: np.ndarray) -> Any:
    return (a == b) | (np.isnan(a) & np.isnan(b)) if a.dtype.kind == "f" else a == b


def difference(seed: int, folder: Path) -> tuple[str, str] | None:
    """(kernel, what differs) of the program of a seed; None if nothing does."""
    statements, results = Program(random.Random(seed)).write()
    kernel, host = sources(statements, results)
    arrays = inputs(seed)
    expected = [np.zeros(THREADS, kind.dtype) for _, kind in results]
    got = [array.copy() for array in expected]
    on_host(host, [*arrays, *expected], folder)
    try:
        options = ("--fmad=false",)
        cuda.simulate(
            cuda.Kernel(kernel, "program", options=options), 2, THREADS // 2, (*arrays, *got)
        )
    except GpuopsError as error:
        return kernel, str(error)
    for (name, kind), a, b in zip(results, expected, got, strict=True):
        wrong = np.flatnonzero(~same(a, b))
        if wrong.size:
            t = wrong[0]
            return kernel, f"{kind.name} {name}, thread {t}: host {a[t]!r}, simulator {b[t]!r}"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="seed of the first program")
    parser.add_argument("--keep", type=Path, help="folder for the kernels that differ")
    options = parser.parse_args()
    differ, started = 0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.first, options.first + options.count):
            found = difference(seed, Path(folder))
            if found is None:
                continue
            differ += 1
            print(f"seed {seed}: {found[1]}")
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / f"seed_{seed}.cu").write_text(found[0], encoding="utf-8")
    seconds = time.perf_counter() - started
    print(f"{options.count} programs, {differ} of them differ, {seconds:.0f} s")


if __name__ == "__main__":
    main()
