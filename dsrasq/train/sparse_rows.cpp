#include "dsrasq/train/sparse_rows.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <optional>

#include "dsrasq/ops/rows.h"
#include "dsrasq/train/dense_attention.h"

namespace dsrasq::train {
namespace {

constexpr int64_t kLeastBlock = 16, kMostBlock = 128;
constexpr double kMasked = -1e30;

at::Tensor bias_of(const at::Tensor& seen, const at::Tensor& like) {
  return at::zeros(seen.sizes(), like.options().requires_grad(false))
      .masked_fill_(seen.logical_not(), kMasked);
}

// `t` by token, of which the first `n` get no gradient.
at::Tensor detached_until(int64_t n, const at::Tensor& t) {
  if (n == 0 || !t.defined() || !t.requires_grad()) return t;
  return at::cat({t.narrow(0, 0, n).detach(), t.narrow(0, n, t.size(0) - n)});
}

// Rows in n blocks of b, so that a window is one short range of columns for all rows of a block.
// What is by row and head `[R, H, X]` is then `[n, Hkv, n_rep * b, X]`.
class Blocks {
 public:
  Blocks(const SparseRowsInput& in, const SparseRowsRules& rules)
      : rows_(rules.rows),
        window_(std::min(rules.rows.window, rules.rows.end)),
        n_rows_(in.q.size(0)),
        n_kv_(in.k.size(1)),
        n_rep_(in.q.size(1) / n_kv_),
        block_(std::min(n_rows_, std::clamp(window_ / 4, kLeastBlock, kMostBlock))),
        n_((n_rows_ + block_ - 1) / block_) {
    const auto ints = in.q.options().dtype(at::kInt).requires_grad(false);
    positions_ = at::arange(rows_.begin, rows_.begin + n_ * block_, ints).view({n_, block_, 1});
    band_ = at::arange(n_band(), ints) - (window_ - 1) +
            at::arange(rows_.begin, rows_.begin + n_ * block_, block_, ints).view({n_, 1, 1});
  }

  int64_t n_band() const { return block_ + window_ - 1; }
  const at::Tensor& positions() const { return positions_; }  // of the rows [n, b, 1]
  const at::Tensor& band_positions() const { return band_; }  // of a block's columns [n, 1, B]
  at::Tensor band_seen() const {                              // [n, b, B]
    return (band_ <= positions_)
        .logical_and_(band_ > positions_ - window_)
        .logical_and_(band_ >= rows_.sinks);
  }

  at::Tensor split(const at::Tensor& x) const {
    return at::constant_pad_nd(x, {0, 0, 0, 0, 0, n_ * block_ - n_rows_})
        .view({n_, block_, n_kv_, n_rep_, x.size(2)})
        .permute({0, 2, 3, 1, 4})
        .reshape({n_, n_kv_, n_rep_ * block_, x.size(2)});
  }
  at::Tensor join(const at::Tensor& x) const {
    return x.reshape({n_, n_kv_, n_rep_, block_, x.size(3)})
        .permute({0, 3, 1, 2, 4})
        .reshape({n_ * block_, n_kv_ * n_rep_, x.size(3)})
        .narrow(0, 0, n_rows_);
  }
  // Of `[end, Hkv, D]`, every block's columns `[n, Hkv, D, B]`, zeros before the first token.
  at::Tensor band(const at::Tensor& t) const {
    const int64_t first = rows_.begin - window_ + 1, from = std::max<int64_t>(0, first);
    return at::constant_pad_nd(t.narrow(0, from, rows_.end - from),
                               {0, 0, 0, 0, from - first, n_ * block_ - n_rows_})
        .unfold(0, n_band(), block_);
  }
  // logits `[n, Hkv, n_rep * b, X]` plus `bias` `[n, b, X]`.
  at::Tensor biased(const at::Tensor& logits, const at::Tensor& bias) const {
    return (logits.view({n_, n_kv_, n_rep_, block_, logits.size(3)}) +
            bias.view({n_, 1, 1, block_, bias.size(2)}))
        .view(logits.sizes());
  }

 private:
  PoolRows rows_;
  int64_t window_, n_rows_, n_kv_, n_rep_, block_, n_;
  at::Tensor positions_, band_;
};

// The pool as R rows read it: their own picks, or all of it with a mask.
class Pool {
 public:
  Pool(const SparseRowsInput& in, const SparseRowsRules& rules)
      : in_(in),
        rules_(rules),
        n_(rules.rows.n_columns()),
        n_kv_(in.k.size(1)),
        gathers_(train::gathers(rules.columns.size(1), n_, in.q.size(1), n_kv_ * in.k.size(2))) {
    const int64_t n_rows = in.q.size(0);
    const auto ints = rules.columns.options();
    columns_ = gathers_ ? rules.columns.clamp_max(n_ - 1) : at::arange(n_, ints).unsqueeze(0);
    if (in.q_far.defined())
      is_far_ = columns_ + rules.rows.sinks <=
                at::arange(rules.rows.begin, rules.rows.end, ints).unsqueeze(1) - rules.d_max;
    term_ = at::zeros(rules.columns.sizes(), in.q.options().requires_grad(false));
    if (in.log_ratio.defined() && at::GradMode::is_enabled()) {
      const at::Tensor term = at::log_sigmoid(in.log_ratio);
      term_ = (term - term.detach()).to(in.q.scalar_type());
    }
    if (gathers_) {
      term_ = term_.masked_fill(rules.columns >= n_, kMasked);
    } else {  // one column more, for the picks that are none
      term_ = at::full({n_rows, n_ + 1}, kMasked, in.q.options().requires_grad(false))
                  .scatter(1, rules.columns.to(at::kLong), term_)
                  .narrow(1, 0, n_);
    }
  }

  // [R, H, X] with X picks or columns.
  at::Tensor logits() const {
    const at::Tensor q = in_.q * rules_.scale;
    at::Tensor logits;
    if (!gathers_) {
      logits = grouped_product(q, own(in_.k)).transpose(0, 1);
      if (is_far_.defined())
        logits = at::where(
            is_far_.unsqueeze(1),
            grouped_product(in_.q_far * rules_.scale, own(in_.k_plain)).transpose(0, 1), logits);
    } else if (!is_far_.defined()) {
      logits = by_row(q).matmul(gathered(own(in_.k), columns_).transpose(2, 3)).flatten(1, 2);
    } else {
      // One table with both kinds of keys, and both kinds of queries for what a row takes from it.
      const at::Tensor keys =
          gathered(at::cat({own(in_.k), own(in_.k_plain)}), columns_ + is_far_.mul(n_));
      const auto both = at::cat({by_row(q), by_row(in_.q_far * rules_.scale)}, 2)
                            .matmul(keys.transpose(2, 3))
                            .chunk(2, 2);
      logits = at::where(is_far_.unsqueeze(1).unsqueeze(1), both[1], both[0]).flatten(1, 2);
    }
    return ops::softcap(logits, rules_.softcap) + term_.unsqueeze(1);
  }

  // Weights [R, H, X] to [R, H, D].
  at::Tensor read(const at::Tensor& weights) const {
    if (!gathers_) return weighted_values(weights.transpose(0, 1), own(in_.v));
    return by_row(weights).matmul(gathered(own(in_.v), columns_)).flatten(1, 2);
  }

 private:
  at::Tensor own(const at::Tensor& t) const { return t.narrow(0, rules_.rows.sinks, n_); }
  // [R, H, X] to [R, Hkv, n_rep, X].
  at::Tensor by_row(const at::Tensor& t) const {
    return t.reshape({t.size(0), n_kv_, t.size(1) / n_kv_, t.size(2)});
  }
  // Rows `[R, X]` of a table `[N, Hkv, D]`: [R, Hkv, X, D]. As an embedding, whose gradient adds up
  // in fp32 whatever the type.
  at::Tensor gathered(const at::Tensor& table, const at::Tensor& rows) const {
    const at::Tensor heads = at::arange(n_kv_, rows.options()).view({1, n_kv_, 1});
    return at::embedding(table.flatten(0, 1), rows.unsqueeze(1) * n_kv_ + heads);
  }

  const SparseRowsInput& in_;
  const SparseRowsRules& rules_;
  int64_t n_, n_kv_;
  bool gathers_;
  at::Tensor columns_, is_far_, term_;
};

// The logits of the blocks' rows with columns at `positions` `[n or 1, 1, X]`: [n, Hkv, n_rep * b,
// X].
class LocalLogits {
 public:
  LocalLogits(const SparseRowsInput& in, const SparseRowsRules& rules, const Blocks& blocks)
      : rules_(rules), blocks_(blocks), q_(blocks.split(in.q * rules.scale)) {
    if (in.q_far.defined()) q_far_ = blocks.split(in.q_far * rules.scale);
  }
  // `keys` [n, Hkv, D, X]; `plain_keys` likewise, undefined where no column is far.
  at::Tensor operator()(const at::Tensor& keys, const at::Tensor& plain_keys,
                        const at::Tensor& positions, const at::Tensor& seen) const {
    at::Tensor logits = q_.matmul(keys);
    if (plain_keys.defined()) {
      const at::Tensor is_far = positions <= blocks_.positions() - rules_.d_max;  // [n, b, X]
      const int64_t n_rep = q_.size(2) / is_far.size(1);
      logits =
          at::where(is_far.repeat({1, n_rep, 1}).unsqueeze(1), q_far_.matmul(plain_keys), logits);
    }
    return blocks_.biased(ops::softcap(logits, rules_.softcap), bias_of(seen, logits));
  }

 private:
  const SparseRowsRules& rules_;
  const Blocks& blocks_;
  at::Tensor q_, q_far_;
};

}  // namespace

bool gathers(int64_t n_picks, int64_t n_columns, int64_t n_heads, int64_t kv_width) {
  return n_picks * kv_width < 2 * n_columns * n_heads;
}

at::Tensor attend_rows(const SparseRowsInput& input, const SparseRowsRules& rules) {
  const PoolRows& rows = rules.rows;
  SparseRowsInput in = input;
  for (at::Tensor* t : {&in.k, &in.v, &in.k_plain}) *t = detached_until(rows.first_live, *t);
  const Blocks blocks(in, rules);
  const LocalLogits local(in, rules, blocks);
  const bool has_far = in.q_far.defined();
  const int64_t n_sinks = std::min(rows.sinks, rows.end);
  std::vector<at::Tensor> logits, values;  // by part: [n, Hkv, n_rep * b, X] and [n, Hkv, X, D]
  if (n_sinks > 0) {
    const at::Tensor positions =
        at::arange(n_sinks, blocks.positions().options()).view({1, 1, n_sinks});
    const auto sinks = [&](const at::Tensor& t) {
      return t.narrow(0, 0, n_sinks).permute({1, 2, 0}).unsqueeze(0);
    };
    logits.push_back(local(sinks(in.k), has_far ? sinks(in.k_plain) : at::Tensor(), positions,
                           positions <= blocks.positions()));
    values.push_back(sinks(in.v).transpose(2, 3));
  }
  const bool band_is_far = has_far && rules.d_max < rows.window;
  logits.push_back(local(blocks.band(in.k), band_is_far ? blocks.band(in.k_plain) : at::Tensor(),
                         blocks.band_positions(), blocks.band_seen()));
  values.push_back(blocks.band(in.v).transpose(2, 3));
  std::optional<Pool> pool;
  if (rules.columns.defined()) {
    pool.emplace(in, rules);
    logits.push_back(blocks.split(pool->logits()));
  }
  const at::Tensor weights = at::cat(logits, 3).softmax(3);
  at::Tensor out;
  int64_t first = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t n = logits[i].size(3);
    const at::Tensor read = weights.narrow(3, first, n).matmul(values[i]);
    out = out.defined() ? out + read : read;
    first += n;
  }
  out = blocks.join(out);
  if (pool) out = out + pool->read(blocks.join(weights.narrow(3, first, logits.back().size(3))));
  return out;
}

}  // namespace dsrasq::train
