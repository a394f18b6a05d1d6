#pragma once

// Row-wise steps between the products of a transformer, each in one pass over its input: the GPU's
// side of kernels/rows.h.

#include "dsrasq/cuda/token_ring.h"

namespace dsrasq::cuda {

/// y = x / sqrt(mean x^2 + eps) * weight for rows of `width` (even) bf16 values.
void rms_norm(const Bf16* x, const float* weight, int64_t n_rows, int64_t width, float eps, Bf16* y,
              Stream stream);

/// y = f(gate) * up of rows [gate | up], `width` (even) values each; f is SiLU, or GELU by its tanh
/// form.
void gated(const Bf16* gate_up, int64_t n_rows, int64_t width, bool is_gelu, Bf16* y,
           Stream stream);

}  // namespace dsrasq::cuda
