#include "dsrasq/ops/linear.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "dsrasq/core/error.h"
#include "dsrasq/kernels/packed_linear.h"

namespace dsrasq::ops {
namespace {

constexpr const char* kInLinear = "ops.linear";

kernels::WeightType weight_type(formats::GgmlType type) {
  using formats::GgmlType;
  using kernels::WeightType;
  switch (type) {
    case GgmlType::kF32: return WeightType::kF32;
    case GgmlType::kF16: return WeightType::kF16;
    case GgmlType::kBF16: return WeightType::kBF16;
    case GgmlType::kQ8_0: return WeightType::kQ8_0;
    case GgmlType::kQ4_0: return WeightType::kQ4_0;
    case GgmlType::kQ4_1: return WeightType::kQ4_1;
    case GgmlType::kQ5_0: return WeightType::kQ5_0;
    case GgmlType::kQ5_1: return WeightType::kQ5_1;
    case GgmlType::kQ4_K: return WeightType::kQ4_K;
    case GgmlType::kQ5_K: return WeightType::kQ5_K;
    case GgmlType::kQ6_K: return WeightType::kQ6_K;
    default: break;
  }
  throw Error(ErrorCode::kBadInput, kInLinear, concat("unsupported quantisation ", int(type)));
}

at::Tensor to_tensor(const checkpoint::TensorRef& ref) {
  std::vector<float> values = checkpoint::to_float(ref);
  return at::from_blob(values.data(), {ref.rows, ref.cols}, at::kFloat).clone();
}

}  // namespace

struct Linear::Packed {
  kernels::PackedLinear weight;
};

Linear::Linear(const std::vector<const checkpoint::TensorRef*>& parts,
               const std::vector<const checkpoint::TensorRef*>& biases, at::Device device,
               at::ScalarType dtype, bool packed, kernels::Products products)
    : products_(products) {
  if (!biases.empty()) {
    std::vector<at::Tensor> pieces;
    for (const auto* bias : biases) pieces.push_back(to_tensor(*bias).flatten());
    bias_ = at::cat(pieces).to(device, packed ? at::kFloat : dtype);
  }
  if (!packed) {
    std::vector<at::Tensor> pieces;
    for (const auto* part : parts) pieces.push_back(to_tensor(*part).to(dtype));
    weight_ = at::cat(pieces).to(device);
    return;
  }
  std::vector<std::vector<int32_t>> row_maps(parts.size());
  std::vector<kernels::WeightSource> sources;
  for (size_t i = 0; i < parts.size(); ++i) {
    const checkpoint::TensorRef& part = *parts[i];
    if (part.interleaved_rope)
      for (int64_t r = 0; r < part.rows; ++r)
        row_maps[i].push_back(static_cast<int32_t>(checkpoint::storage_row(part, r)));
    sources.push_back({weight_type(part.type), part.data, part.rows, part.cols,
                       row_maps[i].empty() ? nullptr : row_maps[i].data()});
  }
  packed_ = std::make_shared<const Packed>(Packed{kernels::PackedLinear::pack(sources)});
}

Linear Linear::dense(at::Tensor weight, at::Tensor bias) {
  Linear linear;
  linear.weight_ = std::move(weight);
  linear.bias_ = std::move(bias);
  return linear;
}

Linear Linear::packed(const at::Tensor& weight, at::Tensor bias) {
  const at::Tensor exact = weight.to(at::kFloat).contiguous(), halves = exact.to(at::kHalf);
  // Adapters' files hold halves: kept so, they take half the memory and time, and give the same
  // bits.
  const bool is_half = halves.to(at::kFloat).equal(exact);
  const at::Tensor& source = is_half ? halves : exact;
  const kernels::WeightSource part{is_half ? kernels::WeightType::kF16 : kernels::WeightType::kF32,
                                   static_cast<const std::byte*>(source.const_data_ptr()),
                                   source.size(0), source.size(1), nullptr};
  Linear linear;
  linear.packed_ =
      std::make_shared<const Packed>(Packed{kernels::PackedLinear::pack(std::span(&part, 1))});
  if (bias.defined()) linear.bias_ = bias.to(at::kFloat).contiguous();
  return linear;
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  if (packed_ == nullptr) return at::linear(x, weight_, bias_);
  const kernels::PackedLinear& weight = packed_->weight;
  DSRASQ_CHECK(x.dim() == 2 && x.size(1) == weight.cols() && x.scalar_type() == at::kFloat &&
                   x.device().is_cpu() && x.stride(1) == 1,
               kInternal, kInLinear, "x is ", x.sizes(), ", want fp32 rows of ", weight.cols());
  at::Tensor y = at::empty({x.size(0), weight.rows()}, at::kFloat);
  kernels::linear(weight, x.const_data_ptr<float>(), x.size(0), x.stride(0),
                  y.mutable_data_ptr<float>(), y.stride(0),
                  bias_.defined() ? bias_.const_data_ptr<float>() : nullptr, products_);
  return y;
}

at::Tensor Linear::rows(const at::Tensor& ids) const {
  if (packed_ == nullptr) return at::embedding(weight_, ids.to(weight_.device()));
  const at::Tensor index = ids.to(at::kInt).contiguous();
  at::Tensor y = at::empty({ids.size(0), packed_->weight.cols()}, at::kFloat);
  kernels::gather_rows(packed_->weight, index.const_data_ptr<int32_t>(), ids.size(0),
                       y.mutable_data_ptr<float>());
  return y;
}

int64_t Linear::out_features() const { return packed_ ? packed_->weight.rows() : weight_.size(0); }

size_t Linear::bytes() const {
  const size_t bias = bias_.defined() ? bias_.nbytes() : 0;
  return bias + (packed_ ? packed_->weight.bytes() : weight_.nbytes());
}

}  // namespace dsrasq::ops
