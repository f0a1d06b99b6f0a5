"""Launches for the planted defects of order: races, barriers, masks, progress; and traps.

As in `planted_memory`, each builds the launch for its kernel with the defect or for its sound twin.
"""

from __future__ import annotations

import numpy as np

from tests.cuda_corpus.corpus import Launch, Table, floats, ints, zeros

PLANTED = Table()
race = PLANTED.entry(kind="RACE")
# A read of bytes that an asynchronous copy may not have written yet is both.
late_copy = PLANTED.entry(kind=("RACE", "UNINITIALISED"))
barrier = PLANTED.entry(kind="BARRIER-DIVERGENCE")
# Threads short of a barrier's count are as much without progress as they are divergent.
short_barrier = PLANTED.entry(kind=("BARRIER-DIVERGENCE", "NO-PROGRESS"))
mask = PLANTED.entry(kind="WARP-MASK")
progress = PLANTED.entry(kind="NO-PROGRESS")
read_only = PLANTED.entry(kind="READ-ONLY")

I4 = np.int32


# -- races -----------------------------------------------------------------------------------------


@race
def race_shared_missing_barrier(defect: bool) -> Launch:
    x = ints(64)
    return Launch(1, 64, (x, zeros(64, dtype=I4)), {1: x[::-1]})


@race
def race_missing_syncwarp(defect: bool) -> Launch:
    x = ints(32)
    return Launch(1, 32, (x, zeros(32, dtype=I4)), {1: x[np.arange(32) ^ 1]})


@race
def race_global_between_blocks(defect: bool) -> Launch:
    x = floats(128)
    return Launch(2, 64, (x, zeros(128), zeros(128)), {1: 2 * x, 2: 2 * x[::-1]})


@race
def race_global_within_block(defect: bool) -> Launch:
    x = ints(96)
    args = (x, zeros(96, dtype=I4), zeros(96, dtype=I4))
    return Launch(1, 96, args, {2: 3 * np.roll(x, -32)})


@race
def race_write_write(defect: bool) -> Launch:
    x = ints(128)
    first = np.flatnonzero(x > 60)[0]
    return Launch(2, 64, (x, np.array([1000], I4), I4(128), I4(60)), {1: first})


@race
def race_write_write_shared(defect: bool) -> Launch:
    x = ints(64, low=1)
    return Launch(1, 64, (x, zeros(1, dtype=I4)), {1: x.max()})


@race
def race_increment(defect: bool) -> Launch:
    x = ints(128, high=8)
    right = np.bincount(x, minlength=8)
    return Launch(2, 64, (x, zeros(8, dtype=I4), I4(128)), {1: right})


@race
def race_read_write_in_place(defect: bool) -> Launch:
    x = floats(128)
    right = x.copy()
    right[1:-1] = (x[:-2] + x[2:]) / 2
    return Launch(2, 64, (x, x.copy(), I4(128)), {1: right})


@race
def race_vector_overlap(defect: bool) -> Launch:
    x = floats(128, 4)
    return Launch(2, 64, (x, zeros(129 * 4)), {1: np.append(x, zeros(4))})


@race
def race_vector_shared(defect: bool) -> Launch:
    x = floats(64, 4)
    return Launch(1, 64, (x, zeros(64)), {1: x.reshape(-1)[255 - 4 * np.arange(64)]})


@race
def race_loop_end(defect: bool) -> Launch:
    x = floats(3, 64)
    return Launch(1, 64, (x, zeros(64), I4(3)), {1: (x * x[:, ::-1]).sum(0)}, rtol=1e-4)


@late_copy
def race_async_copy(defect: bool) -> Launch:
    x = floats(64, 4)
    return Launch(1, 64, (x, zeros(64)), {1: x[::-1, 0]})


@late_copy
def race_async_stage(defect: bool) -> Launch:
    x = floats(4, 128)
    right = x[:, ::-1].reshape(4, 32, 4).sum((0, 2))
    return Launch(1, 32, (x, zeros(32), I4(4)), {1: right}, rtol=1e-4)


@race
def race_shared_byte(defect: bool) -> Launch:
    x = ints(64, high=16).astype(np.uint8)
    return Launch(1, 64, (x, zeros(32, dtype="u1")), {1: x[::2] | (x[1::2] << 4)})


@race
def race_scan(defect: bool) -> Launch:
    x = ints(64)
    return Launch(1, 64, (x, zeros(64, dtype=I4)), {1: x.cumsum()})


@race
def race_tree_last_warp(defect: bool) -> Launch:
    x = ints(128)
    return Launch(1, 128, (x, zeros(1, dtype=I4)), {1: x.sum()})


@race
def race_flag_without_atomic(defect: bool) -> Launch:
    x = ints(128)
    return Launch(4, 32, (zeros(1, dtype=I4), x, zeros(128, dtype=I4)), {0: 4, 2: x + 1})


@race
def race_between_warps(defect: bool) -> Launch:
    x = ints(64)
    return Launch(1, 64, (x, zeros(64, dtype=I4)), {1: np.roll(x, 32)})


@race
def race_transposed_write(defect: bool) -> Launch:
    x = ints(4, 32)
    return Launch(4, 32, (x, zeros(4, 32, dtype=I4)), {1: x})


@race
def race_missing_fence(defect: bool) -> Launch:
    x = ints(6)
    args = (x, zeros(6, dtype=I4), zeros(1, dtype=I4), zeros(1, dtype=I4))
    return Launch(6, 32, args, {2: 6, 3: 2 * x.sum()})


@race
def race_wait_by_one_thread(defect: bool) -> Launch:
    x = ints(64)
    args = (x, zeros(64, dtype=I4), zeros(1, dtype=I4), zeros(64, dtype=I4))
    return Launch(2, 64, args, {3: 3 * x[::-1] + 1})


@race
def race_across_waves(defect: bool) -> Launch:
    return Launch(600, 256, (zeros(2, dtype=I4), I4(600)), {0: [600, 1]})


@race
def race_write_beside_atomics(defect: bool) -> Launch:
    x = ints(128)
    return Launch(2, 64, (x, zeros(1, dtype=I4)), {1: (x > 50).sum()})


@race
def race_async_overwrites(defect: bool) -> Launch:
    x = floats(3, 256)
    args = (x, zeros(64), I4(3))
    return Launch(1, 64, args, {1: x[:, :191:-1].sum(0)}, rtol=1e-4)


@race
def race_two_dynamic_arrays(defect: bool) -> Launch:
    x = ints(64)
    right = x + 0.25 * np.roll(x, 32)
    return Launch(1, 64, (x, zeros(64)), {1: right}, shared_mem=512)


# -- barriers --------------------------------------------------------------------------------------


@barrier
def barrier_in_branch(defect: bool) -> Launch:
    x = ints(64)
    return Launch(1, 64, (x, zeros(64, dtype=I4)), {1: x[::-1]})


@barrier
def barrier_both_branches(defect: bool) -> Launch:
    x = ints(64)
    sign = np.where(np.arange(64) % 2, 1, -1)
    return Launch(1, 64, (x, zeros(64, dtype=I4)), {1: sign * x[::-1]})


@barrier
def barrier_in_loop(defect: bool) -> Launch:
    x = ints(100)
    right = np.full(64, x[0] + x[64])
    return Launch(1, 64, (x, zeros(64, dtype=I4), I4(100)), {1: right})


@short_barrier
def barrier_count_too_high(defect: bool) -> Launch:
    x = ints(64)
    return Launch(1, 128, (x, zeros(64, dtype=I4)), {1: x[::-1]})


@short_barrier
def barrier_missed_by_return(defect: bool) -> Launch:
    x = ints(96)
    right = np.concatenate([x[31::-1], zeros(32), x[64:]])
    return Launch(1, 96, (x, zeros(96, dtype=I4), I4(32)), {1: right})


# -- warp masks ------------------------------------------------------------------------------------


@mask
def mask_exited_lanes(defect: bool) -> Launch:
    x = floats(20)
    return Launch(1, 32, (x, zeros(1), I4(20)), {1: x.sum()}, rtol=1e-4)


@mask
def mask_without_caller(defect: bool) -> Launch:
    x = ints(32)
    right = np.repeat(x.reshape(2, 16).sum(1), 16)
    return Launch(1, 32, (x, zeros(32, dtype=I4)), {1: right})


@mask
def mask_reads_outside(defect: bool) -> Launch:
    x = ints(32)
    return Launch(1, 32, (x, zeros(32, dtype=I4)), {1: np.append(x[15::-1], x[16:])})


@mask
def mask_syncwarp(defect: bool) -> Launch:
    x = ints(24)
    return Launch(1, 32, (x, zeros(24, dtype=I4)), {1: x[::-1]})


@mask
def mask_vote(defect: bool) -> Launch:
    x = ints(20, low=0, high=6)
    x[7] = 0
    return Launch(1, 32, (x, zeros(32, dtype=I4), I4(20)), {1: np.full(32, x.max())})


# -- no progress -----------------------------------------------------------------------------------


@progress
def spin_nobody_sets(defect: bool) -> Launch:
    x = ints(32)
    args = (zeros(1, dtype=I4), x, zeros(32, dtype=I4))
    return Launch(2, 32, args, {0: 1, 2: x})


@progress
def spin_beyond_resident(defect: bool) -> Launch:
    # 384,000 threads: more than any device keeps resident, and than the simulator does.
    return Launch(3000, 128, (zeros(1, dtype=I4), zeros(1, dtype=I4)), {0: 3000, 1: 3000})


@progress
def spin_search(defect: bool) -> Launch:
    table = np.sort(ints(50))
    wanted = ints(32, seed=1)
    args = (table, wanted, zeros(32, dtype=I4), I4(50))
    return Launch(1, 32, args, {2: np.searchsorted(table, wanted)})


@progress
def spin_lock_kept(defect: bool) -> Launch:
    x = np.array([3, 0, 4, 5], I4)
    return Launch(4, 32, (zeros(1, dtype=I4), x, zeros(1, dtype=I4)), {0: 0, 2: 12})


# -- traps, read-only arrays, launches -------------------------------------------------------------


@PLANTED.entry(kind="TRAP")
def trap_on_bad_input(defect: bool) -> Launch:
    x = ints(32, low=-3)
    x[17] = -1
    return Launch(1, 32, (x, zeros(32, dtype=I4)), {1: 2 * np.maximum(x, 0)})


@PLANTED.entry(kind="ASSERT")
def assert_on_bad_input(defect: bool) -> Launch:
    index = ints(32, high=20)
    index[4] = 25
    return Launch(1, 32, (index, zeros(32, dtype=I4), I4(20)), {1: index % 20})


@read_only
def read_only_written(defect: bool) -> Launch:
    x = floats(30)
    x.flags.writeable = False
    return Launch(1, 32, (x, zeros(30), I4(30)), {1: x / 2})


@read_only
def read_only_constant(defect: bool) -> Launch:
    x = ints(4)
    return Launch(1, 4, (x, zeros(4, dtype=I4), I4(0)), {1: x + np.array([2, 3, 5, 7])})


@read_only
def read_only_atomic(defect: bool) -> Launch:
    bins, x = ints(8), ints(32, high=8)
    bins.flags.writeable = False
    right = bins * np.bincount(x, minlength=8)
    return Launch(1, 32, (bins, x, zeros(8, dtype=I4)), {2: right})


@PLANTED.entry(kind="LAUNCH")
def launch_too_many_threads(defect: bool) -> Launch:
    x = ints(128)
    return Launch(*((1, 128) if defect else (2, 64)), (x,), {0: x + 1})
