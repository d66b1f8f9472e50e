// The kernels, compiled for the CPU.
#include "../all.cu"
#include "test_kernels.cuh"
