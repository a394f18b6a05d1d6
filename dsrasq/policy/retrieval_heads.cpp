#include "dsrasq/policy/retrieval_heads.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "dsrasq/core/error.h"
#include "dsrasq/policy/band_layer.h"
#include "dsrasq/policy/growing_rows.h"
#include "dsrasq/policy/layered_policy.h"

namespace dsrasq::policy {
namespace {

constexpr int64_t kLength = 2500;
constexpr int64_t kTimes = 4;
constexpr double kByInduction = 0.14, kByEcho = 0.01;
constexpr uint64_t kSeed = 20240722;

int64_t share_of(double share, int64_t n) {
  return static_cast<int64_t>(std::ceil(share * static_cast<double>(n)));
}

}  // namespace

// Full attention that notes where the repetitions' queries look.
class RetrievalProbe::Layer final : public LayerMemory {
 public:
  Layer(const HeadShape& shape, int64_t start, int64_t length)
      : shape_(shape),
        start_(start),
        length_(length),
        keys_(shape.n_kv_heads, shape.head_dim, length, shape.rows),
        values_(shape.n_kv_heads, shape.head_dim, length, shape.rows),
        echo_(at::zeros({shape.n_heads}, shape.rows.dtype(at::kFloat))),
        induction_(at::zeros_like(echo_)) {}

  at::Tensor attend(const LayerTokens& tokens) override {
    keys_.append(tokens.k);
    values_.append(tokens.v);
    const at::Tensor logits = grouped_logits(tokens.q, keys_.rows(), shape_);
    const at::Tensor weights =
        visible_softmax(logits, causal(tokens.q.size(1), keys_.size(), shape_.rows.device()));
    note(weights, tokens.first);
    return grouped_values(weights, values_.rows());
  }
  size_t bytes() const override { return keys_.bytes() + values_.bytes(); }
  std::vector<std::vector<int64_t>> held() const override { return {}; }

  // Sums over the queries, of the best head of each group: [Hkv].
  at::Tensor echo() const { return best_of_group(echo_); }
  at::Tensor induction() const { return best_of_group(induction_); }

 private:
  // Weights [H, T, N] of the queries from position `first` on.
  void note(const at::Tensor& weights, int64_t first) {
    const at::Tensor query = positions_from(first, weights.size(1), shape_.rows.device());
    for (int64_t times = 1; times < kTimes; ++times) {
      const at::Tensor earlier = query - times * length_;
      const at::Tensor is_copy = earlier >= start_;
      const auto to = [&](const at::Tensor& position) {
        const at::Tensor column =
            position.clamp_min(0).view({1, -1, 1}).expand({shape_.n_heads, -1, 1});
        return (at::gather(weights, 2, column).squeeze(2) * is_copy).sum(1);
      };
      echo_ += to(earlier);
      induction_ += to(earlier + 1);
    }
  }
  at::Tensor best_of_group(const at::Tensor& of_head) const {
    return at::amax(of_head.view({shape_.n_kv_heads, -1}), {1});
  }

  HeadShape shape_;
  int64_t start_, length_;
  GrowingRows keys_, values_;
  at::Tensor echo_, induction_;  // [H]
};

int64_t most_retrieval_heads(int64_t n) {
  return std::min(n, share_of(kByInduction, n) + share_of(kByEcho, n));
}

RetrievalProbe::RetrievalProbe(const AttentionShape& shape, at::Device device, int64_t vocab,
                               std::optional<int32_t> bos)
    : shape_(shape) {
  const int64_t start = bos ? 1 : 0;
  length_ = std::min(kLength, (shape.context - start) / kTimes);
  DSRASQ_CHECK(length_ > 1 && vocab > 1, kBadInput, "policy.retrieval_heads",
               "a model with a context of ", shape.context, " and ", vocab,
               " tokens is too small to look for retrieval heads");
  if (bos) ids_.push_back(*bos);
  std::mt19937_64 random(kSeed);
  std::vector<int32_t> sequence;
  for (int64_t i = 0; i < length_; ++i)
    sequence.push_back(static_cast<int32_t>(random() % static_cast<uint64_t>(vocab)));
  for (int64_t i = 0; i < kTimes; ++i) ids_.insert(ids_.end(), sequence.begin(), sequence.end());

  std::vector<std::unique_ptr<LayerMemory>> layers;
  for (int64_t i = 0; i < shape.n_layers; ++i) {
    const auto& own = shape.layers[static_cast<size_t>(i)];
    const HeadShape heads = HeadShape::of(shape, i, device);
    if (own.sliding_window > 0) {
      layers.push_back(std::make_unique<BandLayer>(heads, own.rope, 0, own.sliding_window - 1));
      continue;
    }
    auto layer = std::make_unique<Layer>(heads, start, length_);
    layers_.push_back(layer.get());
    layers.push_back(std::move(layer));
  }
  policy_ = std::make_unique<LayeredPolicy>("probe", shape, device, std::move(layers));
}

RetrievalProbe::~RetrievalProbe() = default;

at::Tensor RetrievalProbe::means(at::Tensor (Layer::*sum)() const) const {
  std::vector<at::Tensor> sums;
  for (const Layer* layer : layers_) sums.push_back((layer->*sum)().cpu());
  return at::stack(sums) / static_cast<double>((kTimes - 1) * length_);
}

at::Tensor RetrievalProbe::echo() const { return means(&Layer::echo); }
at::Tensor RetrievalProbe::induction() const { return means(&Layer::induction); }

RetrievalHeads RetrievalProbe::heads() const {
  RetrievalHeads heads(static_cast<size_t>(shape_.n_layers),
                       std::vector<bool>(static_cast<size_t>(shape_.n_kv_heads)));
  if (layers_.empty()) return heads;
  std::vector<size_t> full;
  for (size_t i = 0; i < shape_.layers.size(); ++i)
    if (shape_.layers[i].sliding_window == 0) full.push_back(i);
  const auto mark = [&](const at::Tensor& scores, double share) {
    const int64_t n = share_of(share, scores.numel());
    const at::Tensor best = std::get<1>(at::topk(scores.flatten(), n));
    for (int64_t i = 0; i < n; ++i) {
      const int64_t head = best.const_data_ptr<int64_t>()[i];
      heads[full[static_cast<size_t>(head / shape_.n_kv_heads)]]
           [static_cast<size_t>(head % shape_.n_kv_heads)] = true;
    }
  };
  mark(echo(), kByEcho);
  mark(induction(), kByInduction);
  return heads;
}

}  // namespace dsrasq::policy
