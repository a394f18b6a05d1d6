#include "dsrasq/policy/masked_policy.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <limits>

#include "dsrasq/core/error.h"
#include "dsrasq/cuda/token_ring.h"
#include "dsrasq/kernels/int8_rows.h"
#include "dsrasq/ops/grouped_heads.h"
#include "dsrasq/ops/rows.h"
#include "dsrasq/policy/leaving_rule.h"

namespace dsrasq::policy {
namespace {

constexpr const char* kInMaskedPolicy = "policy.masked_policy";
constexpr int64_t kFirstTokens = 4096;
constexpr double kLayerNormEps = 1e-5;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// Rows rounded to int8 codes with one scale each and back, as kernels::quantize_rows does.
at::Tensor through_int8(const at::Tensor& x, int max_code) {
  const at::Tensor x32 = x.to(at::kFloat);
  const at::Tensor amax = at::amax(at::abs(x32), {-1}, true).clamp_min(1e-30);
  return (at::round(x32 * (max_code / amax)) * (amax / max_code)).to(x.scalar_type());
}

// [T, H, D] and [N, Hkv, D] to fp32 [H, T, N].
at::Tensor grouped_product(const at::Tensor& q, const at::Tensor& k) {
  return ops::grouped_products(q.transpose(0, 1), k.transpose(0, 1)).to(at::kFloat);
}

// Weights [H, T, N] times values [N, Hkv, D]: [T, H, D].
at::Tensor weighted_sum(const at::Tensor& weights, const at::Tensor& v) {
  return ops::grouped_values(weights.to(v.scalar_type()), v.transpose(0, 1)).transpose(0, 1);
}

}  // namespace

MaskedPolicy::MaskedPolicy(const PolicyOptions& options, const AttentionShape& shape,
                           const retriever::Adapter* adapter, at::Device device)
    : options_(options),
      shape_(shape),
      device_(device),
      layers_(static_cast<size_t>(shape.n_layers)) {
  DSRASQ_CHECK(options.retention == "recency", kUnavailable, kInMaskedPolicy, "--retention ",
               options.retention, " is not there on a GPU; use --device cpu");
  n_retrieved_ = at::zeros({}, at::TensorOptions(device).dtype(at::kLong));
  for (int64_t i = 0; i < shape.n_layers; ++i) {
    Layer& layer = layers_[static_cast<size_t>(i)];
    layer.is_sparse =
        options.name != "full" && shape.layers[static_cast<size_t>(i)].sliding_window == 0;
    if (options.name != "dsrasq" || !layer.is_sparse) continue;
    DSRASQ_CHECK(adapter != nullptr && adapter->indexers.contains(i), kInvalidArgument,
                 kInMaskedPolicy, "dsrasq needs an adapter with an indexer for layer ", i);
    index_heads_ = adapter->n_heads;
    layer.sizes.emplace(options, *adapter, i, device);
    if (options.slots > 0 && options.top_k > 0 && options.pool > 0 && adapter->slots.contains(i))
      layer.slots.emplace(adapter->slots.at(i), device);
    layer.indexer = adapter->indexers.at(i);
    layer.indexer.visit([&](const char*, at::Tensor& tensor) { tensor = tensor.to(device); });
  }
}

int64_t MaskedPolicy::admit(int64_t n_tokens) const {
  return std::min(n_tokens, options_.block - position_ % options_.block);
}

void MaskedPolicy::begin(int64_t n_tokens) {
  n_call_ = n_tokens;
  now_.clear();
  far_.clear();
  const auto longs = at::TensorOptions(device_).dtype(at::kLong);
  distance_ = at::arange(position_, position_ + n_tokens, longs).unsqueeze(1) -
              at::arange(position_ + n_tokens, longs).unsqueeze(0);
  reserve(position_ + n_tokens);
  if (position_ % options_.block != 0) return;
  for (Layer& layer : layers_)
    if (layer.slots) fold_left_blocks(layer);
}

// Takes into the slots the blocks that have wholly left the window, sinks excluded.
void MaskedPolicy::fold_left_blocks(Layer& layer) const {
  const int64_t n_left = std::max<int64_t>(0, position_ - options_.window) / options_.block;
  for (int64_t block = layer.slots->n_folds(); block < n_left; ++block) {
    const int64_t first = std::max(block * options_.block, options_.sinks);
    const int64_t n = (block + 1) * options_.block - first;
    layer.slots->fold(first - block * options_.block, layer.k8.narrow(0, first, n),
                      layer.v8.narrow(0, first, n));
  }
}

// Doubles the room when it is short.
void MaskedPolicy::reserve(int64_t n_tokens) {
  if (n_tokens <= capacity_) return;
  int64_t capacity = std::max(kFirstTokens, capacity_);
  while (capacity < n_tokens) capacity *= 2;
  for (Layer& layer : layers_)
    for (at::Tensor* rows : {&layer.k, &layer.k_rotated, &layer.v, &layer.k8, &layer.k8_rotated,
                             &layer.v8, &layer.index_keys}) {
      if (!rows->defined()) continue;
      std::vector<int64_t> sizes = rows->sizes().vec();
      sizes[0] = capacity;
      at::Tensor larger = at::empty(sizes, rows->options());
      larger.narrow(0, 0, position_).copy_(rows->narrow(0, 0, position_));
      *rows = larger;
    }
  capacity_ = capacity;
}

const ops::Rope::Angles& MaskedPolicy::angles(const ops::Rope& rope, bool far) {
  auto& cache = far ? far_ : now_;
  for (const auto& [of, known] : cache)
    if (of->inv_freq() == rope.inv_freq()) return known;
  return cache
      .emplace_back(&rope, far ? rope.angles(options_.max_distance, n_call_, device_, 0)
                               : rope.angles(position_, n_call_, device_))
      .second;
}

void MaskedPolicy::store(const LayerInput& input, Layer& layer, const Turns& turns) const {
  const auto put = [&](at::Tensor& rows, const at::Tensor& fresh) {
    if (!rows.defined()) {
      std::vector<int64_t> sizes = fresh.sizes().vec();
      sizes[0] = capacity_;
      rows = at::empty(sizes, fresh.options());
    }
    rows.narrow(0, position_, n_call_).copy_(fresh);
  };
  put(layer.v, input.v);
  put(layer.k_rotated, ops::rotate(input.k, turns.now));
  if (!layer.is_sparse) return;
  const at::Tensor k8 = through_int8(input.k, kernels::kMaxCode);
  put(layer.k, input.k);
  put(layer.k8, k8);
  put(layer.k8_rotated, ops::rotate(k8, turns.now));
  put(layer.v8, through_int8(input.v, kernels::kMaxCode));
  if (!layer.indexer.key.defined()) return;
  const at::Tensor projected = at::linear(input.x.to(at::kFloat), layer.indexer.key);
  put(layer.index_keys,
      through_int8(at::layer_norm(projected, {projected.size(1)}, layer.indexer.norm_weight,
                                  layer.indexer.norm_bias, kLayerNormEps),
                   kernels::kMaxCode));
}

// What a query may retrieve, as pages leave the pool: [T, N].
at::Tensor MaskedPolicy::visible() const {
  const cuda::PoolRule rule{.window = options_.window,
                            .pool = options_.pool,
                            .block = options_.block,
                            .sinks = options_.sinks};
  std::vector<int64_t> farthest;  // distance
  for (int64_t i = position_; i < position_ + n_call_; ++i) farthest.push_back(i - rule.first(i));
  const at::Tensor most = at::tensor(farthest, at::kLong).to(device_).unsqueeze(1);
  return at::logical_and(distance_ >= options_.window, distance_ <= most);
}

// What a query reads exactly: [T, N].
at::Tensor MaskedPolicy::local_mask(const Layer& layer, int64_t sliding_window) const {
  const at::Tensor past = distance_ >= 0;
  if (!layer.is_sparse)
    return sliding_window > 0 ? at::logical_and(past, distance_ < sliding_window) : past;
  at::Tensor local = distance_ < options_.window;
  local.narrow(1, 0, std::min(options_.sinks, local.size(1))).fill_(true);
  return at::logical_and(local, past);
}

// Logits of all tokens as the tier that holds them gives them: [H, T, N].
at::Tensor MaskedPolicy::logits(const LayerInput& input, const Layer& layer, const Turns& turns,
                                const at::Tensor& local) const {
  const auto& own = shape_.layers[static_cast<size_t>(input.layer)];
  const int64_t n = position_ + n_call_;
  const at::Tensor q = ops::rotate(input.q, turns.now);
  const auto known = [n](const at::Tensor& rows) { return rows.narrow(0, 0, n); };
  at::Tensor scores = grouped_product(q, known(layer.k_rotated));
  if (layer.is_sparse) {
    scores = at::where(local, scores, grouped_product(q, known(layer.k8_rotated)));
    if (n > options_.max_distance) {
      const at::Tensor q_far = ops::rotate(input.q, turns.far);
      const at::Tensor far = at::where(local, grouped_product(q_far, known(layer.k)),
                                       grouped_product(q_far, known(layer.k8)));
      scores = at::where(distance_ >= options_.max_distance, far, scores);
    }
  }
  return ops::softcap(scores.mul_(own.scale), shape_.logit_softcap);
}

// Index scores of all tokens: [T, N].
at::Tensor MaskedPolicy::index_scores(const Layer& layer, const at::Tensor& x) const {
  const int64_t n = position_ + n_call_;
  const at::Tensor query =
      through_int8(at::linear(x, layer.indexer.query).view({n_call_ * index_heads_, -1}),
                   kernels::kMaxQueryCode);
  const at::Tensor weight = at::linear(x, layer.indexer.head_weight, layer.indexer.head_bias);
  const at::Tensor dot = at::relu(at::matmul(query, layer.index_keys.narrow(0, 0, n).t()))
                             .view({n_call_, index_heads_, n});
  return at::bmm(weight.unsqueeze(1), dot).squeeze(1);
}

// Of the best scores [T, k], the first the best, those that each query reads: [T, k].
at::Tensor MaskedPolicy::kept(const Layer& layer, const at::Tensor& x, const at::Tensor& rank,
                              const at::Tensor& best) const {
  const at::Tensor local = at::linear(x, layer.indexer.local, layer.indexer.local_bias);
  return layer.sizes->kept(x, best, at::logsumexp(rank, {1}, true), local);
}

// The picked tokens among the visible ones: [T, N].
at::Tensor MaskedPolicy::selected(const LayerInput& input, const Layer& layer,
                                  const at::Tensor& scores, const at::Tensor& visible) const {
  const int64_t n = position_ + n_call_;
  const at::Tensor x = input.x.to(at::kFloat);
  at::Tensor rank;
  if (options_.name == "dsrasq") {
    rank = index_scores(layer, x);
  } else if (options_.name == "random") {
    rank = at::rand({n_call_, n}, at::TensorOptions(device_).dtype(at::kFloat));
  } else if (options_.name == "recency") {
    rank = -distance_.to(at::kFloat);
  } else {
    rank = at::mean(at::softmax(scores.masked_fill(distance_ < 0, kMinusInfinity), -1), 0);
  }
  rank = rank.masked_fill(at::logical_not(visible), kMinusInfinity);
  const bool cuts = layer.sizes && layer.sizes->leaves_out();
  const auto [best, columns] = at::topk(rank, std::min(options_.top_k, n), -1, true, cuts);
  const at::Tensor keep =
      cuts ? kept(layer, x, rank, best) : at::ones({1, 1}, visible.options()).expand_as(columns);
  return at::zeros_like(visible).scatter_(1, columns, keep).logical_and_(visible);
}

// What the picked tokens [T, N] share with those of the query before.
void MaskedPolicy::add_hits(Layer& layer, const at::Tensor& picked) {
  const bool has_last = layer.last_picked.defined();
  at::Tensor before = at::zeros_like(picked);
  if (has_last) before[0].narrow(0, 0, layer.last_picked.size(0)).copy_(layer.last_picked);
  before.narrow(0, 1, n_call_ - 1).copy_(picked.narrow(0, 0, n_call_ - 1));
  at::Tensor n_picked = picked.sum(1).to(at::kDouble);
  if (!has_last) n_picked[0].zero_();  // has no query before it
  const at::Tensor n_hits = at::logical_and(picked, before).sum(1).to(at::kDouble);
  const at::Tensor counts = n_picked > 0;
  const at::Tensor share = (n_hits / n_picked.clamp_min(1)).mul_(counts);
  hits_.add_(at::stack({share.sum(), counts.sum().to(at::kDouble)}));
  layer.last_picked = picked[n_call_ - 1].clone();
}

at::Tensor MaskedPolicy::attend(const LayerInput& input) {
  Layer& layer = layers_[static_cast<size_t>(input.layer)];
  const auto& own = shape_.layers[static_cast<size_t>(input.layer)];
  const Turns turns{angles(own.rope, false), angles(own.rope, true)};
  store(input, layer, turns);
  const at::Tensor local = local_mask(layer, own.sliding_window);
  at::Tensor scores = logits(input, layer, turns, local);
  at::Tensor seen = local;
  if (layer.is_sparse && options_.name != "window" && options_.top_k > 0 && options_.pool > 0) {
    const at::Tensor picked = selected(input, layer, scores, visible());
    n_retrieved_.add_(picked.sum());
    n_queries_ += n_call_;
    if (hits_.defined()) add_hits(layer, picked);
    seen = at::logical_or(local, picked);
  }
  const int64_t n = position_ + n_call_;
  const at::Tensor weights =
      at::softmax(scores.masked_fill_(at::logical_not(seen), kMinusInfinity), -1);
  if (!layer.is_sparse) return weighted_sum(weights, layer.v.narrow(0, 0, n));
  at::Tensor out = weighted_sum(weights * local, layer.v.narrow(0, 0, n)) +
                   weighted_sum(weights * at::logical_not(local), layer.v8.narrow(0, 0, n));
  if (!layer.slots) return out;
  const at::Tensor from_slots =
      layer.slots->read(input.q, own.scale, memory::lost_share(leaving_rule(options_), position_));
  return from_slots.defined() ? out + from_slots : out;
}

size_t MaskedPolicy::bytes() const {
  size_t bytes = 0;
  for (const Layer& layer : layers_)
    for (const at::Tensor* rows : {&layer.k, &layer.k_rotated, &layer.v, &layer.k8,
                                   &layer.k8_rotated, &layer.v8, &layer.index_keys})
      bytes += rows->defined() ? rows->nbytes() : 0;
  for (const Layer& layer : layers_)
    if (layer.slots) bytes += layer.slots->bytes();
  return bytes;
}

double MaskedPolicy::mean_retrieved() const {
  return n_queries_ == 0
             ? 0
             : static_cast<double>(n_retrieved_.item<int64_t>()) / static_cast<double>(n_queries_);
}

void MaskedPolicy::count_hits() {
  hits_ = at::zeros({2}, at::TensorOptions(device_).dtype(at::kDouble));
  for (Layer& layer : layers_) layer.last_picked.reset();
}

std::optional<double> MaskedPolicy::cache_hit_rate() const {
  if (!hits_.defined()) return std::nullopt;
  const at::Tensor host = hits_.to(at::kCPU);
  const double* hits = host.const_data_ptr<double>();
  return hits[1] > 0 ? std::optional(hits[0] / hits[1]) : std::nullopt;
}

void MaskedPolicy::save(formats::ChunkFileWriter&) const {
  throw Error(ErrorCode::kUnavailable, kInMaskedPolicy,
              "sessions on a GPU cannot be saved; use --device cpu");
}

void MaskedPolicy::load(const formats::ChunkFile&) {
  throw Error(ErrorCode::kUnavailable, kInMaskedPolicy,
              "sessions cannot be restored on a GPU; use --device cpu");
}

}  // namespace dsrasq::policy
