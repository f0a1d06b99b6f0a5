// A vote of the whole warp in a loop which some lanes have left for good.
extern "C" __global__ void mask_vote(const int* x, int* rounds, int n) {
    int lane = threadIdx.x;
    int left = lane < n ? x[lane] : 0, made = 0;
#ifdef DEFECT
    if (left == 0) return;
#endif
    while (__any_sync(0xffffffffu, left > 0)) {  // defect
        --left;
        ++made;
    }
    rounds[lane] = made;
}
