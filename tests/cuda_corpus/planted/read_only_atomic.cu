// Counts in an array that the caller has declared read-only.
extern "C" __global__ void read_only_atomic(int* bins, const int* x, int* out) {
    int i = threadIdx.x;
#ifdef DEFECT
    atomicAdd(&bins[x[i]], 1);  // defect
#else
    atomicAdd(&out[x[i]], bins[x[i]]);
#endif
}
