"""Launches for the controls: kernels that look wrong to a hasty checker and are not."""

from __future__ import annotations

import numpy as np

from tests.cuda_corpus.corpus import Launch, Table, floats, ints, zeros

CONTROLS = Table()
control = CONTROLS.entry()

I4 = np.int32
F4 = np.float32


# -- barriers and exits ----------------------------------------------------------------------------


@control
def early_exit_before_barrier() -> Launch:
    x = ints(100)
    return Launch(2, 64, (x, zeros(100, dtype=I4), I4(100)), {1: [*x[63::-1], *x[:63:-1]]})


@control
def block_leaves_before_barrier() -> Launch:
    x = ints(6, 32)
    right = x.copy()
    right[1::2] = x[1::2, ::-1]
    right[5] = 0
    return Launch(8, 32, (x, zeros(6, 32, dtype=I4), I4(5)), {1: right})


@control
def double_buffer() -> Launch:
    x = floats(5, 64)
    return Launch(1, 64, (x, zeros(64), I4(5)), {1: x[:, ::-1].sum(0)}, rtol=1e-4)


@control
def named_barriers() -> Launch:
    x = ints(128)
    right = np.concatenate([x[63::-1], x[:63:-1] + 1])
    return Launch(1, 128, (x, zeros(128, dtype=I4)), {1: right})


@control
def arrive_and_wait() -> Launch:
    x = ints(4, 32)
    return Launch(1, 64, (x, zeros(4, 32, dtype=I4), I4(4)), {1: x[:, ::-1]})


@control
def divergent_trip_counts() -> Launch:
    x = ints(64, low=1, high=1000)
    steps = np.array([_collatz(int(start)) for start in x])
    args = (x, zeros(64, dtype=I4), zeros(2, dtype=I4))
    return Launch(1, 64, args, {1: steps[::-1], 2: steps.reshape(2, 32).max(1)})


def _collatz(value: int) -> int:
    steps = 0
    while value != 1:
        value = 3 * value + 1 if value % 2 else value // 2
        steps += 1
    return steps


@control
def loop_until_agreed() -> Launch:
    x = ints(64)
    return Launch(1, 32, (x,), {0: np.sort(x)})


# -- warps -----------------------------------------------------------------------------------------


@control
def warp_reduce_syncwarp() -> Launch:
    x = ints(192)
    return Launch(3, 64, (x, zeros(6, dtype=I4)), {1: x.reshape(6, 32).sum(1)})


@control
def cooperative_tiles() -> Launch:
    x = ints(64)
    sums = x.reshape(8, 8).sum(1)
    return Launch(1, 64, (x, zeros(8, dtype=I4)), {1: np.roll(sums[::-1], -1)})


@control
def ballot_as_mask() -> Launch:
    x = ints(20)
    return Launch(1, 32, (x, zeros(20, dtype=I4), I4(20)), {1: x - x[0]})


@control
def partial_warp() -> Launch:
    x = ints(40)
    odd = np.repeat([(x[:32] % 2).sum(), (x[32:] % 2).sum()], [32, 8])
    sums = np.repeat(x.reshape(5, 8).sum(1), 8)
    return Launch(1, 40, (x, zeros(40, dtype="u4")), {1: 1000 * odd + sums})


@control
def warp_aggregated_atomic() -> Launch:
    x = ints(100, high=6)
    right = np.bincount(x, minlength=6)
    return Launch(2, 64, (x, zeros(6, dtype=I4), I4(100)), {1: right})


@control
def shuffle_by_index() -> Launch:
    x = np.linspace(0, 1, 32)
    lane = np.arange(32)
    return Launch(1, 32, (x, zeros(32, dtype="f8")), {1: x[lane // 16 * 16 + (5 * lane + 3) % 16]})


# -- waiting for other threads ---------------------------------------------------------------------


@control
def spin_producer_consumer() -> Launch:
    x = ints(32)
    args = (x, zeros(32, dtype=I4), zeros(1, dtype=I4), zeros(32, dtype=I4))
    return Launch(2, 32, args, {3: 3 * x[::-1] + 1})


@control
def volatile_flag_with_fence() -> Launch:
    x = ints(12)
    return Launch(12, 32, (x, zeros(12, dtype=I4), zeros(12, dtype=I4)), {1: x.cumsum()})


@control
def flag_between_warps() -> Launch:
    x = ints(1)
    return Launch(1, 64, (x, zeros(1, dtype=I4)), {1: 2 * x})


@control
def last_block_done() -> Launch:
    x = floats(1000)
    args = (x, zeros(5), zeros(1, dtype="u4"), zeros(1), I4(1000))
    return Launch(5, 64, args, {2: 0, 3: x.sum(dtype=float)}, rtol=1e-4)


@control
def lock_per_thread() -> Launch:
    x = ints(48)
    return Launch(1, 48, (zeros(1, dtype=I4), zeros(1, dtype=I4), x), {0: 0, 1: x.sum()})


@control
def barrier_of_grid() -> Launch:
    x = floats(128)
    right = x.copy()
    for _ in range(3):
        padded = np.pad(right, 1)
        right = (padded[:-2] + padded[2:]) / 2
    args = (x, zeros(128), zeros(1, dtype="u4"), I4(128), I4(3))
    return Launch(4, 32, args, {0: right, 2: 24}, rtol=1e-4)


@control
def ticket_order() -> Launch:
    x = floats(20)
    args = (zeros(1, dtype=I4), zeros(1, dtype=I4), zeros(1), x)
    return Launch(20, 32, args, {0: 20, 1: 20, 2: x.sum()}, rtol=1e-4)


# -- memory ----------------------------------------------------------------------------------------


@control
def atomics_beside_plain_reads() -> Launch:
    x = np.abs(floats(300))
    return Launch(3, 128, (x, zeros(1), I4(300)), {1: x.max()})


@control
def zero_size_grid() -> Launch:
    return Launch((3, 0), 32, (zeros(1),), {0: 0})


@control
def in_place_elementwise() -> Launch:
    x = floats(100)
    return Launch(2, 64, (x, x, I4(100)), {0: x * x + 1})


@control
def overlapping_views() -> Launch:
    owner = ints(150)
    a, b = owner[:50], owner[20:70]
    return Launch(1, 64, (a, b, owner[70:120], I4(50)), {2: a + b, 0: a.copy()})


@control
def strided_view() -> Launch:
    x = floats(8, 30)[::2, 1::3]
    args = (x, zeros(4, 10), I4(4), I4(10), *(np.int64(step // 4) for step in x.strides))
    return Launch(4, 32, args, {1: -x})


@control
def unused_vector_part() -> Launch:
    points = floats(32, 3)
    return Launch(1, 32, (points, zeros(32)), {1: (points**2).sum(1)[::-1]})


@control
def struct_padding() -> Launch:
    x, pick = ints(32), ints(32, high=2)
    chosen = np.where(pick, x, x[::-1])
    return Launch(1, 32, (x, zeros(32, dtype="f8"), pick), {1: 2.5 * chosen})


@control
def calls_not_inlined() -> Launch:
    x, n = ints(32), 7
    weight, lane = np.arange(1, n + 1), np.arange(32)
    one, two = (x[:n] * weight).sum(), (x[1 : n + 1] * weight).sum()
    own = sum(x[(lane + k) % 32] * (k + 1) for k in range(4))
    right = np.where(lane % 3, np.where(lane % 2, two, one) + own, one)
    return Launch(1, 32, (x, zeros(32, dtype=I4), I4(n)), {1: right})


@control
def index_64_bit() -> Launch:
    x = floats(100)
    return Launch(2, 64, (x, zeros(100), np.int64(5 << 33), I4(100)), {1: x[::-1]})


@control
def grid_stride() -> Launch:
    x = floats(300)
    return Launch(2, 64, (x, zeros(300), np.uint32(300)), {1: x + np.arange(300)})


@control
def async_double_buffer() -> Launch:
    x = floats(302)
    right = np.pad(x, (0, 82)).reshape(3, 128)[:, ::-1].reshape(3, 32, 4).sum((0, 2))
    return Launch(1, 32, (x, zeros(32), I4(302)), {1: right}, rtol=1e-4)


@control
def same_value_writes() -> Launch:
    return Launch(1, 96, (ints(96), zeros(1, dtype=I4), I4(90)), {1: 1})


@control
def neighbouring_bytes() -> Launch:
    x = ints(128)
    return Launch(2, 128, (x, zeros(256, dtype="u1")), {1: np.tile(x[::-1], 2)})


@control
def shared_reused() -> Launch:
    x = ints(32)
    right = x[::-1][np.arange(32) ^ 1] / 4
    return Launch(1, 32, (x, zeros(32, dtype="f8")), {1: right}, shared_mem=256)


@control
def compare_null() -> Launch:
    x = floats(40)
    return Launch(1, 64, (x, np.uint64(0), zeros(40), I4(40)), {2: x / 2})


@control
def read_past_branch() -> Launch:
    x, index = ints(64), ints(64, low=-64, high=128, seed=1)
    inside = (index >= 0) & (index < 64)
    right = np.where(inside, x[np.where(inside, index, 0)], -1)
    return Launch(1, 64, (x, index, zeros(64, dtype=I4), I4(64)), {2: right})


@control
def half_pairs() -> Launch:
    x = floats(51).astype(np.float16)
    return Launch(1, 32, (x, zeros(51, dtype="f2"), I4(51)), {1: 2 * x + 1}, rtol=2e-3)


# -- more of each ----------------------------------------------------------------------------------


@control
def lookback_scan() -> Launch:
    x = ints(6, 64)
    args = (x, zeros(6, 64, dtype=I4), zeros(1, dtype=I4), zeros(6, dtype="u8"))
    return Launch(6, 64, args, {1: x.reshape(-1).cumsum().reshape(6, 64)})


@control
def work_queue() -> Launch:
    x = ints(11, 32)
    args = (x, zeros(11, 32, dtype=I4), zeros(1, dtype=I4), I4(11))
    return Launch(3, 32, args, {1: x[:, ::-1], 2: 14})


@control
def release_acquire() -> Launch:
    x = ints(9)
    args = (x, zeros(9, dtype=I4), zeros(9, dtype=I4), zeros(9, dtype=I4))
    return Launch(9, 32, args, {3: x.cumsum()})


@control
def syncwarp_in_both_branches() -> Launch:
    x = ints(32)
    right = x.copy()
    right[1::2], right[::2] = -x[::2], 2 * x[1::2]
    return Launch(1, 32, (x, zeros(32, dtype=I4)), {1: right})


@control
def masks_of_halves() -> Launch:
    x = ints(32, high=30)
    right = np.concatenate([np.full(16, x[:16].sum()), x[:15:-1] + (x[16:] % 2).sum()])
    return Launch(1, 32, (x, zeros(32, dtype=I4)), {1: right})


@control
def slices_of_warps() -> Launch:
    x = ints(10, 32)
    one = np.roll(x, -1, axis=1) - np.roll(x, -5, axis=1) // 2
    right = np.concatenate([one[warp::4].sum(0) for warp in range(4)])
    return Launch(1, 128, (x, zeros(128, dtype=I4), I4(10)), {1: right})


@control
def leader_allocates() -> Launch:
    x = ints(150)
    count = int((x > 50).sum())
    right = (np.arange(150) < count).astype(I4)
    args = (x, zeros(150, dtype=I4), zeros(1, dtype=I4), I4(150))
    return Launch(3, 64, args, {1: right, 2: count})


@control
def local_copies() -> Launch:
    x, length = ints(40), ints(32, low=1, high=7)
    t = np.arange(32)
    right = x[t + length - 1] - x[t + length // 2]
    return Launch(1, 32, (x, length, zeros(32, dtype=I4)), {2: right})


@control
def fence_then_read_back() -> Launch:
    x = ints(64)
    return Launch(2, 32, (x, zeros(1, dtype=I4)), {0: np.roll(x, 32)})


@control
def odd_block_shape() -> Launch:
    p, r, x = np.indices((5, 8, 10))
    return Launch(
        (2, 2, 2), (7, 5, 3), (zeros(5, 8, 10, dtype=I4),), {0: 100 * p + 10 * r + x + 105}
    )
