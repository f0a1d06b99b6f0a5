// A window of eight in an array of the thread's own, filled as far as there is input.
extern "C" __global__ void uninit_local(const int* x, const int* pick, int* y, int filled) {
    int window[8];
#ifndef DEFECT
    for (int k = 0; k < 8; ++k) window[k] = -1;
#endif
    for (int k = 0; k < filled; ++k) window[k] = x[threadIdx.x + k];
    y[threadIdx.x] = window[pick[threadIdx.x]];  // defect
}
