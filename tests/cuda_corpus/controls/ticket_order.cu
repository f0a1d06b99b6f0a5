// Blocks take their number when they start and add to the sum in that order.
extern "C" __global__ void ticket_order(int* next, int* turn, volatile float* sum, const float* x) {
    if (threadIdx.x != 0) return;
    int mine = atomicAdd(next, 1);
    while (atomicAdd(turn, 0) != mine) {}
    __threadfence();
    *sum = *sum + x[mine];
    __threadfence();
    atomicExch(turn, mine + 1);
}
