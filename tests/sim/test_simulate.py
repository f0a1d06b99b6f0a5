"""`cuda.simulate` as its users see it: arguments, memory, messages."""

from __future__ import annotations

import pickle
import re
import threading
import traceback
from typing import Any

import numpy as np
import pytest

from gpuops import cuda
from gpuops.cuda.simulation import run_ptx
from gpuops.errors import ArgumentError, GpuopsError
from tests.sim.ptx_kernels import HEADER

SCALE = cuda.Kernel(
    """extern "C" __global__ void scale(float* x, float s, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] *= s;
}""",
    "scale",
)


def test_a_kernel_changes_arrays_in_place() -> None:
    x = np.arange(1000, dtype=np.float32)
    cuda.simulate(SCALE, (4,), (256, 1), (x, 2.0, 1000))
    assert np.array_equal(x, 2 * np.arange(1000))


def test_numbers_become_the_type_of_the_parameter() -> None:
    kernel = cuda.Kernel(
        """extern "C" __global__ void k(double* out, float f, double d, int i, long long q,
            short h, unsigned char c, bool b, unsigned int u) {
            out[0] = f; out[1] = d; out[2] = i; out[3] = q; out[4] = h; out[5] = c; out[6] = b;
            out[7] = u;
        }""",
        "k",
    )
    out = np.zeros(8)
    cuda.simulate(kernel, 1, 1, (out, 0.1, 0.1, -5, 2**40, -7, 200, True, 2**32 - 1))
    assert out.tolist() == [float(np.float32(0.1)), 0.1, -5, 2**40, -7, 200, 1, 2**32 - 1]
    numbers = (np.float32(2), np.float64(3), np.int32(4), np.int64(5), np.int16(6), np.uint8(7))
    cuda.simulate(kernel, 1, 1, (out, *numbers, np.bool_(False), np.uint32(8)))
    assert out.tolist() == [2, 3, 4, 5, 6, 7, 0, 8]


HALVES = """#include <cuda_fp16.h>
#include <cuda_bf16.h>
extern "C" __global__ void k(__half* h, __nv_bfloat16* b) {}"""


def takes(parameter: str) -> cuda.Kernel:
    return cuda.Kernel(f'extern "C" __global__ void k({parameter} x) {{}}', "k")


@pytest.mark.parametrize(
    ("parameter", "meant", "refused"),
    [
        ("float*", "f4 c8 u1 V4 S3", "f8 f2 i4 u4 i8 i1 ? c16 >f4 M8[s]"),
        ("const double*", "f8 c16 u1", "f4 c8 i8 >f8"),
        ("int*", "i4 u4 u1 V8", "i8 f4 f8 i2 ? >i4 c8"),
        ("unsigned int*", "u4 i4", "u8 u2 f4"),
        ("long long*", "i8 u8 M8[s] m8[ms]", "i4 f8 c8"),
        ("bool*", "? u1 i1", "i4 f4"),
        ("char*", "i1 u1 ? S8", "i2 f4"),
        ("float4*", "f4 c8", "f8 i4"),
        ("void*", "f4 f8 i1 c16 >f4", ""),
        ("float**", "u8 i8", "f4 i4"),
    ],
)
def test_arrays_hold_what_pointers_point_to(parameter: str, meant: str, refused: str) -> None:
    kernel = takes(parameter)
    for dtype in meant.split():
        cuda.simulate(kernel, 1, 1, (np.zeros(4, dtype),))
    for dtype in refused.split():
        array = np.zeros(4, dtype)
        with pytest.raises(ArgumentError) as caught:
            cuda.simulate(kernel, 1, 1, (array,))
        message = str(caught.value)
        assert message.startswith(f"Kernel 'k': argument 0 ({parameter} x) must be an array of ")
        assert "or pass cuda.pointer(array) to reinterpret its bytes on purpose" in message
        assert f"got numpy.ndarray {array.dtype}[4]. The kernel was made at {__file__}:" in message
        cuda.simulate(kernel, 1, 1, (cuda.pointer(array),))


def test_the_bits_of_half_precision_are_integers() -> None:
    kernel = cuda.Kernel(HALVES, "k")
    for dtype in ("f2", "u2", "i2"):
        cuda.simulate(kernel, 1, 1, (np.zeros(4, dtype), np.zeros(4, "u2")))
    for first, second in (("f4", "u2"), ("f2", "f2"), ("f2", "f4"), ("u4", "u2")):
        with pytest.raises(ArgumentError, match="must be an array of"):
            cuda.simulate(kernel, 1, 1, (np.zeros(4, first), np.zeros(4, second)))


def test_a_bare_pointer_is_one_to_an_array() -> None:
    for args in ((cuda.pointer(3), 1.0, 4), (np.zeros(4, "f4"), cuda.pointer(np.zeros(1)), 4)):
        with pytest.raises(ArgumentError, match=r"Kernel 'scale': argument \d \(.*\) must be"):
            cuda.simulate(SCALE, 1, 1, args)


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        ((np.zeros(4, "f4"), 1.0), "expected 3 arguments, got 2"),
        ((np.zeros(4, "f4"), np.float64(1), 4), "args[1]: expected a float, got 8 bytes"),
        ((np.zeros(4, "f4"), np.int32(1), 4), "args[1]: expected a float, got np.int32(1)"),
        ((np.zeros(4, "f4"), 1, 4), "args[1]: expected a float, got 1 of type"),
        ((np.zeros(4, "f4"), 1.0, 2**33), "args[2]: expected an integer that fits 4 bytes"),
        ((np.zeros(4, "f4"), 1.0, np.int64(4)), "args[2]: expected 4 bytes by value, got 8 bytes"),
        ((np.zeros(4, "f4"), 1.0, 4.0), "args[2]: expected 4 bytes by value, got 4.0"),
        ((np.zeros(4, "f4"), np.zeros(4, "f4"), 4), "args[1]: expected a float, got an array"),
        ((np.zeros(4, "f4"), 1.0, "n"), "args[2]: expected 4 bytes by value, got 'n'"),
        ((1.5, 1.0, 4), "args[0]: expected 8 bytes or a pointer, got 1.5"),
    ],
)
def test_wrong_arguments_are_named(args: tuple[Any, ...], problem: str) -> None:
    with pytest.raises(ArgumentError, match=re.escape(f"Kernel 'scale': {problem}")):
        cuda.simulate(SCALE, 1, 4, args)


@pytest.mark.parametrize(
    ("grid", "block"), [(-1, 1), (1, 0), (1, 2048), ((1, 1, 1, 1), 1), (1.5, 1), (1, (32, 64))]
)
def test_launches_no_gpu_accepts_are_refused(grid: Any, block: Any) -> None:
    with pytest.raises(ArgumentError, match="Kernel 'scale'"):
        cuda.simulate(SCALE, grid, block, (np.zeros(4, "f4"), 1.0, 4))


def test_more_threads_than_the_kernel_is_compiled_for() -> None:
    kernel = cuda.Kernel(
        'extern "C" __global__ void __launch_bounds__(64) k(int* x) { x[0] = 1; }', "k"
    )
    with pytest.raises(cuda.SimulationError, match="LAUNCH .*128 threads per block.*allows 64"):
        cuda.simulate(kernel, 1, 128, (np.zeros(1, "i4"),))


def test_more_shared_memory_than_any_gpu_has() -> None:
    with pytest.raises(cuda.SimulationError, match="LAUNCH .*300000 bytes of shared memory"):
        cuda.simulate(SCALE, 1, 4, (np.zeros(4, "f4"), 1.0, 4), shared_mem=300_000)
    with pytest.raises(ArgumentError, match="shared_mem must be a number of bytes, got -1"):
        cuda.simulate(SCALE, 1, 4, (np.zeros(4, "f4"), 1.0, 4), shared_mem=-1)


def test_a_grid_of_size_zero_runs_nothing() -> None:
    x = np.ones(4, np.float32)
    cuda.simulate(SCALE, (0, 3), 4, (x, 2.0, 4))
    assert x.tolist() == [1, 1, 1, 1]


def test_structures_by_value() -> None:
    kernel = cuda.Kernel(
        """struct P { char tag; double scale; short n[3]; };
        extern "C" __global__ void k(double* out, P p) {
            out[0] = p.tag; out[1] = p.scale; out[2] = p.n[threadIdx.x + 1];
        }""",
        "k",
    )
    fields = {
        "names": ["tag", "scale", "n"],
        "formats": ["i1", "f8", "3i2"],
        "offsets": [0, 8, 16],
        "itemsize": 24,
    }
    value = np.zeros(1, np.dtype(fields))
    value["tag"], value["scale"], value["n"] = -3, 2.5, [7, 8, 9]
    for given in (value[0], value[0].tobytes(), value):
        out = np.zeros(3)
        cuda.simulate(kernel, 1, 1, (out, given))
        assert out.tolist() == [-3, 2.5, 8]
    with pytest.raises(ArgumentError, match="args.1.: expected a structure of 24 bytes"):
        cuda.simulate(kernel, 1, 1, (np.zeros(3), b"short"))


def test_the_message_says_what_who_and_where() -> None:
    kernel = cuda.Kernel(
        """extern "C" __global__ void shift(float* x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        x[i + 3] = 1.0f;
}""",
        "shift",
    )
    with pytest.raises(cuda.SimulationError) as caught:
        cuda.simulate(kernel, 4, (16, 1), (np.zeros(62, np.float32), 62))
    error = caught.value
    assert str(error) == (
        "OUT-OF-BOUNDS in kernel 'shift': out of bounds write of 4 bytes at 1 element past the end "
        "of argument 0 (float32[62]); thread (11, 0, 0) of block (3, 0, 0)\n"
        "  at shift.cu:4: x[i + 3] = 1.0f;"
    )
    assert (error.thread, error.block) == ((11, 0, 0), (3, 0, 0))
    assert isinstance(error, GpuopsError) and isinstance(error, RuntimeError)
    assert (error.kind, error.kernel, error.file, error.line) == (
        "OUT-OF-BOUNDS",
        "shift",
        "shift.cu",
        4,
    )
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_a_view_is_only_as_long_as_it_is() -> None:
    owner = np.zeros(100, np.float32)
    with pytest.raises(
        cuda.SimulationError, match="1 element past the end of argument 0 .float32.10"
    ):
        cuda.simulate(SCALE, 1, 32, (owner[20:30], 1.0, 11))
    reverse = cuda.Kernel(
        'extern "C" __global__ void k(float* x) { x[-(int)threadIdx.x] = 1; }', "k"
    )
    with pytest.raises(cuda.SimulationError, match="1 element before the start of argument 0"):
        cuda.simulate(reverse, 1, 32, (owner[20:30],))
    # A view of negative strides begins at its end.
    cuda.simulate(reverse, 1, 10, (owner[20:30][::-1],))
    assert owner[20:30].tolist() == [1] * 10 and owner.sum() == 10


def test_views_that_do_not_overlap_are_apart_and_those_that_do_are_one() -> None:
    copy = cuda.Kernel(
        'extern "C" __global__ void k(const float* x, float* y) {'
        " y[threadIdx.x] = x[threadIdx.x] + 1; }",
        "k",
    )
    owner = np.arange(12, dtype=np.float32)
    cuda.simulate(copy, 1, 4, (owner[:4], owner[4:8]))
    assert owner[4:8].tolist() == [1, 2, 3, 4]
    with pytest.raises(cuda.SimulationError, match="past the end of argument 0"):
        cuda.simulate(copy, 1, 5, (owner[:4], owner[4:9]))
    same = np.arange(4, dtype=np.float32)
    cuda.simulate(copy, 1, 4, (same, same))
    assert same.tolist() == [1, 2, 3, 4]
    # Thread i writes what thread i + 1 reads.
    with pytest.raises(cuda.SimulationError, match="race"):
        _overlapping(copy)


def _overlapping(kernel: cuda.Kernel) -> None:
    memory = np.zeros(65, np.float32)
    cuda.simulate(kernel, 1, 64, (memory[1:], memory[:-1]))


def test_alignment_is_that_of_the_view_in_its_owner() -> None:
    kernel = cuda.Kernel(
        'extern "C" __global__ void k(float4* x) { x[threadIdx.x].x = 1;'
        " float4 v = x[threadIdx.x]; v.y = 2; x[threadIdx.x] = v; }",
        "k",
    )
    owner = np.zeros(40, np.float32)
    cuda.simulate(kernel, 1, 8, (owner[4:36],))
    assert owner[4::4].tolist()[:8] == [1] * 8
    with pytest.raises(cuda.SimulationError, match="misaligned") as caught:
        cuda.simulate(kernel, 1, 8, (owner[1:33],))
    assert caught.value.kind == "MISALIGNED"


def test_read_only_arrays_can_be_read_but_not_written() -> None:
    x = np.ones(4, np.float32)
    x.flags.writeable = False
    copy = cuda.Kernel(
        'extern "C" __global__ void k(const float* x, float* y) {'
        " y[threadIdx.x] = x[threadIdx.x]; }",
        "k",
    )
    y = np.zeros(4, np.float32)
    cuda.simulate(copy, 1, 4, (x, y))
    assert y.tolist() == [1] * 4
    with pytest.raises(cuda.SimulationError, match="argument 0 .*, which is read-only") as caught:
        cuda.simulate(SCALE, 1, 4, (x, 2.0, 4))
    assert caught.value.kind == "READ-ONLY"


def test_null_pointers_are_fine_until_they_are_used() -> None:
    kernel = cuda.Kernel(
        'extern "C" __global__ void k(const float* bias, float* y) { y[0] = bias ? bias[1] : 7; }',
        "k",
    )
    for null in (None, 0, np.uint64(0)):
        y = np.zeros(1, np.float32)
        cuda.simulate(kernel, 1, 1, (null, y))
        assert y[0] == 7
    deref = cuda.Kernel(
        'extern "C" __global__ void k(const float* x, float* y) { y[0] = x[1]; }', "k"
    )
    with pytest.raises(cuda.SimulationError, match="address 0x4, the null pointer"):
        cuda.simulate(deref, 1, 1, (None, np.zeros(1, "f4")))


def test_memory_the_caller_calls_unwritten() -> None:
    written = np.zeros(16, bool)
    written[:8] = True
    out = np.empty(4, np.float32)
    with pytest.raises(cuda.SimulationError, match="element 2 of argument 0 .*nobody has written"):
        cuda.simulate(SCALE, 1, 4, (out, 1.0, 4), _written=[written, None, None])
    fill = cuda.Kernel('extern "C" __global__ void k(float* x) { x[threadIdx.x] = 1; }', "k")
    cuda.simulate(fill, 1, 3, (out,), _written=[written])
    assert written.tolist() == [True] * 12 + [False] * 4
    cuda.simulate(SCALE, 1, 3, (out, 2.0, 3), _written=[written, None, None])
    assert out[:3].tolist() == [2, 2, 2]


def test_waves_of_blocks_give_what_one_wave_gives() -> None:
    x = np.arange(1000, dtype=np.float32)
    cuda.simulate(SCALE, 32, 32, (x, 2.0, 1000), _resident=96)
    assert np.array_equal(x, 2 * np.arange(1000))


def test_what_is_not_simulated_is_named_when_it_executes() -> None:
    kernel = cuda.Kernel(
        r"""extern "C" __global__ void k(int* x, int odd) {
            x[0] = 1;
            if (odd)
                asm volatile("tex.1d.v4.f32.s32 {%%0, %%0, %%0, %%0}, [%%0, {%%0}];");
            x[0] = 2;
        }""".replace("{%%0, %%0, %%0, %%0}, [%%0, {%%0}]", "{a, b, c, d}, [t, {i}]"),
        "k",
    )
    x = np.zeros(1, np.int32)
    cuda.simulate(kernel, 1, 1, (x, 0))
    assert x[0] == 2
    with pytest.raises(cuda.SimulationError, match=r"unsupported instruction tex\.1d") as caught:
        cuda.simulate(kernel, 1, 1, (x, 1))
    assert (caught.value.kind, caught.value.line) == ("UNSUPPORTED", 4)


def test_traps_and_assertions_are_named() -> None:
    kernel = cuda.Kernel(
        """extern "C" __global__ void k(const int* x) {
            if (x[threadIdx.x] == 7) __trap();
            assert(x[threadIdx.x] < 5);
        }""",
        "k",
    )
    cuda.simulate(kernel, 1, 4, (np.arange(4, dtype=np.int32),))
    with pytest.raises(cuda.SimulationError, match=r"assertion `x\[threadIdx.x\] < 5` failed") as e:
        cuda.simulate(kernel, 1, 6, (np.arange(6, dtype=np.int32),))
    assert (e.value.kind, e.value.thread) == ("ASSERT", (5, 0, 0))
    with pytest.raises(cuda.SimulationError, match="__trap") as e:
        cuda.simulate(kernel, 1, 8, (np.arange(8, dtype=np.int32),))
    assert (e.value.kind, e.value.thread, e.value.line) == ("TRAP", (7, 0, 0), 2)


def test_generated_functions_are_visible() -> None:
    text = HEADER + (
        ".visible .entry k(.param .u64 p) { .reg .b64 %a; .reg .b32 %r<3>; ld.param.u64 %a, [p];"
        "mov.u32 %r1, %tid.x; add.u32 %r2, %r1, 5; st.global.u32 [%a+400], %r2; ret; }"
    )
    with pytest.raises(cuda.SimulationError) as caught:
        run_ptx(text, "k", 1, 1, (np.zeros(4, "u4"),))
    context = caught.value.__context__
    assert context is not None
    shown = "".join(traceback.format_tb(context.__traceback__))
    assert "block_0" in shown and "M.store(L" in shown


def test_threads_may_simulate_at_once() -> None:
    arrays = [np.ones(500, np.float32) for _ in range(4)]
    workers = [
        threading.Thread(target=cuda.simulate, args=(SCALE, 8, 64, (a, 3.0, 500))) for a in arrays
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all((a == 3).all() for a in arrays)
