// An assertion about the input that does not hold.
extern "C" __global__ void assert_on_bad_input(const int* index, int* y, int n) {
    int i = threadIdx.x;
#ifdef DEFECT
    assert(index[i] < n);  // defect
#endif
    y[i] = index[i] % n;
}
