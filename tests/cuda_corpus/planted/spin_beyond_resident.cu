// The first block waits for the last; with more blocks than fit on the device, that one never starts.
extern "C" __global__ void spin_beyond_resident(int* arrived, int* y) {
    if (threadIdx.x != 0) return;
#ifdef DEFECT
    atomicAdd(arrived, 1);
    if (blockIdx.x == 0) {
        while (atomicAdd(arrived, 0) < static_cast<int>(gridDim.x)) {}  // defect
        *y = *arrived;
    }
#else
    __threadfence();
    if (atomicAdd(arrived, 1) == static_cast<int>(gridDim.x) - 1) *y = atomicAdd(arrived, 0);
#endif
}
