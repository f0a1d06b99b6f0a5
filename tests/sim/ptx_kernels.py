"""Kernels of one instruction, written in PTX, so that NVRTC cannot fold or replace it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpuops.cuda.simulation import run_ptx

HEADER = ".version 8.0\n.target sm_80\n.address_size 64\n"

SIZES = {"8": 1, "16": 2, "32": 4, "64": 8}


def width(kind: str) -> int:
    """Bytes of a PTX type.

    >>> width("s32"), width("f16x2"), width("bf16")
    (4, 4, 2)
    """
    if kind in ("f16x2", "bf16x2", "tf32"):
        return 4
    if kind in ("bf16", "e4m3x2", "e5m2x2"):
        return 2
    if kind == "pred":
        return 1
    return SIZES[kind[1:]]


def register(kind: str) -> str:
    """The declared type of a register that holds a PTX type; the narrowest has 16 bits."""
    return "pred" if kind == "pred" else f"b{max(8 * width(kind), 16)}"


def unary_text(body: Sequence[str], results: Sequence[str], operands: Sequence[str]) -> str:
    """A kernel whose thread i reads element i of each operand and writes that of each result.

    In the body ``%a0``, ``%a1`` and so on are the operands and ``%d0`` and so on the results; a
    predicate is stored as a byte.
    """
    count = len(operands) + len(results)
    params = ", ".join(f".param .u64 p{k}" for k in range(count))
    lines = [f".visible .entry k({params}) {{", ".reg .b64 %base, %at, %off;", ".reg .b32 %i;"]
    lines += [".reg .b16 %byte;", ".reg .pred %p<4>;", ".reg .b32 %t<4>;", ".reg .b64 %w<4>;"]
    lines += [f".reg .{register(kind)} %a{k};" for k, kind in enumerate(operands)]
    lines += [f".reg .{register(kind)} %d{k};" for k, kind in enumerate(results)]
    lines += ["mov.u32 %t0, %ctaid.x;", "mov.u32 %t1, %ntid.x;", "mov.u32 %t2, %tid.x;"]
    lines += ["mad.lo.u32 %i, %t0, %t1, %t2;"]
    for k, kind in enumerate(operands):
        lines += _place(k, kind)
        if kind == "pred":
            lines += ["ld.global.u8 %byte, [%at];", f"setp.ne.u16 %a{k}, %byte, 0;"]
        else:
            lines.append(f"ld.global.b{8 * width(kind)} %a{k}, [%at];")
    lines += body
    for k, kind in enumerate(results):
        lines += _place(len(operands) + k, kind)
        if kind == "pred":
            lines += [f"selp.u16 %byte, 1, 0, %d{k};", "st.global.u8 [%at], %byte;"]
        else:
            lines.append(f"st.global.b{8 * width(kind)} [%at], %d{k};")
    return HEADER + "\n".join([*lines, "ret;", "}"])


def _place(position: int, kind: str) -> list[str]:
    return [
        f"ld.param.u64 %base, [p{position}];",
        f"mul.wide.u32 %off, %i, {width(kind)};",
        "add.u64 %at, %base, %off;",
    ]


def run_each(
    body: str | Sequence[str],
    results: Sequence[tuple[str, object]],
    operands: Sequence[tuple[str, np.ndarray]],
) -> list[np.ndarray]:
    """Run a body for each element: in one launch of many threads and in launches of one.

    Both ways have to agree bit for bit: the first computes with arrays, the second with scalars.

    Args:
        body: PTX; see `unary_text`.
        results: (PTX type, NumPy dtype) of each result.
        operands: (PTX type, values) of each operand.
    """
    lines = [body] if isinstance(body, str) else list(body)
    text = unary_text(lines, [kind for kind, _ in results], [kind for kind, _ in operands])
    values = [np.ascontiguousarray(v) for _, v in operands]
    n = len(values[0])
    many = [np.zeros(n, dtype) for _, dtype in results]
    run_ptx(text, "k", 1, n, [*values, *many])
    for i in range(min(n, 4)):
        one = [np.zeros(1, dtype) for _, dtype in results]
        run_ptx(text, "k", 1, 1, [*(v[i : i + 1].copy() for v in values), *one])
        for (kind, _), together, alone in zip(results, many, one, strict=True):
            assert alike(together[i : i + 1], alone, kind), (together[i], alone[0])
    return many


def alike(left: np.ndarray, right: np.ndarray, kind: str) -> bool:
    """Equal bit for bit, but that one NaN is as good as another."""
    if kind == "f16x2":
        left, right = left.view(np.float16), right.view(np.float16)
    if left.tobytes() == right.tobytes():
        return True
    return left.dtype.kind == "f" and bool(
        ((left == right) | (left != left) & (right != right)).all()
    )
