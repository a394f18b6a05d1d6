#pragma once

// Included before any Highway header. Three instruction sets on x86: the baseline, AVX2 and
// AVX-512; those between would double the time to compile and serve machines that run AVX2 or the
// baseline nearly as well. Scalable vectors are left out because the kernels hold vectors in
// arrays, which Highway allows for vectors of a known length only; such machines run NEON or the
// plain path.

#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
