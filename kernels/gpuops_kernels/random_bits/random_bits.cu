// random_bits: the words of the stream as they are.

#include "../_include/philox.cuh"

extern "C" __global__ void __launch_bounds__(256)
random_bits(unsigned int* __restrict__ out, long long count, const unsigned int* __restrict__ key,
            const unsigned long long* __restrict__ first) {
    for_each_block<4>(count, key, first, [=](const unsigned int (&w)[4], long long b, int n) {
        store<4>(out, b, n, Pack<unsigned int, 4>{{w[0], w[1], w[2], w[3]}});
    });
}
