// The argument is a part of a longer array; a row too many is read from what follows the part.
extern "C" __global__ void oob_view(const int* rows, int* sums, int count, int length) {
    int column = threadIdx.x;
    if (column >= length) return;
    int sum = 0;
#ifdef DEFECT
    for (int r = 0; r <= count; ++r)
#else
    for (int r = 0; r < count; ++r)
#endif
        sum += rows[r * length + column];  // defect
    sums[column] = sum;
}
