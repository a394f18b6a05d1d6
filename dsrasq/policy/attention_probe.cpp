#include "dsrasq/policy/attention_probe.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "dsrasq/policy/band_layer.h"
#include "dsrasq/policy/growing_rows.h"
#include "dsrasq/policy/layered_policy.h"

namespace dsrasq::policy {

class AttentionProbe::Layer final : public LayerMemory {
 public:
  explicit Layer(const HeadShape& shape)
      : shape_(shape),
        keys_(shape.n_kv_heads, shape.head_dim, kGrowthStep, shape.rows),
        values_(shape.n_kv_heads, shape.head_dim, kGrowthStep, shape.rows) {}

  at::Tensor attend(const LayerTokens& tokens) override {
    keys_.append(tokens.k);
    values_.append(tokens.v);
    const int64_t n = tokens.q.size(1);
    const at::Tensor logits = grouped_logits(tokens.q, keys_.rows(), shape_);
    const at::Tensor weights =
        visible_softmax(logits, causal(n, keys_.size(), shape_.rows.device()));
    last_ = weights.select(1, n - 1).mean(0);
    return grouped_values(weights, values_.rows());
  }
  size_t bytes() const override { return keys_.bytes() + values_.bytes(); }
  std::vector<std::vector<int64_t>> held() const override { return {}; }

  const at::Tensor& last() const { return last_; }

 private:
  HeadShape shape_;
  GrowingRows keys_, values_;
  at::Tensor last_;  // [N], of the latest query
};

AttentionProbe::AttentionProbe(const AttentionShape& shape, at::Device device) {
  std::vector<std::unique_ptr<LayerMemory>> layers;
  for (int64_t i = 0; i < shape.n_layers; ++i) {
    const auto& own = shape.layers[static_cast<size_t>(i)];
    const HeadShape heads = HeadShape::of(shape, i, device);
    if (own.sliding_window > 0) {
      layers.push_back(std::make_unique<BandLayer>(heads, own.rope, 0, own.sliding_window - 1));
      continue;
    }
    auto layer = std::make_unique<Layer>(heads);
    layers_.push_back(layer.get());
    layers.push_back(std::move(layer));
  }
  policy_ = std::make_unique<LayeredPolicy>("attention probe", shape, device, std::move(layers));
}

AttentionProbe::~AttentionProbe() = default;

at::Tensor AttentionProbe::last_attention() const {
  at::Tensor sum = at::zeros({policy_->position()});
  for (const Layer* layer : layers_) sum += layer->last().to(at::kCPU, at::kFloat);
  return sum;
}

}  // namespace dsrasq::policy
