// A binary search that stops moving once two candidates are left.
extern "C" __global__ void spin_search(const int* sorted, const int* wanted, int* place, int n) {
    int i = threadIdx.x;
    int low = 0, high = n;
    while (low < high) {  // defect
        int middle = (low + high) / 2;  // defect
        if (sorted[middle] < wanted[i])  // defect
#ifdef DEFECT
            low = middle;  // defect
#else
            low = middle + 1;
#endif
        else
            high = middle;  // defect
    }
    place[i] = low;
}
