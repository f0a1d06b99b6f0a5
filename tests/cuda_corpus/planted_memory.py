"""Launches for the planted defects of memory: bounds, alignment, initialisation.

Each builds the launch for its kernel with the defect (`-DDEFECT`) or, given False, for its sound
twin. Mostly both are launched alike; where the launch itself is the defect, they differ.
"""

from __future__ import annotations

import numpy as np

from tests.cuda_corpus.corpus import Launch, Table, floats, ints, zeros

PLANTED = Table()
bounds = PLANTED.entry(kind="OUT-OF-BOUNDS")
align = PLANTED.entry(kind="MISALIGNED")
init = PLANTED.entry(kind="UNINITIALISED")
argument = PLANTED.entry(kind="ARGUMENT")

I4 = np.int32
F4 = np.float32


# -- out of bounds ---------------------------------------------------------------------------------


@bounds
def oob_read_past_end(defect: bool) -> Launch:
    x = floats(100)
    right = np.append(np.diff(x), F4(0))
    return Launch(2, 64, (x, zeros(100), I4(100)), {1: right})


@bounds
def oob_write_past_end(defect: bool) -> Launch:
    return Launch(4, 32, (zeros(100), F4(1.5), I4(100)), {0: 1.5 * np.arange(100)})


@bounds
def oob_read_before_start(defect: bool) -> Launch:
    x = floats(100)
    padded = np.pad(x, 1)
    right = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    return Launch(2, 64, (x, zeros(100), I4(100)), {1: right})


@bounds
def oob_write_before_start(defect: bool) -> Launch:
    x = ints(100)
    return Launch(1, 128, (x, zeros(100, dtype=I4), I4(100)), {1: np.append(x[1:], 0)})


@bounds
def oob_null_pointer(defect: bool) -> Launch:
    x = floats(50)
    return Launch(1, 64, (x, np.uint64(0), zeros(50), I4(50)), {2: 2 * x})


@bounds
def oob_far_away(defect: bool) -> Launch:
    x, index = floats(64), ints(64, high=64)
    right = x[index]
    index[11], right[11] = 0x7FFFFFFF, 0
    return Launch(1, 64, (x, index, zeros(64), I4(64)), {2: right})


@bounds
def oob_negative_modulo(defect: bool) -> Launch:
    keys = ints(64, low=-1000, high=1000)
    used = zeros(37, dtype=I4)
    right = used.copy()
    right[keys.view(np.uint32) % 37] = 1
    return Launch(1, 64, (keys, used, I4(64), I4(37)), {1: right})


@bounds
def oob_shared_past_end(defect: bool) -> Launch:
    x = floats(128)
    padded = np.pad(x, (0, 2))
    right = (padded[:-2] + padded[1:-1] + padded[2:]) / 2
    return Launch(2, 64, (x, zeros(128), I4(128)), {1: right})


@bounds
def oob_shared_before_start(defect: bool) -> Launch:
    x = ints(64)
    return Launch(1, 64, (x, zeros(64, dtype=I4)), {1: np.diff(x, prepend=I4(0))})


@bounds
def oob_dynamic_shared(defect: bool) -> Launch:
    x = floats(96)
    return Launch(1, 96, (x, zeros(96)), {1: x[::-1]}, shared_mem=4 * (48 if defect else 96))


@bounds
def oob_local_array(defect: bool) -> Launch:
    x = ints(32, 7, high=9)
    x[5, 3] = 8
    count = np.stack([np.bincount(row, minlength=9)[:8] for row in x])
    return Launch(1, 32, (x, zeros(32, dtype=I4), I4(7)), {1: count.argmax(1)})


@bounds
def oob_vector_load(defect: bool) -> Launch:
    x = floats(101)
    right = np.pad(x, (0, 3)).reshape(-1, 4).sum(1)
    return Launch(1, 32, (x, zeros(26), I4(101)), {1: right}, rtol=1e-4)


@bounds
def oob_vector_store(defect: bool) -> Launch:
    a, b = floats(50), floats(50, seed=1)
    return Launch(2, 32, (a, b, zeros(99), I4(99)), {2: np.stack([a, b], 1).reshape(-1)[:99]})


@bounds
def oob_vector_shared(defect: bool) -> Launch:
    x = floats(67)
    right = np.pad(x, (0, 1)).reshape(-1, 4).sum(1)
    return Launch(1, 17, (x, zeros(17)), {1: right}, rtol=1e-4)


@bounds
def oob_atomic(defect: bool) -> Launch:
    x = np.abs(floats(200))
    x[77] = 1.0
    bins = np.minimum((x * 16).astype(int), 15)
    right = np.bincount(bins, minlength=16)
    return Launch(2, 128, (x, zeros(16, dtype=I4), I4(200)), {1: right})


@bounds
def oob_atomic_shared(defect: bool) -> Launch:
    x = ints(128, high=128)
    x[70] = 128
    right = np.bincount((x >> 3) & 15, minlength=16)
    return Launch(1, 128, (x, zeros(16, dtype=I4)), {1: right})


@bounds
def oob_pitch(defect: bool) -> Launch:
    image = floats(12, 16)  # rows of 10, 64 bytes apart
    args = (image, zeros(12, 10), I4(10), I4(12), I4(64))
    return Launch((2, 3), (8, 4), args, {1: 1 - image[:, :10]})


@bounds
def oob_view(defect: bool) -> Launch:
    rows = ints(20, 8)
    return Launch(1, 8, (rows[4:12], zeros(8, dtype=I4), I4(8), I4(8)), {1: rows[4:12].sum(0)})


@bounds
def oob_constant_table(defect: bool) -> Launch:
    x = floats(60)
    right = np.convolve(x, [1, 4, 6, 4, 1])[4:]
    return Launch(1, 64, (x, zeros(60), I4(60), I4(5)), {1: right}, rtol=1e-4)


@bounds
def oob_global_variable(defect: bool) -> Launch:
    x = ints(64, high=9)
    x[3] = 8
    return Launch(1, 64, (x, zeros(8, dtype=I4), I4(64)), {1: np.bincount(x % 8, minlength=8)})


@bounds
def oob_async_copy(defect: bool) -> Launch:
    x = floats(61)
    tile = np.append(x[:60], zeros(4))
    return Launch(1, 16, (x, zeros(64), I4(61)), {1: tile[::-1]})


@argument
def argument_width(defect: bool) -> Launch:
    x = floats(30)
    return Launch(1, 32, (x, np.int64(30) if defect else I4(30)), {0: x + F4(1)})


@argument
def argument_count(defect: bool) -> Launch:
    x = floats(30)
    length = () if defect else (I4(30),)
    return Launch(1, 32, (x, zeros(30), *length), {1: x})


# -- misaligned ------------------------------------------------------------------------------------


@align
def misaligned_vector_global(defect: bool) -> Launch:
    x = floats(65)
    return Launch(1, 16, (x, zeros(16, 4), I4(65)), {1: x[1:].reshape(16, 4)})


@align
def misaligned_vector_shared(defect: bool) -> Launch:
    x = floats(4, 32)
    return Launch(1, (32, 4), (x, zeros(4, 16)), {1: x[:, ::2] * x[:, 1::2]})


@align
def misaligned_double(defect: bool) -> Launch:
    values = np.linspace(0, 1, 20)
    records = np.zeros(20, np.dtype([("tag", "i4"), ("value", "f8")], align=False))
    records["value"] = values
    return Launch(1, 32, (records.view(np.uint8), zeros(20, dtype="f8"), I4(20)), {1: values})


@align
def misaligned_view(defect: bool) -> Launch:
    x = floats(64)
    part = x[1:33] if defect else x[4:36]
    return Launch(1, 8, (part, I4(8)), {0: -part})


@align
def misaligned_store(defect: bool) -> Launch:
    x = ints(20, high=2**31 - 1).view(np.uint32)
    right = np.full((20, 3), 7, np.uint16)
    right[:, 0], right[:, 1] = x & 0xFFFF, x >> 16
    return Launch(1, 32, (zeros(60, dtype="u2"), x, I4(20)), {0: right.reshape(-1)})


@align
def misaligned_atomic(defect: bool) -> Launch:
    x = ints(40)
    right = np.array([40, 0, x.sum(), 0])
    return Launch(1, 64, (zeros(4, dtype=I4), x, I4(40)), {0: right})


# -- uninitialised ---------------------------------------------------------------------------------


@init
def uninit_shared_static(defect: bool) -> Launch:
    x = floats(50)
    return Launch(1, 64, (x, zeros(1), I4(50)), {1: x.sum()}, rtol=1e-4)


@init
def uninit_shared_dynamic(defect: bool) -> Launch:
    x = ints(200, high=10)
    args = (x, zeros(10, dtype=I4), I4(200), I4(10))
    return Launch(1, 64, args, {1: np.bincount(x, minlength=10)}, shared_mem=40)


@init
def uninit_halo(defect: bool) -> Launch:
    x = floats(120)
    padded = np.pad(x, 1)
    right = padded[:-2] - 2 * padded[1:-1] + padded[2:]
    return Launch(2, 64, (x, zeros(120), I4(120)), {1: right}, rtol=1e-4)


@init
def uninit_vector(defect: bool) -> Launch:
    points = floats(32, 3)
    return Launch(1, 32, (points, zeros(32)), {1: (points**2).sum(1)[::-1]})


@init
def uninit_local(defect: bool) -> Launch:
    x, pick = ints(40), ints(32, high=5)
    right = x[np.arange(32) + pick]
    pick[9], right[9] = 6, -1
    return Launch(1, 32, (x, pick, zeros(32, dtype=I4), I4(5)), {2: right})


@init
def uninit_second_tile(defect: bool) -> Launch:
    x = floats(32)
    return Launch(3, 32, (x, zeros(96)), {1: np.tile((x * x)[::-1], 3)})


@init
def uninit_half_word(defect: bool) -> Launch:
    x = ints(33).astype(np.int16)
    right = 3 * np.append(x, np.int16(0)).view(I4)
    return Launch(1, 32, (x, zeros(17, dtype=I4), I4(33)), {1: right})
