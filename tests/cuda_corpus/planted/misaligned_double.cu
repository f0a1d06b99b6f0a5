// Records of a 4-byte tag and an 8-byte value, packed without padding.
extern "C" __global__ void misaligned_double(const unsigned char* records, double* values, int n) {
    int i = threadIdx.x;
    if (i >= n) return;
#ifdef DEFECT
    values[i] = *reinterpret_cast<const double*>(records + 12 * i + 4);  // defect
#else
    const int* words = reinterpret_cast<const int*>(records + 12 * i + 4);
    values[i] = __hiloint2double(words[1], words[0]);
#endif
}
