"""What ``cvt`` becomes: conversions between integers, floats, halves and fp8."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.cuda.sim.codegen import Builder, Unsupported, dtype_of
from gpuops.cuda.sim.emit import Emitter
from gpuops.cuda.sim.ptx import SIZES, Instruction

__all__ = ["EMITTERS"]

_INTEGRAL = ("rni", "rzi", "rmi", "rpi")
_DIRECTED = ("rz", "rm", "rp")
_FLOATS = ("f16", "bf16", "f32", "f64", "tf32")
_FP8_PAIRS = ("e4m3x2", "e5m2x2")
_MANTISSA = {"f16": 11, "bf16": 8, "f32": 24, "f64": 53}


def _cvt(b: Builder, x: Instruction) -> None:
    to, source = x.parts[-2], x.parts[-1]
    if to in _FP8_PAIRS or source in _FP8_PAIRS:
        _fp8(b, x, to, source)
    elif to in ("f16x2", "bf16x2"):
        if source != "f32":
            raise Unsupported(x.op)
        high, low = (b.read(o, "f32") for o in x.args[1:3])
        flags = f"{'relu' in x.parts}, {'satfinite' in x.parts}"
        b.write(x.args[0], f"pair_down({high}, {low}, {to!r}, {flags})", to)
    elif source in _FLOATS and to in _FLOATS:
        _float_to_float(b, x, to, source)
    elif source in _FLOATS:
        mode = next((p for p in x.parts if p in _INTEGRAL), "rzi")
        value = _as_float(b, x.args[1], source)
        b.write(x.args[0], f"to_integer({value}, {b.constant(dtype_of(to))}, {mode!r})", to)
    elif to in _FLOATS:
        _integer_to_float(b, x, to, source)
    else:
        _integer_to_integer(b, x, to, source)


def _as_float(b: Builder, operand: str, kind: str) -> str:
    if kind == "bf16":
        return f"bf16_up({b.read(operand, kind)})"
    if kind == "tf32":
        return b.read(operand, "f32")
    return b.read(operand, kind)


def _mode(x: Instruction) -> str | None:
    return next((p for p in x.parts[1:-2] if p in _DIRECTED), None)


def _narrow(b: Builder, text: str, to: str, mode: str | None) -> tuple[str, Any]:
    """A float expression rounded to a narrower float type, and the NumPy type it has then."""
    if to == "bf16":
        if mode:
            return f"bf16_directed({text}, {mode!r})", np.uint16
        return f"bf16_down(({text}).astype(F4))", np.uint16
    dtype = dtype_of(to)
    name = b.constant(dtype)
    if mode:
        return f"directed({text}, {name}, {mode!r})", dtype
    return f"({text}).astype({name})", dtype


def _float_to_float(b: Builder, x: Instruction, to: str, source: str) -> None:
    text = _as_float(b, x.args[1], source)
    if to == "tf32":
        b.write(x.args[0], f"tf32({text})", "b32")
        return
    integral = next((p for p in x.parts if p in _INTEGRAL), None)
    if integral:
        text = f"round_integral({text}, {integral!r})"
    if "sat" in x.parts:
        text = f"saturate({text})"
    if "relu" in x.parts:
        text = f"np.maximum({text}, 0)"
    narrower = _MANTISSA[to] < _MANTISSA.get(source, 24)
    text, dtype = _narrow(b, text, to, _mode(x) if narrower else None)
    b.write_as(x.args[0], text, dtype)


def _integer_to_float(b: Builder, x: Instruction, to: str, source: str) -> None:
    value, mode = b.read(x.args[1], source), _mode(x)
    if mode:
        # 53 bits of float64 hold 32-bit integers; 64-bit ones need NumPy's longdouble.
        value = f"{value}.astype({'LONG' if SIZES[source] == 8 else 'F8'})"
    if to == "bf16" and not mode:
        value = f"{value}.astype(F4)"
    text, dtype = _narrow(b, value, to, mode)
    b.write_as(x.args[0], text, dtype)


def _integer_to_integer(b: Builder, x: Instruction, to: str, source: str) -> None:
    value, dtype = b.read(x.args[1], source), dtype_of(to)
    if "sat" in x.parts:
        value = f"clamp({value}, {b.constant(dtype)})"
        b.write(x.args[0], value, to)
        return
    if SIZES[to] == SIZES[source]:
        b.move(x.args[0], x.args[1], to)
        return
    name = b.constant(dtype)
    b.write(x.args[0], f"{value}.astype({name})", to)


def _fp8(b: Builder, x: Instruction, to: str, source: str) -> None:
    """Pairs: the first operand of a packing goes to the upper half."""
    if source == "f32":
        high, low = (b.read(o, "f32") for o in x.args[1:3])
        relu = "relu" in x.parts
        b.write(x.args[0], f"fp8_pack({high}, {low}, {to[:4]!r}, {relu})", "b16")
    elif source in ("f16x2", "bf16x2"):
        value = b.read(x.args[1], source)
        relu = "relu" in x.parts
        b.write(x.args[0], f"fp8_pack_x2({value}, {to[:4]!r}, {source == 'bf16x2'}, {relu})", "b16")
    elif source in _FP8_PAIRS and to == "f16x2":
        value = b.read(x.args[1], "b16")
        b.write(x.args[0], f"fp8_unpack({value}, {source[:4]!r}, {'relu' in x.parts})", "b32")
    else:
        raise Unsupported(x.op)


EMITTERS: dict[str, Emitter] = {"cvt": _cvt}
