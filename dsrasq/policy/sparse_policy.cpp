#include "dsrasq/policy/sparse_policy.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/kernels/sparse_attention.h"
#include "dsrasq/policy/leaving_rule.h"

namespace dsrasq::policy {
namespace {

constexpr const char* kInSparsePolicy = "policy.sparse_policy";
constexpr int64_t kMaxCounter = int64_t{1} << 60;  // of a session file: can be counted on from

// Of a pool that keeps what a question wants, the layers that recall most choose this share for all
// layers, by as many votes (docs/decisions/question-retention.md).
constexpr size_t kLeaders = 3;
constexpr int64_t kSharedDivisor = 2;

// The layers with the greatest recall shares.
std::vector<size_t> leading_layers(const retriever::Adapter* adapter) {
  std::vector<std::pair<float, size_t>> order;
  if (adapter != nullptr)
    for (const auto& [layer, recall] : adapter->recall)
      order.emplace_back(-recall, static_cast<size_t>(layer));
  std::sort(order.begin(), order.end());
  std::vector<size_t> layers;
  for (size_t i = 0; i < std::min(kLeaders, order.size()); ++i) layers.push_back(order[i].second);
  return layers;
}

// A layer with a sliding window of its own never looks further: no sinks, no pool.
bool is_sliding(const AttentionShape& shape, int64_t layer) {
  return shape.layers[static_cast<size_t>(layer)].sliding_window > 0;
}

memory::PoolConfig pool_config(const PolicyOptions& options, const AttentionShape& shape,
                               int64_t index_dim) {
  return {.n_kv_heads = shape.n_kv_heads,
          .head_dim = shape.head_dim,
          .index_dim = index_dim,
          .capacity = options.pool,
          .window = options.window,
          .block = options.block,
          .n_sinks = options.sinks,
          .retention = memory::parse_retention(options.retention)};
}

// The trained slots of a layer; null where there are none or they are switched off.
const memory::SlotParameters* slots_of(const PolicyOptions& options,
                                       const retriever::Adapter* adapter, int64_t layer) {
  if (adapter == nullptr || options.slots == 0) return nullptr;
  const auto found = adapter->slots.find(layer);
  return found == adapter->slots.end() ? nullptr : &found->second;
}

}  // namespace

SparsePolicy::SparsePolicy(const PolicyOptions& options, const AttentionShape& shape,
                           std::unique_ptr<Selector> selector, const retriever::Adapter* adapter)
    : options_(options),
      shape_(shape),
      selector_(std::move(selector)),
      max_distance_(options.max_distance) {
  ropes_.reserve(shape.layers.size());
  for (int64_t i = 0; i < shape.n_layers; ++i) add_layer(i, adapter);
  if (memory::parse_retention(options.retention) == memory::Retention::kQuestion)
    leaders_ = leading_layers(adapter);
  std::erase_if(leaders_, [this](size_t i) { return i >= layers_.size() || !layers_[i].pool; });
}

void SparsePolicy::add_layer(int64_t index, const retriever::Adapter* adapter) {
  const auto& model_layer = shape_.layers[static_cast<size_t>(index)];
  Layer layer;
  layer.rope = rope_of(model_layer.rope);
  layer.window = is_sliding(shape_, index) ? model_layer.sliding_window : options_.window;
  layer.n_sinks = is_sliding(shape_, index) ? 0 : options_.sinks;
  layer.ring = {shape_.n_kv_heads, shape_.head_dim, layer.window, options_.block};
  layer.sinks = {shape_.n_kv_heads, shape_.head_dim, layer.n_sinks};
  if (selector_ != nullptr && !is_sliding(shape_, index)) {
    int64_t index_dim = 0;
    if (adapter != nullptr) {
      const auto found = adapter->indexers.find(index);
      DSRASQ_CHECK(found != adapter->indexers.end(), kBadInput, kInSparsePolicy,
                   "the adapter has no indexer for layer ", index);
      layer.indexer.emplace(found->second, adapter->n_heads, adapter->head_dim);
      layer.probes = {adapter->n_heads, adapter->head_dim};
      index_dim = adapter->head_dim;
    }
    layer.pool.emplace(pool_config(options_, shape_, index_dim));
    if (const auto* slots = slots_of(options_, adapter, index))
      layer.slots.emplace(*slots, shape_.n_heads, shape_.n_kv_heads, shape_.head_dim);
  }
  layers_.push_back(std::move(layer));
}

size_t SparsePolicy::rope_of(const ops::Rope& rope) {
  for (size_t i = 0; i < ropes_.size(); ++i)
    if (ropes_[i].rope->inv_freq() == rope.inv_freq()) return i;
  ropes_.push_back(
      {.rope = &rope, .now = {}, .distance = rope.angles(0, max_distance_ + 1, at::kCPU)});
  return ropes_.size() - 1;
}

int64_t SparsePolicy::admit(int64_t n_tokens) const {
  return std::min(n_tokens, options_.block - position_ % options_.block);
}

void SparsePolicy::begin(int64_t n_tokens) {
  DSRASQ_CHECK(n_tokens > 0 && n_tokens <= admit(n_tokens), kInternal, kInSparsePolicy, n_tokens,
               " tokens at position ", position_, " cross a block");
  n_call_ = n_tokens;
  for (RopeTables& tables : ropes_) tables.now = tables.rope->angles(position_, n_tokens, at::kCPU);
  if (position_ % options_.block != 0) return;
  const std::vector<int64_t> shared = shared_pages();
  for (Layer& layer : layers_) {
    if (layer.slots) fold_left_blocks(layer);
    if (layer.pool) layer.pool->evict(position_, shared);
  }
}

std::vector<int64_t> SparsePolicy::shared_pages() const {
  std::map<int64_t, int64_t> best;  // rank by first position
  for (const size_t leader : leaders_) {
    if (layers_[leader].pool->n_tokens() <= options_.pool) return {};  // nothing has to leave
    for (const auto& page : layers_[leader].pool->ranked_pages()) {
      const auto [known, is_new] = best.emplace(page.first, page.rank);
      if (!is_new) known->second = std::min(known->second, page.rank);
    }
  }
  std::vector<std::pair<int64_t, int64_t>> order;  // rank, first position
  for (const auto& [first, rank] : best) order.emplace_back(rank, first);
  std::sort(order.begin(), order.end());
  const auto room = static_cast<size_t>(options_.pool / memory::kPageTokens / kSharedDivisor);
  if (order.size() > room) order.resize(room);
  std::vector<int64_t> pages;
  for (const auto& [rank, first] : order) pages.push_back(first);
  std::sort(pages.begin(), pages.end());
  return pages;
}

int64_t SparsePolicy::n_left_blocks(const Layer& layer) const {
  return std::max<int64_t>(0, position_ - layer.window) / options_.block;
}

// Takes into the slots the blocks that have wholly left the window.
void SparsePolicy::fold_left_blocks(Layer& layer) const {
  const int64_t n_left = n_left_blocks(layer);
  for (int64_t block = layer.slots->n_folds(); block < n_left; ++block) {
    std::vector<float> k, v;
    const std::vector<int64_t> places =
        layer.pool->gather(block * options_.block, (block + 1) * options_.block, k, v);
    layer.slots->fold(places, k.data(), v.data());
  }
}

void SparsePolicy::end() { position_ += n_call_; }

at::Tensor SparsePolicy::attend(const LayerInput& input) {
  Layer& layer = layers_[static_cast<size_t>(input.layer)];
  const RopeTables& tables = ropes_[layer.rope];
  const at::Tensor q = ops::rotate(input.q, tables.now), k = ops::rotate(input.k, tables.now);
  const float* k_plain = input.k.const_data_ptr<float>();
  const float* v = input.v.const_data_ptr<float>();
  layer.ring.append(position_, n_call_, k.const_data_ptr<float>(), v);
  layer.sinks.append(position_, n_call_, k_plain, v);

  std::optional<retriever::IndexRows> rows;
  if (layer.pool) {
    if (layer.indexer) rows = layer.indexer->project(input.x);
    layer.pool->append(position_, n_call_, k_plain, v, rows ? rows->keys.data() : nullptr);
    select(input, layer, rows ? &*rows : nullptr);
  }
  at::Tensor out = at::empty_like(input.q);
  std::vector<float> mass(recording_ && layer.pool ? selection_.slots.size() : 0);
  run_attention(input, layer, q, out, mass);
  if (layer.slots)
    layer.slots->read(n_call_, input.q.const_data_ptr<float>(), attention_scale(input.layer),
                      static_cast<float>(memory::lost_share(leaving_rule(options_), position_)),
                      out.mutable_data_ptr<float>());
  if (layer.pool) {
    if (recording_) record(input.layer, layer, mass);
    update_retention(layer, rows ? &*rows : nullptr);
  }
  return out;
}

void SparsePolicy::select(const LayerInput& input, Layer& layer, const retriever::IndexRows* rows) {
  selection_.resize(n_call_, options_.top_k);
  const SelectionRequest request{.input = input,
                                 .first = position_,
                                 .n_queries = n_call_,
                                 .window = layer.window,
                                 .pool = *layer.pool,
                                 .index = rows};
  selector_->select(request, selection_);
  if (hits_) hits_->add(input.layer, *layer.pool, selection_);
  if (observer_ != nullptr) observer_->selected(request, selection_);
  for (const int32_t count : selection_.counts) n_retrieved_ += count;
  n_queries_ += n_call_;
}

void SparsePolicy::run_attention(const LayerInput& input, const Layer& layer, const at::Tensor& q,
                                 at::Tensor& out, std::vector<float>& mass) const {
  const RopeTables& tables = ropes_[layer.rope];
  kernels::SparseAttentionParams params{.memory = {.ring = layer.ring.tiles(),
                                                   .sink_k = layer.sinks.keys(),
                                                   .sink_v = layer.sinks.values(),
                                                   .n_sink = layer.n_sinks},
                                        .rope = {.cos = tables.distance.cos.const_data_ptr<float>(),
                                                 .sin = tables.distance.sin.const_data_ptr<float>(),
                                                 .d_max = static_cast<int32_t>(max_distance_)},
                                        .q = q.const_data_ptr<float>(),
                                        .q_raw = input.q.const_data_ptr<float>(),
                                        .out = out.mutable_data_ptr<float>(),
                                        .n = n_call_,
                                        .pos0 = position_,
                                        .H = static_cast<int32_t>(shape_.n_heads),
                                        .window = layer.window,
                                        .scale = attention_scale(input.layer),
                                        .softcap = static_cast<float>(shape_.logit_softcap)};
  if (layer.pool) {
    const memory::TokenPool& pool = *layer.pool;
    params.memory.pool_k = pool.keys();
    params.memory.pool_v = pool.values();
    params.memory.pool_k_scale = pool.key_scales();
    params.memory.pool_v_scale = pool.value_scales();
    params.memory.page_first_position = pool.page_first();
    params.memory.n_slots = pool.n_slots();
    params.k = static_cast<int32_t>(selection_.top_k);
    params.selected = selection_.slots.data();
    params.n_selected = selection_.counts.data();
    params.retrieved_mass = mass.empty() ? nullptr : mass.data();
  }
  kernels::sparse_attention(params);
}

void SparsePolicy::update_retention(Layer& layer, const retriever::IndexRows* rows) {
  memory::TokenPool& pool = *layer.pool;
  if (pool.config().retention == memory::Retention::kScore)
    for (int64_t t = 0; t < n_call_; ++t)
      pool.count_use(selection_.slots.data() + t * selection_.top_k,
                     selection_.counts[static_cast<size_t>(t)]);
  if (pool.config().retention != memory::Retention::kQuestion || rows == nullptr) return;
  const std::vector<int64_t> pages = pool.take_new_pages();
  if (probing_) {
    // The question's own pages get no scores and leave first: asked again behind the text, its
    // words would find themselves instead of the evidence.
    layer.probes.add(n_call_, rows->query_codes.data(), rows->query_scales.data(),
                     rows->head_weights.data());
    return;
  }
  score_new_pages(layer, pages);
}

// The best score of every page's tokens for each probe.
void SparsePolicy::score_new_pages(Layer& layer, const std::vector<int64_t>& pages) const {
  memory::TokenPool& pool = *layer.pool;
  const auto n_probes = static_cast<size_t>(layer.probes.size());
  const std::vector<int64_t> limits(n_probes, position_ + n_call_);
  const kernels::IndexQueries probes{.codes = layer.probes.codes(),
                                     .scale = layer.probes.scales(),
                                     .weight = layer.probes.weights(),
                                     .limit = limits.data(),
                                     .n = layer.probes.size(),
                                     .n_heads = static_cast<int32_t>(layer.indexer->n_heads())};
  std::vector<float> scores(n_probes * kernels::kPageTokens);
  for (const int64_t page : pages) {
    kernels::index_scores(kernels::pages_of(index_pool(pool), page, 1), probes, scores.data());
    for (size_t probe = 0; probe < n_probes; ++probe) {
      const auto first = scores.begin() + static_cast<std::ptrdiff_t>(probe * kernels::kPageTokens);
      pool.set_probe_score(page, static_cast<int64_t>(probe),
                           *std::max_element(first, first + kernels::kPageTokens));
    }
  }
}

void SparsePolicy::start_recording() {
  recording_ = true;
  recorded_.clear();
}

std::vector<RetrievedToken> SparsePolicy::take_recording() {
  recording_ = false;
  std::map<std::pair<int64_t, int64_t>, float> sums;
  for (const RetrievedToken& token : recorded_) sums[{token.layer, token.position}] += token.weight;
  recorded_.clear();
  std::vector<RetrievedToken> tokens;
  for (const auto& [place, weight] : sums) tokens.push_back({place.first, place.second, weight});
  return tokens;
}

void SparsePolicy::record(int64_t index, const Layer& layer, const std::vector<float>& mass) {
  for (int64_t t = 0; t < n_call_; ++t)
    for (int64_t i = 0; i < selection_.counts[static_cast<size_t>(t)]; ++i) {
      const auto place = static_cast<size_t>(t * selection_.top_k + i);
      recorded_.push_back({index, layer.pool->position_of(selection_.slots[place]), mass[place]});
    }
}

double SparsePolicy::mean_retrieved() const {
  return n_queries_ == 0 ? 0 : static_cast<double>(n_retrieved_) / static_cast<double>(n_queries_);
}

size_t SparsePolicy::bytes() const {
  size_t bytes = 0;
  for (const Layer& layer : layers_)
    layer.visit([&bytes](const char*, std::span<std::byte> raw) { bytes += raw.size(); });
  return bytes;
}

size_t SparsePolicy::planned_bytes(const PolicyOptions& options, const AttentionShape& shape,
                                   bool has_pool, const retriever::Adapter* adapter) {
  size_t bytes = 0;
  for (int64_t i = 0; i < shape.n_layers; ++i) {
    const bool sliding = is_sliding(shape, i);
    const int64_t window =
        sliding ? shape.layers[static_cast<size_t>(i)].sliding_window : options.window;
    bytes +=
        memory::WindowRing::planned_bytes(shape.n_kv_heads, shape.head_dim, window, options.block);
    if (sliding) continue;
    bytes +=
        static_cast<size_t>(2 * shape.n_kv_heads * options.sinks * shape.head_dim) * sizeof(float);
    if (!has_pool) continue;
    bytes += memory::TokenPool::planned_bytes(
        pool_config(options, shape, adapter ? adapter->head_dim : 0));
    if (adapter != nullptr) bytes += memory::ProbeSet(adapter->n_heads, adapter->head_dim).bytes();
    if (const auto* slots = slots_of(options, adapter, i))
      bytes += memory::SlotCache(*slots, shape.n_heads, shape.n_kv_heads, shape.head_dim).bytes();
  }
  return bytes;
}

template <class Visit>
void SparsePolicy::Layer::visit(Visit&& visit) const {
  ring.visit(visit);
  sinks.visit(visit);
  if (pool) pool->visit(visit);
  if (slots) slots->visit(visit);
  probes.visit(visit);
}

void SparsePolicy::save(formats::ChunkFileWriter& out) const {
  const int64_t counters[] = {position_, n_retrieved_, n_queries_};
  out.add("policy", std::as_bytes(std::span(counters)));
  for (size_t i = 0; i < layers_.size(); ++i)
    layers_[i].visit([&](const char* name, std::span<std::byte> raw) {
      out.add(concat("layer.", i, '.', name), raw);
    });
}

void SparsePolicy::load(const formats::ChunkFile& in) {
  int64_t counters[3] = {};
  in.copy_to("policy", std::as_writable_bytes(std::span(counters)));
  for (const int64_t counter : counters)
    DSRASQ_CHECK(counter >= 0 && counter <= kMaxCounter, kBadInput, kInSparsePolicy,
                 in.path().string(), ": section policy holds ", counter);
  position_ = counters[0], n_retrieved_ = counters[1], n_queries_ = counters[2];
  for (size_t i = 0; i < layers_.size(); ++i) {
    layers_[i].visit([&](const char* name, std::span<std::byte> raw) {
      in.copy_to(concat("layer.", i, '.', name), raw);
    });
    if (!layers_[i].pool) continue;
    layers_[i].pool->restored();
    layers_[i].pool->check_position(position_);
    if (!layers_[i].slots) continue;
    // The last block that left may not be folded yet: that is done when the next call begins.
    const int64_t n_left = n_left_blocks(layers_[i]), n_folds = layers_[i].slots->n_folds();
    DSRASQ_CHECK(n_folds == n_left || (n_folds >= 0 && n_folds == n_left - 1), kBadInput,
                 kInSparsePolicy, in.path().string(), ": the slots of layer ", i, " hold ", n_folds,
                 " blocks, want ", n_left);
  }
}

}  // namespace dsrasq::policy
