#include "dsrasq/retriever/adapter_tensors.h"

#include <ATen/Functions.h>

#include <cstring>
#include <span>

#include "dsrasq/core/error.h"

namespace dsrasq::retriever {
namespace {

using formats::Dtype;
constexpr const char* kInAdapterTensors = "retriever.adapter";

std::string shape_text(std::span<const int64_t> shape) {
  std::string text = "[";
  for (int64_t n : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + "]";
}

}  // namespace

at::Tensor read_tensor(const formats::SafetensorsFile& file, const std::string& name,
                       const std::vector<int64_t>& shape) {
  const formats::NamedTensor& stored = file.require(name);
  DSRASQ_CHECK(stored.shape == shape, kBadInput, kInAdapterTensors, file.path().string(), ": ",
               name, " is ", shape_text(stored.shape), ", want ", shape_text(shape));
  DSRASQ_CHECK(stored.dtype == Dtype::kF16 || stored.dtype == Dtype::kF32, kBadInput,
               kInAdapterTensors, file.path().string(), ": ", name, " is ",
               formats::dtype_name(stored.dtype), ", want F16 or F32");
  // Copied first: bytes in the file have no alignment.
  at::Tensor raw = at::empty(shape, stored.dtype == Dtype::kF16 ? at::kHalf : at::kFloat);
  std::memcpy(raw.mutable_data_ptr(), stored.bytes.data(), stored.bytes.size());
  at::Tensor values = raw.to(at::kFloat);
  DSRASQ_CHECK(values.isfinite().all().item<bool>(), kBadInput, kInAdapterTensors,
               file.path().string(), ": ", name, " holds a NaN or an infinity");
  return values;
}

void HalfTensors::add(const std::string& name, const at::Tensor& values,
                      const std::filesystem::path& path) {
  const at::Tensor& half =
      halves_.emplace_back(values.detach().to(at::kCPU, at::kHalf).contiguous());
  DSRASQ_CHECK(half.isfinite().all().item<bool>(), kInvalidArgument, kInAdapterTensors,
               path.string(), ": ", name, " holds a value that fp16 cannot");
  tensors_.push_back(
      {name, Dtype::kF16, half.sizes().vec(),
       std::span(static_cast<const std::byte*>(half.const_data_ptr()), half.nbytes())});
}

}  // namespace dsrasq::retriever
