// nonzero: the indices of the elements that are not zero, in row-major order. Three launches:
// count them per share, sum the counts up, and write each share's indices where they begin.

#include <cuda_fp16.h>

// A share is what a block looks at: 8 warps, each 16 times 32 neighbouring elements.
constexpr int WARPS = 8, TIMES = 16;
constexpr long long SHARE = WARPS * TIMES * 32;

// PARTS is 2 for complex numbers, whose parts follow each other.
template <typename T, int PARTS> __device__ inline bool is_nonzero(const T* x, long long i) {
    if (PARTS == 1) return x[i] != T(0);
    return x[2 * i] != T(0) || x[2 * i + 1] != T(0);
}

// Of 32 * TIMES elements from `first` on, how many are not zero, the same in every lane. Lane k is
// left with the bits of elements 32 * k to 32 * k + 31 in `bits`: one register where an array of
// TIMES would not fit.
template <typename T, int PARTS>
__device__ inline int look(const T* x, long long first, long long count, unsigned int& bits) {
    const int lane = threadIdx.x % 32;
    int found = 0;
#pragma unroll
    for (int k = 0; k < TIMES; ++k) {
        const long long i = first + k * 32 + lane;
        const unsigned int some =
            __ballot_sync(0xffffffffu, i < count && is_nonzero<T, PARTS>(x, i));
        if (lane == k) bits = some;
        found += __popc(some);
    }
    return found;
}

// per_share[s] = how many elements of share s are not zero. 256 threads a block.
template <typename T, int PARTS>
__global__ void __launch_bounds__(256)
count_nonzero(const T* __restrict__ x, long long count, long long shares,
              long long* __restrict__ per_share) {
    __shared__ int found[WARPS];
    const int warp = threadIdx.x / 32;
    for (long long share = blockIdx.x; share < shares; share += gridDim.x) {
        unsigned int bits = 0;
        const int mine = look<T, PARTS>(x, share * SHARE + warp * TIMES * 32, count, bits);
        if (threadIdx.x % 32 == 0) found[warp] = mine;
        __syncthreads();
        if (threadIdx.x == 0) {
            int sum = 0;
            for (int w = 0; w < WARPS; ++w) sum += found[w];
            per_share[share] = sum;
        }
        __syncthreads();
    }
}

// offsets[s] = the sum of per_share before s; offsets[shares] = of all. One block of 1024 threads:
// each sums a run of neighbours, then all sum what the others found.
extern "C" __global__ void __launch_bounds__(1024)
sum_up(const long long* __restrict__ per_share, long long shares,
       long long* __restrict__ offsets) {
    __shared__ long long warp_sums[32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const long long run = (shares + 1023) / 1024;
    const long long begin = min(threadIdx.x * run, shares), end = min(begin + run, shares);
    long long sum = 0;
    for (long long s = begin; s < end; ++s) sum += per_share[s];
    long long before = sum;  // with this thread's own until the end
    for (int offset = 1; offset < 32; offset *= 2) {
        const long long other = __shfl_up_sync(0xffffffffu, before, offset);
        if (lane >= offset) before += other;
    }
    if (lane == 31) warp_sums[warp] = before;
    __syncthreads();
    for (int w = 0; w < warp; ++w) before += warp_sums[w];
    if (threadIdx.x == 1023) offsets[shares] = before;
    before -= sum;
    for (long long s = begin; s < end; ++s) {
        offsets[s] = before;
        before += per_share[s];
    }
}

// The index of element i along each of the axes. Division by a 32-bit number takes a fraction of
// the time of one by a 64-bit number.
template <typename I>
__device__ inline void unravel(I i, const long long* shape, int axes, long long* row) {
    for (int axis = axes - 1; axis > 0; --axis) {
        const I length = I(shape[axis]);
        row[axis] = (long long)(i % length);
        i /= length;
    }
    row[0] = (long long)i;
}

// out[offsets[s] + k, :] = the index of element k of those of share s that are not zero. Six blocks
// to a multiprocessor: for the eight that fit by their threads, registers would be spilled.
template <typename T, int PARTS>
__global__ void __launch_bounds__(256, 6)
write_nonzero(const T* __restrict__ x, long long count, long long shares,
              const long long* __restrict__ offsets, const long long* __restrict__ shape,
              long long axes, long long* __restrict__ out) {
    __shared__ int found[WARPS];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const unsigned int lower = (1u << lane) - 1;
    for (long long share = blockIdx.x; share < shares; share += gridDim.x) {
        const long long first = share * SHARE + warp * TIMES * 32;
        unsigned int bits = 0;
        const int mine = look<T, PARTS>(x, first, count, bits);
        if (lane == 0) found[warp] = mine;
        __syncthreads();
        long long at = offsets[share];
        for (int w = 0; w < warp; ++w) at += found[w];
#pragma unroll 1
        for (int k = 0; k < TIMES; ++k) {
            const unsigned int some = __shfl_sync(0xffffffffu, bits, k);
            if (some >> lane & 1) {
                const long long i = first + k * 32 + lane;
                long long* row = out + (at + __popc(some & lower)) * axes;
                if (count <= 0xffffffffLL) unravel((unsigned int)i, shape, int(axes), row);
                else unravel((unsigned long long)i, shape, int(axes), row);
            }
            at += __popc(some);
        }
        // The next share's counts are written to `found`: not before every warp has read it.
        __syncthreads();
    }
}
