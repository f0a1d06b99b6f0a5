// Writes 32 bits at a byte offset that is a multiple of two only.
extern "C" __global__ void misaligned_store(unsigned short* out, const unsigned* x, int n) {
    int i = threadIdx.x;
    if (i >= n) return;
#ifdef DEFECT
    *reinterpret_cast<unsigned*>(out + 3 * i) = x[i];  // defect
#else
    out[3 * i] = static_cast<unsigned short>(x[i]);
    out[3 * i + 1] = static_cast<unsigned short>(x[i] >> 16);
#endif
    out[3 * i + 2] = 7;
}
