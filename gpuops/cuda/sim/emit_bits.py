"""What logic, shifts, bit fields, bit counts and dot products of bytes become."""

from __future__ import annotations

from collections.abc import Callable

from gpuops.cuda.sim.codegen import Builder, Unsupported, dtype_of
from gpuops.cuda.sim.emit import Emitter, compute, simple, typed, unsigned
from gpuops.cuda.sim.ptx import SIZES, Instruction

__all__ = ["EMITTERS"]


def _logic(operator: str) -> Emitter:
    def emit(b: Builder, x: Instruction) -> None:
        compute(b, x, f"({{}} {operator} {{}})", 2)

    return emit


def _shift(operator: str) -> Emitter:
    """NumPy gives 0, or the sign, for shifts by the width and more, as PTX does."""

    def emit(b: Builder, x: Instruction) -> None:
        kind = x.parts[-1]
        if operator == "<<" or kind[0] != "s":
            kind = unsigned(kind)
        amount = b.read(x.args[2], "u32")
        size = SIZES[kind]
        if b.is_constant(x.args[2]):
            count = min(int(x.args[2].rstrip("uU"), 0), 8 * size)
            amount = b.constant(dtype_of(kind)(count))
        elif size == 8:
            amount = f"{amount}.astype({b.constant(dtype_of(kind))})"
        elif size == 4:
            amount = amount if kind[0] == "u" else f"{amount}.view(I4)"
        else:
            amount = f"np.minimum({amount}, U4({8 * size})).astype({b.constant(dtype_of(kind))})"
        b.write(x.args[0], f"({b.read(x.args[1], kind)} {operator} {amount})", kind)

    return emit


def _funnel(b: Builder, x: Instruction) -> None:
    side = "left" if "l" in x.parts else "right"
    values = ", ".join(b.read(o, "u32") for o in x.args[1:4])
    b.write(x.args[0], f"funnel_{side}({values}, {'wrap' in x.parts})", "u32")


def _lop3(b: Builder, x: Instruction) -> None:
    args = x.args
    if len(args) != 5:
        raise Unsupported(x.op)
    values = ", ".join(b.read(o, "u32") for o in args[1:4])
    b.write(args[0], f"lop3({values}, {int(args[4], 0)})", "u32")


def _prmt(b: Builder, x: Instruction) -> None:
    mode = x.parts[2] if len(x.parts) > 2 else ""
    values = ", ".join(b.read(o, "u32") for o in x.args[1:4])
    b.write(x.args[0], f"prmt({values}, {mode!r})", "u32")


def _bfe(b: Builder, x: Instruction) -> None:
    kind = x.parts[-1]
    field = b.read(x.args[1], kind)
    position, length = b.read(x.args[2], "u32"), b.read(x.args[3], "u32")
    b.write(x.args[0], f"bfe({field}, {position}, {length})", kind)


def _bfi(b: Builder, x: Instruction) -> None:
    kind = x.parts[-1]
    values = [b.read(o, kind) for o in x.args[1:3]] + [b.read(o, "u32") for o in x.args[3:5]]
    b.write(x.args[0], f"bfi({', '.join(values)})", kind)


def _bfind(b: Builder, x: Instruction) -> None:
    value = b.read(x.args[1], x.parts[-1])
    b.write(x.args[0], f"bfind({value}, {'shiftamt' in x.parts})", "u32")


def _bmsk(b: Builder, x: Instruction) -> None:
    values = ", ".join(b.read(o, "u32") for o in x.args[1:3])
    b.write(x.args[0], f"bmsk({values}, {'clamp' in x.parts})", "u32")


def _dot(b: Builder, x: Instruction) -> None:
    signs = [p[0] == "s" for p in x.parts if p in ("s32", "u32")]
    extra = f", {'hi' in x.parts}" if x.parts[0] == "dp2a" else ""
    values = ", ".join(b.read(o, "u32") for o in x.args[1:4])
    b.write(x.args[0], f"{x.parts[0]}({values}, {signs[0]}, {signs[1]}{extra})", "u32")


_WIDTHS: Callable[[list[str]], tuple[str, list[str]]] = lambda p: ("u32", [p[-1]])  # noqa: E731

EMITTERS: dict[str, Emitter] = {
    "and": _logic("&"),
    "or": _logic("|"),
    "xor": _logic("^"),
    "not": simple("(~{})", 1),
    "cnot": typed("cnot({})", lambda p: (unsigned(p[-1]), [unsigned(p[-1])])),
    "shl": _shift("<<"),
    "shr": _shift(">>"),
    "shf": _funnel,
    "lop3": _lop3,
    "prmt": _prmt,
    "bfe": _bfe,
    "bfi": _bfi,
    "bfind": _bfind,
    "bmsk": _bmsk,
    "brev": typed("brev({})", lambda p: (p[-1], [p[-1]])),
    "popc": typed("popc({})", _WIDTHS),
    "clz": typed("clz({})", _WIDTHS),
    "fns": typed("fns({}, {}, {})", lambda p: ("u32", ["u32", "u32", "s32"])),
    "dp4a": _dot,
    "dp2a": _dot,
}
