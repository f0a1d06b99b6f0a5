"""What arithmetic instructions become: a table from opcode to what writes their source.

One row is a family of instructions. The other families are in tables of their own (``emit_*``) and
join this one in `program`.
"""

from __future__ import annotations

from collections.abc import Callable

from gpuops.cuda.sim.codegen import Builder, dtype_of
from gpuops.cuda.sim.flow import CARRY
from gpuops.cuda.sim.ptx import SIZES, Instruction

__all__ = ["EMITTERS", "Emitter", "compute", "half_up", "simple", "typed", "unsigned"]

Emitter = Callable[[Builder, Instruction], None]

_PACKED = ("f16x2", "bf16x2")
_DIRECTED = ("rz", "rm", "rp")


def unsigned(kind: str) -> str:
    """The type for operations that do not depend on the sign."""
    return "u" + kind[1:] if kind[0] in "sb" and kind[1:].isdigit() else kind


def compute(b: Builder, x: Instruction, template: str, count: int, saturate: bool = True) -> None:
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
        inputs = [half_up(b, o, kind) for o in operands]
        b.write(destination, _half_down(finish.format(template.format(*inputs)), kind), kind)
    else:
        kind = kind if kind[0] == "f" or kind == "pred" else unsigned(kind)
        inputs = [b.read(o, kind) for o in operands]
        b.write(destination, finish.format(template.format(*inputs)), kind)


def half_up(b: Builder, operand: str, kind: str) -> str:
    """An operand of type f16 or bf16 as float32."""
    value = b.read(operand, kind)
    return f"bf16_up({value})" if kind == "bf16" else f"{value}.astype(F4)"


def _half_down(text: str, kind: str) -> str:
    return f"bf16_down({text})" if kind == "bf16" else f"({text}).astype(F2)"


def simple(template: str, count: int) -> Emitter:
    """An operation of `count` operands of one type."""

    def emit(b: Builder, x: Instruction) -> None:
        compute(b, x, template, count)

    return emit


def typed(template: str, kinds: Callable[[list[str]], tuple[str, list[str]]]) -> Emitter:
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
            _with_carry(b, x, function, b.read(x.args[1], unsigned(kind)), x.args[2], carry_in)
        elif "sat" in parts and kind[0] == "s":
            left, right = (f"{b.read(o, kind)}.astype(I8)" for o in x.args[1:3])
            b.write(
                x.args[0], f"np.clip({left} {operator} {right}, -2**31, 2**31 - 1).astype(I4)", kind
            )
        elif rounding := _rounding(parts):
            _directed(b, x, f"({{}} {operator} {{}})", rounding)
        else:
            compute(b, x, f"({{}} {operator} {{}})", 2)

    return emit


def _with_carry(
    b: Builder, x: Instruction, function: str, left: str, operand: str, carry_in: str
) -> None:
    kind = unsigned(x.parts[-1])
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
            compute(b, x, "({} * {})", 2)
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
    kind = unsigned(kind)
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
    kind = unsigned(result)
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
        compute(b, x, "fma32({}, {}, {})" if kind == "f32" else "fma64({}, {}, {})", 3)
    else:
        text = "fma32({}, {}, {})" if kind.startswith("b") else "fma16({}, {}, {})"
        compute(b, x, f"np.maximum({text}, F4(0))" if "relu" in parts else text, 3)


def _min_max(name: str) -> Emitter:
    def emit(b: Builder, x: Instruction) -> None:
        parts, kind = x.parts, x.parts[-1]
        if "f" not in kind:
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
        compute(b, x, text, count)

    return emit


def _div(b: Builder, x: Instruction) -> None:
    kind = x.parts[-1]
    if "f" in kind:
        rounding = _rounding(x.parts)
        if rounding:
            _directed(b, x, "({} / {})", rounding)
        else:
            compute(b, x, "({} / {})", 2)
    else:
        left, right = (b.read(o, kind) for o in x.args[1:3])
        b.write(x.args[0], f"divide({left}, {right})", kind)


def _signed(template: str) -> Emitter:
    """An operation on integers that depends on the sign; floats as in `compute`."""

    def emit(b: Builder, x: Instruction) -> None:
        kind = x.parts[-1]
        if "f" in kind:
            compute(b, x, template, 1)
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
            compute(b, x, half if half and x.parts[-1] != "f64" else template, 1)

    return emit


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
        carried = b.program.carrier(destination)
        if carried >= 0:
            b.line(f"M.carry(L, {carried}, {b.program.carrier(source)})")


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
    "rem": typed("rem({}, {})", lambda p: (p[-1], [p[-1]] * 2)),
    "abs": _signed("np.abs({})"),
    "neg": _signed("(-{})"),
    "min": _min_max("min"),
    "max": _min_max("max"),
    "sad": typed("sad({}, {}, {})", lambda p: (p[-1], [p[-1]] * 3)),
    "rcp": _math("(1 / {})", "(F4(1) / {})"),
    "sqrt": _math("np.sqrt({})"),
    "rsqrt": _math("(1 / np.sqrt({}))", "rsqrt32({})"),
    "ex2": _math("np.exp2({})"),
    "lg2": _math("np.log2({})"),
    "sin": _math("np.sin({})"),
    "cos": _math("np.cos({})"),
    "tanh": _math("np.tanh({})"),
    "copysign": simple("copysign({}, {})", 2),
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
