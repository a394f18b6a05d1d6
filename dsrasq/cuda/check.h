#pragma once

// Launches that fail, as this project's error. For the kernels' sources and their timing alone.

#include <cuda_runtime.h>

#include "dsrasq/core/error.h"

namespace dsrasq::cuda {

inline void check(cudaError_t status, const char* kernel) {
  DSRASQ_CHECK(status == cudaSuccess, kInternal, "cuda", kernel, ": ", cudaGetErrorString(status));
}

/// After a launch.
inline void check_launch(const char* kernel) { check(cudaGetLastError(), kernel); }

}  // namespace dsrasq::cuda
