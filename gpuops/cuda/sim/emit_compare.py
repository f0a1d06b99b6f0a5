"""What comparisons, selections and classifications become."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.cuda.sim.codegen import Builder, dtype_of
from gpuops.cuda.sim.emit import Emitter, half_up, unsigned
from gpuops.cuda.sim.ptx import Instruction

__all__ = ["EMITTERS"]

_PACKED = ("f16x2", "bf16x2")


def _testp(b: Builder, x: Instruction) -> None:
    value = b.read(x.args[1], x.parts[-1])
    tests = {
        "finite": f"np.isfinite({value})",
        "infinite": f"np.isinf({value})",
        "number": f"(~np.isnan({value}))",
        "notanumber": f"np.isnan({value})",
        "normal": f"is_normal({value})",
        "subnormal": f"is_subnormal({value})",
    }
    b.write(x.args[0], tests[x.parts[1]], "pred")


def _selp(b: Builder, x: Instruction) -> None:
    kind = unsigned(x.parts[-1])
    condition = b.read(x.args[3], "pred")
    b.write(
        x.args[0], f"pick({condition}, {b.read(x.args[1], kind)}, {b.read(x.args[2], kind)})", kind
    )


def _slct(b: Builder, x: Instruction) -> None:
    kind, test = x.parts[-2], x.parts[-1]
    condition = f"({b.read(x.args[3], test)} >= 0)"
    b.write(
        x.args[0], f"pick({condition}, {b.read(x.args[1], kind)}, {b.read(x.args[2], kind)})", kind
    )


_COMPARE = {
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "lo": "<", "ls": "<=", "hi": ">", "hs": ">=",
}  # fmt: skip


def _comparison(kind: str, test: str, left: str, right: str) -> str:
    """The source of a comparison; the unordered forms are true where an operand is NaN."""
    if kind[0] in "usbp":
        return f"({left} {_COMPARE[test]} {right})"
    if test == "num":
        return f"(({left} == {left}) & ({right} == {right}))"
    if test == "nan":
        return f"(({left} != {left}) | ({right} != {right}))"
    if test == "ne":  # of floats: ordered, so false for NaN
        return f"(({left} < {right}) | ({left} > {right}))"
    if test in _COMPARE:
        return f"({left} {_COMPARE[test]} {right})"
    opposite = {"equ": None, "neu": "!=", "ltu": ">=", "leu": ">", "gtu": "<=", "geu": "<"}[test]
    if opposite is None:
        return f"(~(({left} < {right}) | ({left} > {right})))"
    return f"({left} != {right})" if test == "neu" else f"(~({left} {opposite} {right}))"


def _setp(b: Builder, x: Instruction) -> None:
    parts, kind = x.parts, x.parts[-1]
    join = next((p for p in parts[2:] if p in ("and", "or", "xor")), None)
    first, _, second = x.args[0].partition("|")
    if kind in _PACKED:
        _setp_packed(b, x, join)
        return
    if kind in ("f16", "bf16"):
        left, right = (_bound(b, half_up(b, o, kind)) for o in x.args[1:3])
        compared = "f32"
    else:
        compared = kind if kind[0] in "sf" else unsigned(kind)
        if parts[1] in ("eq", "ne") and kind[0] == "s":
            compared = unsigned(kind)
        left, right = (b.read(o, compared) for o in x.args[1:3])
    text = _comparison(compared, parts[1], left, right)
    result = b.name()
    b.line(f"{result} = {text}")
    operator = {"and": "&", "or": "|", "xor": "^", None: ""}[join]
    extra = f" {operator} {b.read(x.args[3], 'pred')}" if join else ""
    b.write(first, f"{result}{extra}", "pred")
    if second:
        b.write(second, f"(~{result}){extra}", "pred")


def _bound(b: Builder, text: str) -> str:
    name = b.name()
    b.line(f"{name} = {text}")
    return name


def _setp_packed(b: Builder, x: Instruction, join: str | None) -> None:
    kind = x.parts[-1]
    bfloat = kind == "bf16x2"
    left, right = (_bound(b, f"unpack_x2({b.read(o, kind)}, {bfloat})") for o in x.args[1:3])
    result = _bound(b, _comparison("f32", x.parts[1], left, right))
    operator = {"and": "&", "or": "|", "xor": "^", None: ""}[join]
    extra = f" {operator} {b.read(x.args[3], 'pred')}" if join else ""
    for k, register in enumerate(x.args[0].split("|")):
        b.write(register, f"column({result}, {k}){extra}", "pred")


def _set(b: Builder, x: Instruction) -> None:
    parts, result, kind = x.parts, x.parts[-2], x.parts[-1]
    if kind in _PACKED:
        _set_packed(b, x)
        return
    join = next((p for p in parts[2:-2] if p in ("and", "or", "xor")), None)
    if kind in ("f16", "bf16"):
        left, right = (_bound(b, half_up(b, o, kind)) for o in x.args[1:3])
        compared = "f32"
    else:
        compared = kind
        left, right = (b.read(o, kind) for o in x.args[1:3])
    text = _comparison(compared, parts[1], left, right)
    if join:
        operator = {"and": "&", "or": "|", "xor": "^"}[join]
        text = f"({text} {operator} {b.read(x.args[3], 'pred')})"
    yes, no = _truth(result)
    b.write(x.args[0], f"pick({text}, {b.constant(yes)}, {b.constant(no)})", result)


def _truth(kind: str) -> tuple[Any, Any]:
    dtype = dtype_of(kind)
    if kind == "bf16":
        return np.uint16(0x3F80), np.uint16(0)
    yes = dtype(1) if kind[0] == "f" else dtype(-1) if kind[0] == "s" else ~dtype(0)
    return yes, dtype(0)


def _set_packed(b: Builder, x: Instruction) -> None:
    result, kind = x.parts[-2], x.parts[-1]
    bfloat = kind == "bf16x2"
    left, right = (_bound(b, f"unpack_x2({b.read(o, kind)}, {bfloat})") for o in x.args[1:3])
    text = _comparison("f32", x.parts[1], left, right)
    if result in _PACKED:
        b.write(x.args[0], f"pack_x2({text}.astype(F4), {result == 'bf16x2'})", result)
    else:
        b.write(x.args[0], f"pack_mask({text})", result)


EMITTERS: dict[str, Emitter] = {
    "testp": _testp,
    "selp": _selp,
    "slct": _slct,
    "setp": _setp,
    "set": _set,
}
