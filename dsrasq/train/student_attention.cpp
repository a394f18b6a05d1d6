#include "dsrasq/train/student_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <vector>

#include "dsrasq/ops/rows.h"
#include "dsrasq/train/indexer_loss.h"
#include "dsrasq/train/recompute.h"

namespace dsrasq::train {
namespace {

constexpr int64_t kChunkElements = 1 << 27, kChunkElementsCpu = 1 << 22;
constexpr double kUnseen = -1e30;  // finite, so that 0 * it stays 0

// Rounded going forward, untouched going back.
at::Tensor rounded(const at::Tensor& x, double code_max) {
  return x + (fake_quantised(x.detach(), code_max) - x.detach());
}

// z of some rows over some pool columns: [R, N], kUnseen where the row does not see the column.
at::Tensor index_scores(const at::Tensor& query, const at::Tensor& key, const at::Tensor& weight,
                        const at::Tensor& unseen) {
  const int64_t n_heads = query.size(0), n_rows = query.size(1);
  const at::Tensor dots = query.reshape({n_heads * n_rows, query.size(2)}).matmul(key.t()).relu_();
  const at::Tensor by_head = dots.view({n_heads, n_rows, key.size(0)});
  return (by_head * weight.t().unsqueeze(2)).sum(0).masked_fill(unseen, kUnseen);
}

// The columns above the last score that is in, and of those equal to it as many as there is room
// for: [R, N] bool.
at::Tensor down_to(const PoolScores& pool, const at::Tensor& last, const at::Tensor& sizes) {
  const at::Tensor above = pool.scores > last, equal = pool.scores == last;
  const at::Tensor room = sizes - above.sum({1}, true);
  return above.logical_or(equal.logical_and_(equal.cumsum(1, at::kInt) <= room))
      .logical_and_(pool.unseen.logical_not());
}

// Everything that one chunk of rows reads.
struct ChunkInput {
  at::Tensor q, k, v;                               // [R, H, D], [end, Hkv, D] twice
  at::Tensor query, key, weight, local, threshold;  // the index; undefined without a pool
  at::Tensor q_far, k_far;                          // undefined where nothing is that far

  std::vector<at::Tensor> list() const {
    return {q, k, v, query, key, weight, local, threshold, q_far, k_far};
  }
  static ChunkInput of(const std::vector<at::Tensor>& t) {
    return {t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9]};
  }
};

struct Chunk {
  int64_t begin = 0, end = 0;
  double scale = 1, softcap = 0;
  int64_t d_max = 0;
  StudentRules rules;
  StudentMasks::Rows masks;
  at::Tensor picked;  // [R, N] bool; undefined without a pool
};

PoolScores scores_of(const ChunkInput& in, const Chunk& chunk) {
  return {.begin = chunk.begin,
          .scores = index_scores(in.query, in.key, in.weight, chunk.masks.unseen),
          .local = in.local,
          .threshold = in.threshold,
          .unseen = chunk.masks.unseen};
}

at::Tensor chunk_logits(const ChunkInput& in, const Chunk& chunk) {
  at::Tensor logits = grouped_product(in.q * chunk.scale, in.k);
  if (in.q_far.defined()) {
    const int64_t n_far = in.k_far.size(0);
    const auto longs = in.q.options().dtype(at::kLong).requires_grad(false);
    const at::Tensor is_far = at::arange(n_far, longs).unsqueeze(0) <=
                              at::arange(chunk.begin, chunk.end, longs).unsqueeze(1) - chunk.d_max;
    const at::Tensor far = grouped_product(in.q_far * chunk.scale, in.k_far);
    logits = at::cat({at::where(is_far, far, logits.narrow(2, 0, n_far)),
                      logits.narrow(2, n_far, logits.size(2) - n_far)},
                     2);
  }
  return ops::softcap(logits, chunk.softcap);
}

// What is added to the logits: the masks and, where gradients are wanted, the straight-through
// term.
at::Tensor chunk_bias(const Chunk& chunk, const at::Tensor& u) {
  const at::Tensor& bias = chunk.masks.bias;
  if (!chunk.picked.defined()) return bias;
  const int64_t sinks = chunk.rules.sinks, n_pool = chunk.picked.size(1);
  at::Tensor pool = bias.narrow(1, sinks, n_pool);
  if (u.defined() && at::GradMode::is_enabled()) {
    const at::Tensor term = at::log_sigmoid(u);
    pool = at::where(chunk.picked, (term - term.detach()).to(bias.scalar_type()), pool);
  } else {
    pool = pool.masked_fill(chunk.picked, 0);
  }
  return at::cat({bias.narrow(1, 0, sinks), pool,
                  bias.narrow(1, sinks + n_pool, bias.size(1) - sinks - n_pool)},
                 1);
}

std::vector<at::Tensor> read_chunk(const ChunkInput& in, const Chunk& chunk) {
  at::Tensor u;
  const bool wants_u = at::GradMode::is_enabled() || chunk.rules.counts_expected;
  if (chunk.picked.defined() && wants_u) u = log_ratio(scores_of(in, chunk));
  const at::Tensor weights = (chunk_logits(in, chunk) + chunk_bias(chunk, u)).softmax(2);
  std::vector<at::Tensor> out{weighted_values(weights, in.v)};
  if (chunk.rules.counts_expected && u.defined()) out.push_back(u.sigmoid().sum());
  return out;
}

at::Tensor pick(const ChunkInput& in, const Chunk& chunk) {
  const at::NoGradGuard no_grad;
  const PoolScores pool = scores_of(in, chunk);
  const StudentRules& rules = chunk.rules;
  return rules.pick ? rules.pick(pool) : greedy_pick(pool, rules.top_k, rules.thresholded);
}

ChunkInput chunk_input(const DenseAttention& a, const StudentIndex* index, const Chunk& chunk) {
  const int64_t n_rows = chunk.end - chunk.begin;
  const auto rows = [&](const at::Tensor& t) { return t.narrow(0, chunk.begin, n_rows); };
  ChunkInput in{.q = rows(a.q), .k = a.k.narrow(0, 0, chunk.end), .v = a.v.narrow(0, 0, chunk.end)};
  const int64_t n_pool = chunk.masks.unseen.size(1);
  if (index != nullptr && n_pool > 0 && chunk.rules.top_k > 0) {
    in.query = index->query.narrow(1, chunk.begin, n_rows);
    in.key = index->key.narrow(0, chunk.rules.sinks, n_pool);
    in.weight = rows(index->weight);
    in.local = rows(index->local);
    in.threshold = index->threshold;
  }
  if (const int64_t n_far = chunk.end - a.d_max; a.d_max > 0 && n_far > 0) {
    in.q_far = rows(a.q_far);
    in.k_far = a.k_plain.narrow(0, 0, n_far);
  }
  return in;
}

}  // namespace

PoolScores pool_scores(const StudentIndex& index, const at::Tensor& positions, int64_t end,
                       int64_t sinks, int64_t window) {
  const int64_t n_pool = end - window - sinks;
  PoolScores pool{.local = index.local.index_select(0, positions), .threshold = index.threshold};
  pool.unseen = at::arange(sinks, sinks + n_pool, positions.options()).unsqueeze(0) >
                positions.unsqueeze(1) - window;
  pool.scores =
      index_scores(index.query.index_select(1, positions), index.key.narrow(0, sinks, n_pool),
                   index.weight.index_select(0, positions), pool.unseen);
  return pool;
}

at::Tensor log_ratio(const PoolScores& pool) {
  return pool.scores - at::logaddexp(pool.scores.logsumexp({1}, true), pool.local) - pool.threshold;
}

at::Tensor greedy_pick(const PoolScores& pool, int64_t top_k, bool thresholded) {
  at::Tensor picked;
  if (top_k >= pool.scores.size(1)) {
    picked = pool.unseen.logical_not();
  } else {
    const at::Tensor last = std::get<0>(pool.scores.topk(top_k, 1, true, false)).amin({1}, true);
    picked = down_to(pool, last, at::full({1}, top_k, last.options().dtype(at::kLong)));
  }
  if (thresholded) picked.logical_and_(log_ratio(pool) > 0);
  return picked;
}

at::Tensor best_of_sizes(const PoolScores& pool, const at::Tensor& best, const at::Tensor& sizes) {
  const at::Tensor wanted = sizes.unsqueeze(1);
  return down_to(pool, best.gather(1, (wanted - 1).clamp(0, best.size(1) - 1)), wanted);
}

StudentIndex StudentIndex::of(const retriever::IndexerParameters& p, const at::Tensor& threshold,
                              const at::Tensor& x, int64_t n_heads, bool fake_quantise) {
  const at::Tensor x32 = x.to(p.key.scalar_type());
  const int64_t n_tokens = x.size(0), width = p.key.size(0);
  StudentIndex index{.query = at::linear(x32, p.query).view({n_tokens, n_heads, width}),
                     .key = at::layer_norm(at::linear(x32, p.key), {width}, p.norm_weight,
                                           p.norm_bias, kKeyNormEps),
                     .weight = at::linear(x32, p.head_weight, p.head_bias),
                     .local = at::linear(x32, p.local, p.local_bias),
                     .threshold = threshold};
  if (fake_quantise) {
    index.query = rounded(index.query, kQueryCodeMax);
    index.key = rounded(index.key, kKeyCodeMax);
  }
  index.query = index.query.transpose(0, 1);
  return index;
}

const StudentMasks::Rows& StudentMasks::get(int64_t begin, int64_t end, int64_t sinks,
                                            int64_t window, const at::Tensor& like) {
  Rows& rows = rows_[{begin, end, sinks, window}];
  if (rows.bias.defined() && rows.bias.scalar_type() == like.scalar_type()) return rows;
  const auto ints = at::TensorOptions(like.device()).dtype(at::kInt);
  const at::Tensor row = at::arange(begin, end, ints).unsqueeze(1);
  const at::Tensor column = at::arange(end, ints).unsqueeze(0);
  const at::Tensor local =
      (column <= row).logical_and_((column > row - window).logical_or_(column < sinks));
  rows.bias = at::zeros(local.sizes(), like.options().requires_grad(false))
                  .masked_fill_(local.logical_not(), kUnseen);
  const int64_t n_pool = std::max<int64_t>(0, end - window - sinks);
  rows.unseen = column.narrow(1, std::min(sinks, end - n_pool), n_pool) > row - window;
  return rows;
}

StudentRead attend_sparsely(const DenseAttention& a, const StudentIndex* index,
                            const StudentRules& rules, StudentMasks& masks) {
  const int64_t n_tokens = a.q.size(0), n_heads = a.q.size(1);
  int64_t budget = a.q.device().is_cpu() ? kChunkElementsCpu : kChunkElements;
  if (rules.chunk_elements > 0) budget = rules.chunk_elements;
  const int64_t most = std::max<int64_t>(1, budget / (n_heads * n_tokens));
  const int64_t n_chunks = (n_tokens + most - 1) / most,
                n_rows = (n_tokens + n_chunks - 1) / n_chunks;
  const auto sums = a.q.options().dtype(index ? index->key.scalar_type() : at::kFloat);
  StudentRead read{.picked = at::zeros({}, sums.requires_grad(false))};
  if (rules.counts_expected) read.expected = at::zeros_like(read.picked);
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < n_tokens; begin += n_rows) {
    Chunk chunk{.begin = begin,
                .end = std::min(begin + n_rows, n_tokens),
                .scale = a.scale,
                .softcap = a.softcap,
                .d_max = a.d_max,
                .rules = rules};
    chunk.masks = masks.get(begin, chunk.end, rules.sinks, rules.window, a.q);
    const ChunkInput in = chunk_input(a, index, chunk);
    if (in.query.defined()) {
      chunk.picked = pick(in, chunk);
      read.picked.add_(chunk.picked.sum());
    }
    const std::vector<at::Tensor> outputs = recomputed(
        [chunk](const std::vector<at::Tensor>& t) { return read_chunk(ChunkInput::of(t), chunk); },
        in.list());
    parts.push_back(outputs[0]);
    if (outputs.size() > 1) read.expected = read.expected + outputs[1];
  }
  read.out = at::cat(parts);
  return read;
}

}  // namespace dsrasq::train
