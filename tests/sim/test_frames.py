"""Threads that part and meet again keep their registers, however they part."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuops.cuda.sim.frame import Frame, Lanes, Topology, merge
from gpuops.cuda.simulation import run_ptx
from tests.sim.ptx_kernels import HEADER


class Model:
    """Frames beside a plain table of every thread's registers."""

    def __init__(self, threads: int, registers: int) -> None:
        self.top = Topology((1, 1, 1), (threads, 1, 1), 1, 0)
        start = [np.uint32(k) for k in range(registers)]
        self.frames = [Frame(Lanes(self.top, np.arange(threads)), start)]
        self.table = np.tile(np.arange(registers, dtype=np.uint32), (threads, 1))
        self.live = (1 << registers) - 1

    def split(self, which: int, seed: int) -> None:
        frame = self.frames[which % len(self.frames)]
        if frame.lanes.n < 2:
            return
        mask = np.random.default_rng(seed).random(frame.lanes.n) < 0.5
        if mask.all() or not mask.any():
            return
        self.frames.remove(frame)
        self.frames += [frame.child(np.flatnonzero(m), self.live) for m in (mask, ~mask)]

    def write(self, which: int, register: int, value: int) -> None:
        frame = self.frames[which % len(self.frames)]
        register %= len(frame.regs)
        index = frame.lanes.index
        if value % 2 or frame.lanes.n == 1:
            frame.regs[register] = np.uint32(value)
            self.table[index, register] = value
        else:
            new = (index * 7 + value).astype(np.uint32)
            frame.regs[register] = new
            self.table[index, register] = new

    def join(self, first: int, second: int) -> None:
        chosen = {first % len(self.frames), second % len(self.frames)}
        parts = [self.frames[k] for k in sorted(chosen)]
        self.frames = [f for f in self.frames if f not in parts]
        self.frames.append(merge(parts, self.live))

    def check(self) -> None:
        lanes = np.sort(np.concatenate([f.lanes.index for f in self.frames]))
        assert np.array_equal(lanes, np.arange(self.top.lanes))
        for frame in self.frames:
            assert (np.diff(frame.lanes.index) > 0).all()
            for k in range(len(frame.regs)):
                assert np.array_equal(frame.full(k), self.table[frame.lanes.index, k])


steps = st.lists(
    st.one_of(
        st.tuples(st.just("split"), st.integers(0, 9), st.integers(0, 99)),
        st.tuples(st.just("write"), st.integers(0, 9), st.integers(0, 3), st.integers(0, 99)),
        st.tuples(st.just("join"), st.integers(0, 9), st.integers(0, 9)),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_frames_agree_with_a_table_of_registers(found: list[tuple[Any, ...]]) -> None:
    model = Model(24, 4)
    for name, *arguments in found:
        getattr(model, name)(*arguments)
    model.check()
    while len(model.frames) > 1:
        model.join(0, 1)
    model.check()


def _program(body: str) -> str:
    return HEADER + (
        ".visible .entry k(.param .u64 p0, .param .u64 p1) {\n"
        ".reg .b64 %a<4>; .reg .b32 %r<9>; .reg .pred %p<4>;\n"
        "ld.param.u64 %a0, [p0]; ld.param.u64 %a1, [p1]; mov.u32 %r0, %tid.x;\n"
        "mul.wide.u32 %a2, %r0, 4; add.u64 %a0, %a0, %a2; add.u64 %a1, %a1, %a2;\n"
        "ld.global.u32 %r1, [%a0];\n" + body + "st.global.u32 [%a1], %r2;\nret;\n}\n"
    )


COLLATZ = _program("""
mov.u32 %r2, 0;
LOOP:
setp.le.u32 %p0, %r1, 1;
@%p0 bra DONE;
and.b32 %r3, %r1, 1;
setp.eq.u32 %p1, %r3, 0;
@%p1 bra EVEN;
mad.lo.u32 %r1, %r1, 3, 1;
bra NEXT;
EVEN:
shr.u32 %r1, %r1, 1;
NEXT:
add.u32 %r2, %r2, 1;
bra LOOP;
DONE:
""")


def collatz(n: int) -> int:
    steps = 0
    while n > 1:
        n = 3 * n + 1 if n % 2 else n // 2
        steps += 1
    return steps


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=70))
def test_loops_of_different_lengths(numbers: list[int]) -> None:
    out = np.zeros(len(numbers), np.uint32)
    run_ptx(COLLATZ, "k", 1, len(numbers), (np.array(numbers, np.uint32), out))
    assert out.tolist() == [collatz(n) for n in numbers]


def test_predicated_instructions_and_jumps_to_them() -> None:
    text = _program("""
mov.u32 %r2, 100;
setp.lt.u32 %p0, %r1, 4;
@%p0 bra MIDDLE;
add.u32 %r2, %r2, 1;
MIDDLE:
@!%p0 add.u32 %r2, %r2, 10;
setp.eq.u32 %p1, %r1, 2;
@%p1 mul.lo.u32 %r2, %r2, 3;
@%p1 bra.uni END;
add.u32 %r2, %r2, 1000;
END:
""")
    out = np.zeros(6, np.uint32)
    run_ptx(text, "k", 1, 6, (np.arange(6, dtype=np.uint32), out))
    assert out.tolist() == [1100, 1100, 300, 1100, 1111, 1111]


def test_tables_of_branches() -> None:
    text = _program("""
TABLE: .branchtargets A, B, C;
brx.idx %r1, TABLE;
A: mov.u32 %r2, 5; bra END;
B: mov.u32 %r2, 6; bra END;
C: mov.u32 %r2, 7;
END:
""")
    out = np.zeros(6, np.uint32)
    run_ptx(text, "k", 1, 6, (np.array([0, 1, 2, 2, 0, 1], np.uint32), out))
    assert out.tolist() == [5, 6, 7, 7, 5, 6]


def test_calls_of_functions_with_structures_and_loops() -> None:
    text = (
        HEADER
        + """
.func (.param .b32 out) pow(.param .b32 base, .param .align 4 .b8 more[8]) {
.reg .b32 %r<6>; .reg .pred %p;
ld.param.u32 %r0, [base];
ld.param.u32 %r1, [more];
ld.param.u32 %r2, [more+4];
mov.u32 %r3, %r2;
AGAIN:
setp.eq.u32 %p, %r1, 0;
@%p bra OUT;
mul.lo.u32 %r3, %r3, %r0;
sub.u32 %r1, %r1, 1;
bra AGAIN;
OUT:
st.param.b32 [out], %r3;
ret;
}
.visible .entry k(.param .u64 p0, .param .u64 p1) {
.reg .b64 %a<4>; .reg .b32 %r<9>; .reg .pred %q;
ld.param.u64 %a0, [p0]; ld.param.u64 %a1, [p1]; mov.u32 %r0, %tid.x;
mul.wide.u32 %a2, %r0, 4; add.u64 %a0, %a0, %a2; add.u64 %a1, %a1, %a2;
ld.global.u32 %r1, [%a0];
{
.param .b32 param0; .param .align 4 .b8 param1[8]; .param .b32 retval0;
st.param.b32 [param0], %r0;
st.param.b32 [param1], %r1;
st.param.b32 [param1+4], 2;
call.uni (retval0), pow, (param0, param1);
ld.param.b32 %r2, [retval0];
}
setp.gt.u32 %q, %r0, 2;
{
.param .b32 param0; .param .align 4 .b8 param1[8]; .param .b32 retval0;
st.param.b32 [param0], 10;
st.param.v2.b32 [param1], {%r0, %r2};
@%q call.uni (retval0), pow, (param0, param1);
@%q ld.param.b32 %r2, [retval0];
}
st.global.u32 [%a1], %r2;
ret;
}
"""
    )
    out = np.zeros(5, np.uint32)
    run_ptx(text, "k", 1, 5, (np.array([3, 2, 5, 0, 1], np.uint32), out))
    plain = [2 * t**e for t, e in enumerate([3, 2, 5, 0, 1])]
    assert out.tolist() == [*plain[:3], plain[3] * 10**3, plain[4] * 10**4]
