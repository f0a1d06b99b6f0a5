// Every thread over the limit leaves its own value in the same place: which one stays is open.
extern "C" __global__ void race_write_write(const int* x, int* found, int n, int limit) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n || x[i] <= limit) return;
#ifdef DEFECT
    *found = i;  // defect
#else
    atomicMin(found, i);
#endif
}
