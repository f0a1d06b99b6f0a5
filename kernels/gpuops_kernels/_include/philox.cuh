// Philox 4x32-10 (Salmon et al. 2011), as gpuops.random.philox4x32, and the loop around it that the
// kernels which draw random numbers share.

#pragma once

// The four words of a block of the stream that the key selects.
__device__ inline void philox(unsigned long long block, unsigned int k0, unsigned int k1,
                              unsigned int (&w)[4]) {
    unsigned int c0 = (unsigned int)block, c1 = (unsigned int)(block >> 32), c2 = 0, c3 = 0;
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const unsigned int high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        const unsigned int high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    w[0] = c0;
    w[1] = c1;
    w[2] = c2;
    w[3] = c3;
}

template <typename T, int N> struct alignas(sizeof(T) * N) Pack { T item[N]; };

// Calls make(words, b, n) for each block b of the ceil(count / N) blocks that `count` elements need,
// n of which block b makes. Every thread takes one block at a time and strides over the grid: which
// words an element is made of does not depend on the launch.
template <int N, typename Make>
__device__ inline void for_each_block(long long count, const unsigned int* __restrict__ key,
                                      const unsigned long long* __restrict__ first, Make make) {
    const unsigned int k0 = key[0], k1 = key[1];
    const unsigned long long begin = first[0];
    const long long blocks = count / N + (count % N != 0);
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long b = blockIdx.x * (long long)blockDim.x + threadIdx.x; b < blocks; b += stride) {
        unsigned int w[4];
        philox(begin + (unsigned long long)b, k0, k1, w);
        const long long left = count - b * N;
        make(w, b, left < N ? int(left) : N);
    }
}

// N elements of a block, or as many as there are; `out` is aligned for N at a time.
template <int N, typename T>
__device__ inline void store(T* out, long long b, int n, const Pack<T, N>& pack) {
    if (n == N) {
        reinterpret_cast<Pack<T, N>*>(out)[b] = pack;
        return;
    }
#pragma unroll
    for (int k = 0; k < N; ++k) {
        if (k < n) out[b * N + k] = pack.item[k];
    }
}
