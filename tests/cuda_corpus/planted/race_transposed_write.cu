// Two blocks write the same row of the output, because the row's index lacks the block.
extern "C" __global__ void race_transposed_write(const int* x, int* y) {
    int column = threadIdx.x, row = blockIdx.x;
#ifdef DEFECT
    y[column] = x[row * blockDim.x + column];  // defect
#else
    y[row * blockDim.x + column] = x[row * blockDim.x + column];
#endif
}
