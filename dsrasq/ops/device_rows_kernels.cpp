#include <ATen/Functions.h>

#include "dsrasq/cuda/rows.h"
#include "dsrasq/ops/device_pointers.h"
#include "dsrasq/ops/device_rows.h"

namespace dsrasq::ops {
namespace {

bool device_kernel_takes(const at::Tensor& x, int64_t width) {
  return x.is_cuda() && x.scalar_type() == at::kBFloat16 && !x.requires_grad() && width % 2 == 0;
}

}  // namespace

std::optional<at::Tensor> rms_norm_on_device(const at::Tensor& x, const at::Tensor& weight,
                                             double eps) {
  const int64_t width = x.size(-1);
  if (!device_kernel_takes(x, width) || weight.scalar_type() != at::kFloat ||
      weight.requires_grad())
    return std::nullopt;
  const at::Tensor rows = x.contiguous();
  at::Tensor y = at::empty_like(rows);
  cuda::rms_norm(bf16_pointer(rows), weight.const_data_ptr<float>(), rows.numel() / width, width,
                 static_cast<float>(eps), bf16_pointer(y), current_stream(x.device()));
  return y;
}

std::optional<at::Tensor> gated_on_device(const at::Tensor& gate_up, bool is_gelu) {
  const int64_t width = gate_up.size(1) / 2;
  if (!device_kernel_takes(gate_up, width)) return std::nullopt;
  const at::Tensor rows = gate_up.contiguous();
  at::Tensor y = at::empty({rows.size(0), width}, rows.options());
  cuda::gated(bf16_pointer(rows), rows.size(0), width, is_gelu, bf16_pointer(y),
              current_stream(rows.device()));
  return y;
}

}  // namespace dsrasq::ops
