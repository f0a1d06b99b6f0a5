// A lock that is taken, but not given back by a thread that finds nothing to do.
extern "C" __global__ void spin_lock_kept(int* lock, const int* x, int* sum) {
    if (threadIdx.x != 0) return;
    while (atomicCAS(lock, 0, 1) != 0) {}  // defect
    __threadfence();
    int value = x[blockIdx.x];
#ifdef DEFECT
    if (value == 0) return;
#endif
    *reinterpret_cast<volatile int*>(sum) = *reinterpret_cast<volatile int*>(sum) + value;
    __threadfence();
    atomicExch(lock, 0);
}
