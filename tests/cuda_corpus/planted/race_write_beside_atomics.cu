// One block clears the counter that the others have begun to count in.
extern "C" __global__ void race_write_beside_atomics(const int* x, int* count) {
#ifdef DEFECT
    if (blockIdx.x == 1 && threadIdx.x == 0) *count = 0;  // defect
#endif
    if (x[blockIdx.x * blockDim.x + threadIdx.x] > 50) atomicAdd(count, 1);  // defect
}
