"""What arithmetic instructions become: a table from opcode to what writes their source.

One row is a family of instructions. The families of memory, warps and tensor cores are in tables
of their own (`emit_memory`, `emit_warp`) and join this one in `program`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuops.cuda.sim.codegen import Builder, Unsupported, dtype_of
from gpuops.cuda.sim.flow import CARRY
from gpuops.cuda.sim.ptx import SIZES, Instruction

__all__ = ["EMITTERS", "Emitter"]

Emitter = Callable[[Builder, Instruction], None]

_PACKED = ("f16x2", "bf16x2")
_DIRECTED = ("rz", "rm", "rp")


def _unsigned(kind: str) -> str:
    """The type for operations that do not depend on the sign."""
    return "u" + kind[1:] if kind[0] in "sb" and kind[1:].isdigit() else kind


def _compute(b: Builder, x: Instruction, template: str, count: int, saturate: bool = True) -> None:
    """An operation of `count` operands of one type; halves are computed in float32."""
    kind = x.parts[-1]
    destination, operands = x.args[0], x.args[1 : 1 + count]
    finish = "saturate({})" if saturate and "sat" in x.parts and "f" in kind else "{}"
    if kind in _PACKED:
        bfloat = kind == "bf16x2"
        inputs = [f"unpack_x2({b.read(o, kind)}, {bfloat})" for o in operands]
        text = finish.format(template.format(*inputs))
        b.write(destination, f"pack_x2({text}, {bfloat})", kind)
    elif kind in ("f16", "bf16"):
        inputs = [_half_up(b, o, kind) for o in operands]
        b.write(destination, _half_down(finish.format(template.format(*inputs)), kind), kind)
    else:
        kind = kind if kind[0] == "f" or kind == "pred" else _unsigned(kind)
        inputs = [b.read(o, kind) for o in operands]
        b.write(destination, finish.format(template.format(*inputs)), kind)


def _half_up(b: Builder, operand: str, kind: str) -> str:
    value = b.read(operand, kind)
    return f"bf16_up({value})" if kind == "bf16" else f"{value}.astype(F4)"


def _half_down(text: str, kind: str) -> str:
    return f"bf16_down({text})" if kind == "bf16" else f"({text}).astype(F2)"


def _simple(template: str, count: int) -> Emitter:
    def emit(b: Builder, x: Instruction) -> None:
        _compute(b, x, template, count)

    return emit


def _typed(template: str, kinds: Callable[[list[str]], tuple[str, list[str]]]) -> Emitter:
    """An operation whose operands' types follow from the opcode: (result, operands)."""

    def emit(b: Builder, x: Instruction) -> None:
        result, operands = kinds(x.parts)
        inputs = [b.read(o, k) for o, k in zip(x.args[1:], operands, strict=False)]
        b.write(x.args[0], template.format(*inputs), result)

    return emit


def _add(operator: str) -> Emitter:
    function = {"+": "carry_add", "-": "borrow_sub"}[operator]

    def emit(b: Builder, x: Instruction) -> None:
        parts, kind = x.parts, x.parts[-1]
        if "cc" in parts or parts[0] in ("addc", "subc"):
            carry_in = b.read(CARRY, "pred") if parts[0] in ("addc", "subc") else "FALSE"
            _with_carry(b, x, function, b.read(x.args[1], _unsigned(kind)), x.args[2], carry_in)
        elif "sat" in parts and kind[0] == "s":
            left, right = (f"{b.read(o, kind)}.astype(I8)" for o in x.args[1:3])
            b.write(
                x.args[0], f"np.clip({left} {operator} {right}, -2**31, 2**31 - 1).astype(I4)", kind
            )
        elif rounding := _rounding(parts):
            _directed(b, x, f"({{}} {operator} {{}})", rounding)
        else:
            _compute(b, x, f"({{}} {operator} {{}})", 2)

    return emit


def _with_carry(
    b: Builder, x: Instruction, function: str, left: str, operand: str, carry_in: str
) -> None:
    kind = _unsigned(x.parts[-1])
    total, carry = b.name(), b.name()
    b.line(f"{total}, {carry} = {function}({left}, {b.read(operand, kind)}, {carry_in})")
    if "cc" in x.parts:
        b.write(CARRY, carry, "pred")
    b.write(x.args[0], total, kind)


def _rounding(parts: list[str]) -> str | None:
    """The directed rounding of an operation on floats, if it has one."""
    if parts[-1] not in ("f32", "f64"):
        return None
    return next((p for p in parts if p in _DIRECTED), None)


def _directed(b: Builder, x: Instruction, template: str, rounding: str) -> None:
    """Compute in a wider type, then round down, up or to zero."""
    kind = x.parts[-1]
    wide = "F8" if kind == "f32" else "LONG"
    inputs = [f"{b.read(o, kind)}.astype({wide})" for o in x.args[1:]]
    narrow = "F4" if kind == "f32" else "F8"
    text = f"directed({template.format(*inputs)}, {narrow}, {rounding!r})"
    b.write(x.args[0], f"saturate({text})" if "sat" in x.parts else text, kind)


def _mul(b: Builder, x: Instruction) -> None:
    parts, kind = x.parts, x.parts[-1]
    if "f" in kind:
        rounding = _rounding(parts)
        if rounding:
            _directed(b, x, "({} * {})", rounding)
        else:
            _compute(b, x, "({} * {})", 2)
    else:
        text, result = _product(b, x)
        b.write(x.args[0], text, result)


def _product(b: Builder, x: Instruction) -> tuple[str, str]:
    """The integer product of an instruction's first two operands, and its type."""
    parts, kind = x.parts, x.parts[-1]
    left, right = x.args[1:3]
    if "wide" in parts:
        wide = kind[0] + str(16 * SIZES[kind])
        name = b.constant(dtype_of(wide))
        factors = [f"{b.read(o, kind)}.astype({name})" for o in (left, right)]
        if b.is_constant(right):
            number = b.immediate(right, dtype_of(kind)).astype(dtype_of(wide))
            factors[1] = b.constant(number)
        return f"({factors[0]} * {factors[1]})", wide
    if "hi" in parts and parts[0] in ("mul", "mad", "madc"):
        return f"mul_hi({b.read(left, kind)}, {b.read(right, kind)})", kind
    if parts[0] in ("mul24", "mad24"):
        return _product24(b, x)
    kind = _unsigned(kind)
    return f"({b.read(left, kind)} * {b.read(right, kind)})", kind


def _product24(b: Builder, x: Instruction) -> tuple[str, str]:
    kind = x.parts[-1]
    wide = "I8" if kind == "s32" else "U8"
    cut = (
        "(({} << U4(8)).view(I4) >> I4(8)).astype(I8)"
        if kind == "s32"
        else "({} & U4(0xFFFFFF)).astype(U8)"
    )
    factors = [cut.format(b.read(o, "u32")) for o in x.args[1:3]]
    shift = f" >> {wide}(16)" if "hi" in x.parts else ""
    return f"(({factors[0]} * {factors[1]}){shift}).astype({'I4' if kind == 's32' else 'U4'})", kind


def _mad(b: Builder, x: Instruction) -> None:
    parts, kind = x.parts, x.parts[-1]
    if "f" in kind:
        _fma(b, x)
        return
    text, result = _product(b, x)
    kind = _unsigned(result)
    view = "" if kind == result else f".view({b.constant(dtype_of(kind))})"
    if "cc" in parts or parts[0] == "madc":
        carry_in = b.read(CARRY, "pred") if parts[0] == "madc" else "FALSE"
        _with_carry(b, x, "carry_add", f"{text}{view}", x.args[3], carry_in)
    elif "sat" in parts:
        total = f"{text}.astype(I8) + {b.read(x.args[3], 's32')}.astype(I8)"
        b.write(x.args[0], f"np.clip({total}, -2**31, 2**31 - 1).astype(I4)", "s32")
    else:
        b.write(x.args[0], f"({text}{view} + {b.read(x.args[3], kind)})", kind)


def _fma(b: Builder, x: Instruction) -> None:
    parts, kind = x.parts, x.parts[-1]
    rounding = _rounding(parts)
    if rounding:
        _directed(b, x, "({} * {} + {})", rounding)
    elif kind in ("f32", "f64"):
        _compute(b, x, "fma32({}, {}, {})" if kind == "f32" else "fma64({}, {}, {})", 3)
    else:
        text = "fma32({}, {}, {})" if kind.startswith("b") else "fma16({}, {}, {})"
        _compute(b, x, f"np.maximum({text}, F4(0))" if "relu" in parts else text, 3)


def _min_max(name: str) -> Emitter:
    def emit(b: Builder, x: Instruction) -> None:
        parts, kind = x.parts, x.parts[-1]
        if "f" not in kind:
            x2 = kind.endswith("x2")
            if x2:
                raise Unsupported(x.op)
            values = [b.read(o, kind) for o in x.args[1:]]
            b.write(x.args[0], f"np.{name}imum({', '.join(values)})", kind)
            return
        least = "least" if name == "min" else "greatest"
        function = f"np.{name}imum" if "NaN" in parts else least
        count = len(x.args) - 1
        text = (
            f"{function}({{}}, {{}})" if count == 2 else f"{function}({function}({{}}, {{}}), {{}})"
        )
        if "xorsign" in parts:
            text = "xorsign({0}, {1}, " + function + "(np.abs({0}), np.abs({1})))"
        _compute(b, x, text, count)

    return emit


def _div(b: Builder, x: Instruction) -> None:
    kind = x.parts[-1]
    if "f" in kind:
        rounding = _rounding(x.parts)
        if rounding:
            _directed(b, x, "({} / {})", rounding)
        else:
            _compute(b, x, "({} / {})", 2)
    else:
        left, right = (b.read(o, kind) for o in x.args[1:3])
        b.write(x.args[0], f"divide({left}, {right})", kind)


def _signed(template: str) -> Emitter:
    """An operation on integers that depends on the sign; floats as in `_compute`."""

    def emit(b: Builder, x: Instruction) -> None:
        kind = x.parts[-1]
        if "f" in kind:
            _compute(b, x, template, 1)
        else:
            b.write(x.args[0], template.format(b.read(x.args[1], kind)), kind)

    return emit


def _math(template: str, half: str | None = None) -> Emitter:
    """A function of floats; PTX allows an approximation, this is at full precision."""

    def emit(b: Builder, x: Instruction) -> None:
        rounding = _rounding(x.parts)
        if rounding and x.parts[0] in ("rcp", "sqrt"):
            _directed(b, x, "(1 / {})" if x.parts[0] == "rcp" else "np.sqrt({})", rounding)
        else:
            _compute(b, x, half if half and x.parts[-1] != "f64" else template, 1)

    return emit


def _logic(operator: str) -> Emitter:
    def emit(b: Builder, x: Instruction) -> None:
        _compute(b, x, f"({{}} {operator} {{}})", 2)

    return emit


def _shift(operator: str) -> Emitter:
    """NumPy gives 0, or the sign, for shifts by the width and more, as PTX does."""

    def emit(b: Builder, x: Instruction) -> None:
        kind = x.parts[-1]
        if operator == "<<" or kind[0] != "s":
            kind = _unsigned(kind)
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


def _mov(b: Builder, x: Instruction) -> None:
    destination, source = x.args
    kind = x.parts[-1]
    if source.startswith("{"):
        parts = b.vector(source)
        width = 8 * SIZES[kind] // len(parts)
        whole = b.constant(dtype_of(kind))
        shifted = [
            f"({b.read(p, f'b{width}')}.astype({whole}) << {whole}({width * k}))" if k
            else f"{b.read(p, f'b{width}')}.astype({whole})"
            for k, p in enumerate(parts)
        ]  # fmt: skip
        b.write(destination, " | ".join(shifted), kind)
    elif destination.startswith("{"):
        parts = b.vector(destination)
        width = 8 * SIZES[kind] // len(parts)
        value, whole = b.read(source, kind), b.constant(dtype_of(kind))
        narrow = b.constant(dtype_of(f"b{width}"))
        for k, part in enumerate(parts):
            if part != "_":
                piece = f"({value} >> {whole}({width * k}))" if k else value
                b.write(part, f"{piece}.astype({narrow})", f"b{width}")
    else:
        b.move(destination, source, kind)


def _selp(b: Builder, x: Instruction) -> None:
    kind = _unsigned(x.parts[-1])
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
        left, right = (_bound(b, _half_up(b, o, kind)) for o in x.args[1:3])
        compared = "f32"
    else:
        compared = kind if kind[0] in "sf" else _unsigned(kind)
        if parts[1] in ("eq", "ne") and kind[0] == "s":
            compared = _unsigned(kind)
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
        left, right = (_bound(b, _half_up(b, o, kind)) for o in x.args[1:3])
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


def _cvta(b: Builder, x: Instruction) -> None:
    space = next((p for p in x.parts if p in ("shared", "local")), None)
    base = {"shared": "SHARED", "local": "LOCAL"}.get(space or "")
    kind = x.parts[-1]
    if base is None:
        b.move(x.args[0], x.args[1], kind)
    else:
        operator = "-" if "to" in x.parts else "+"
        b.write(x.args[0], f"({b.read(x.args[1], kind)} {operator} {base})", kind)


def _isspacep(b: Builder, x: Instruction) -> None:
    value = b.read(x.args[1], "u64")
    top = {"shared": 1, "local": 2}.get(x.parts[1].partition("::")[0], 0)
    b.write(x.args[0], f"(({value} >> U8(60)) == U8({top}))", "pred")


def _nothing(b: Builder, x: Instruction) -> None:
    """Prefetches, hints and waits change nothing that is simulated."""


def _trap(b: Builder, x: Instruction) -> None:
    b.line(f"M.trap(L, {b.pc})")


_WIDTHS: Callable[[list[str]], tuple[str, list[str]]] = lambda p: ("u32", [p[-1]])  # noqa: E731

EMITTERS: dict[str, Emitter] = {
    "mov": _mov,
    "add": _add("+"),
    "addc": _add("+"),
    "sub": _add("-"),
    "subc": _add("-"),
    "mul": _mul,
    "mul24": _mul,
    "mad": _mad,
    "madc": _mad,
    "mad24": _mad,
    "fma": _fma,
    "div": _div,
    "rem": _typed("rem({}, {})", lambda p: (p[-1], [p[-1]] * 2)),
    "abs": _signed("np.abs({})"),
    "neg": _signed("(-{})"),
    "min": _min_max("min"),
    "max": _min_max("max"),
    "sad": _typed("sad({}, {}, {})", lambda p: (p[-1], [p[-1]] * 3)),
    "rcp": _math("(1 / {})", "(F4(1) / {})"),
    "sqrt": _math("np.sqrt({})"),
    "rsqrt": _math("(1 / np.sqrt({}))", "rsqrt32({})"),
    "ex2": _math("np.exp2({})"),
    "lg2": _math("np.log2({})"),
    "sin": _math("np.sin({})"),
    "cos": _math("np.cos({})"),
    "tanh": _math("np.tanh({})"),
    "copysign": _simple("copysign({}, {})", 2),
    "and": _logic("&"),
    "or": _logic("|"),
    "xor": _logic("^"),
    "not": _simple("(~{})", 1),
    "cnot": _typed("cnot({})", lambda p: (_unsigned(p[-1]), [_unsigned(p[-1])])),
    "shl": _shift("<<"),
    "shr": _shift(">>"),
    "shf": _funnel,
    "lop3": _lop3,
    "prmt": _prmt,
    "bfe": _bfe,
    "bfi": _bfi,
    "bfind": _bfind,
    "bmsk": _bmsk,
    "brev": _typed("brev({})", lambda p: (p[-1], [p[-1]])),
    "popc": _typed("popc({})", _WIDTHS),
    "clz": _typed("clz({})", _WIDTHS),
    "fns": _typed("fns({}, {}, {})", lambda p: ("u32", ["u32", "u32", "s32"])),
    "dp4a": _dot,
    "dp2a": _dot,
    "testp": _testp,
    "selp": _selp,
    "slct": _slct,
    "setp": _setp,
    "set": _set,
    "cvta": _cvta,
    "isspacep": _isspacep,
    "trap": _trap,
    "brkpt": _nothing,
    "prefetch": _nothing,
    "prefetchu": _nothing,
    "nanosleep": _nothing,
    "pragma": _nothing,
    "applypriority": _nothing,
    "discard": _nothing,
    "griddepcontrol": _nothing,
    "pmevent": _nothing,
}
