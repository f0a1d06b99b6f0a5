// normal: words to normally distributed numbers, by the method of Box and Muller.
//
// The steps are those of gpuops_kernels/_normal.py, which explains them, and have the same results
// to the last bit: no product may be fused with a sum (the kernels are compiled with --fmad=false),
// and divisions and square roots are rounded as IEEE 754 says.

#include <cuda_fp16.h>

#include "../_include/philox.cuh"

// c[0] + z (c[1] + z (...)).
template <typename T, int N> __device__ inline T polynomial(T z, const T (&c)[N]) {
    T sum = c[N - 1];
#pragma unroll
    for (int k = N - 2; k >= 0; --k) sum = c[k] + z * sum;
    return sum;
}

// sqrt(-2 (e ln 2 + ln m)).
template <typename T, int N>
__device__ inline T radius(T e, T m, const T (&log)[N], T ln2_high, T ln2_low) {
    const T f = m - T(1);
    const T s = f / (T(2) + f);
    const T z = s * s;
    const T half = T(0.5) * f * f;
    const T series = z * polynomial(z, log);
    const T logarithm = e * ln2_high - ((half - (s * (half + series) + e * ln2_low)) - f);
    return sqrt(T(0) - T(2) * logarithm);
}

// r times cosine and sine of `quarter` quarters of a turn and y turns.
template <typename T, int N>
__device__ inline void turn(T r, int quarter, T y, const T (&sin)[N], const T (&cos)[N], T* out) {
    const T z = y * y;
    const T sine = y * polynomial(z, sin);
    const T cosine = T(1) + z * polynomial(z, cos);
    const T swap = T(quarter & 1), keep = T(1) - swap;
    const T sign = T(1) - T(quarter & 2), turned = T(1) - T((quarter + 1) & 2);
    out[0] = r * ((cosine * keep + sine * swap) * turned);
    out[1] = r * ((sine * keep + cosine * swap) * sign);
}

// The nearest quarter of a turn, and what is left of w, in units of 2**-32 turns.
__device__ inline int nearest_quarter(unsigned int w, int& left) {
    const int quarter = int(((unsigned long long)w + 0x20000000u) >> 30);
    left = int(w - ((unsigned int)quarter << 30));
    return quarter;
}

__device__ inline void two_normal(unsigned int a, unsigned int b, float* out) {
    const float log[] = {0x1.55555cp-1f, 0x1.997c30p-2f, 0x1.2ee610p-2f};
    const float sin[] = {0x1.921fb6p+2f, -0x1.4abbbap+5f, 0x1.465ec4p+6f, -0x1.2d9b40p+6f};
    const float cos[] = {-0x1.3bd3ccp+4f, 0x1.03c1eap+6f, -0x1.55cb98p+6f, 0x1.db6492p+5f};
    const float u = __uint2float_rn(a) * 0x1p-32f + 0x1p-33f;
    const int bits = __float_as_int(u), e = (bits - 0x3F3504F3) >> 23;
    const float m = __int_as_float(bits - (e << 23));
    const float r = radius(float(e), m, log, 0x1.62e400p-1f, 0x1.7f7d1cp-20f);
    int left;
    const int quarter = nearest_quarter(b, left);
    turn(r, quarter, float(left) * 0x1p-32f, sin, cos, out);
}

__device__ inline void two_normal(const unsigned int (&w)[4], double* out) {
    const double log[] = {
        0x1.5555555555558p-1, 0x1.99999999952e2p-2, 0x1.2492492df148dp-2, 0x1.c71c62e5800a1p-3,
        0x1.7462b4ab2ef6bp-3, 0x1.39fe606542ddep-3, 0x1.2b584aae78a57p-3};
    const double sin[] = {
        0x1.921fb54442d18p+2, -0x1.4abbce625be41p+5, 0x1.466bc677587f8p+6, -0x1.32d2cce2e5b19p+6,
        0x1.50782fda12d96p+5, -0x1.e30071afc3e59p+3, 0x1.e3f38399551bfp+1};
    const double cos[] = {
        -0x1.3bd3cc9be45dep+4, 0x1.03c1f081b5ac0p+6, -0x1.55d3c7e3cb241p+6, 0x1.e1f5068688d5bp+5,
        -0x1.a6d1eef479be1p+4, 0x1.f9ce245cada0bp+2, -0x1.b2f3eb054afcdp+0};
    const double u = (double(w[0] >> 5) * 0x1p26 + double(w[1] >> 6) + 1.0) * 0x1p-53;
    const long long bits = __double_as_longlong(u), e = (bits - 0x3FE6A09E667F3BCDll) >> 52;
    const double m = __longlong_as_double(bits - (e << 52));
    const double r = radius(double(e), m, log, 0x1.62e42fee00000p-1, 0x1.a39ef35793c76p-33);
    int left;
    const int quarter = nearest_quarter(w[2], left);
    const double y = (double(left) * 0x1p32 + double(w[3])) * 0x1p-64;
    turn(r, quarter, y, sin, cos, out);
}

template <typename T> struct Normal {
    static constexpr int N = 4;
    __device__ static Pack<T, N> make(const unsigned int (&w)[4]) {
        float numbers[N];
        two_normal(w[0], w[1], numbers);
        two_normal(w[2], w[3], numbers + 2);
        Pack<T, N> out;
#pragma unroll
        for (int k = 0; k < N; ++k) out.item[k] = T(numbers[k]);
        return out;
    }
};

template <> struct Normal<double> {
    static constexpr int N = 2;
    __device__ static Pack<double, N> make(const unsigned int (&w)[4]) {
        Pack<double, N> out;
        two_normal(w, out.item);
        return out;
    }
};

template <typename T>
__global__ void __launch_bounds__(256)
normal(T* __restrict__ out, long long count, const unsigned int* __restrict__ key,
       const unsigned long long* __restrict__ first) {
    constexpr int N = Normal<T>::N;
    for_each_block<N>(count, key, first, [=](const unsigned int (&w)[4], long long b, int n) {
        store<N>(out, b, n, Normal<T>::make(w));
    });
}
