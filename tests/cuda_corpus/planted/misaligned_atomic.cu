// A 64-bit sum that lies behind one 32-bit count.
extern "C" __global__ void misaligned_atomic(int* header, const int* x, int n) {
    int i = threadIdx.x;
    if (i >= n) return;
    atomicAdd(&header[0], 1);
#ifdef DEFECT
    auto sum = reinterpret_cast<unsigned long long*>(header + 1);
#else
    auto sum = reinterpret_cast<unsigned long long*>(header + 2);
#endif
    atomicAdd(sum, static_cast<unsigned long long>(x[i]));  // defect
}
