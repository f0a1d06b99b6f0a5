// Writes to a table in constant memory through a pointer that lost its const.
__constant__ int table[4] = {2, 3, 5, 7};
extern "C" __global__ void read_only_constant(const int* x, int* y, int own) {
    int i = threadIdx.x;
#ifdef DEFECT
    int* entries = own ? y : const_cast<int*>(table);
#else
    int* entries = y;
#endif
    entries[i % 4] = x[i % 4] + table[i % 4];  // defect
}
