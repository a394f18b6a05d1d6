#include "dsrasq/train/sparse_rows.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "dsrasq/train/student_attention.h"

namespace dsrasq::train {
namespace {

constexpr int64_t kHeads = 6, kKvHeads = 2, kDim = 16, kIndexHeads = 3, kIndexDim = 4;

struct Case {
  int64_t n_tokens = 70;
  StudentRules rules = {.window = 9, .sinks = 2, .top_k = 5};
  int64_t d_max = 0;
  double softcap = 0;
};

// Leaves in double precision: an attention's tensors and an index's.
struct Inputs {
  explicit Inputs(const Case& c) {
    at::set_num_threads(1);  // small tensors are done sooner by one
    at::manual_seed(7);
    const auto leaf = [](at::IntArrayRef shape) {
      return at::randn(shape, at::TensorOptions().dtype(at::kDouble)).requires_grad_(true);
    };
    const int64_t n = c.n_tokens;
    attention = {.q = leaf({n, kHeads, kDim}),
                 .k = leaf({n, kKvHeads, kDim}),
                 .v = leaf({n, kKvHeads, kDim}),
                 .q_far = leaf({n, kHeads, kDim}),
                 .k_plain = leaf({n, kKvHeads, kDim}),
                 .scale = 0.3,
                 .softcap = c.softcap,
                 .sliding_window = 0,
                 .d_max = c.d_max};
    index = {.query = leaf({kIndexHeads, n, kIndexDim}),
             .key = leaf({n, kIndexDim}),
             .weight = leaf({n, kIndexHeads}),
             .local = leaf({n, 1}),
             .threshold = leaf({1})};
    index.threshold.detach().fill_(-3);
    direction = at::randn({n, kHeads, kDim}, at::TensorOptions().dtype(at::kDouble));
  }
  // Gradients of `read`, with E|S| where it is there; zeros where there are none.
  std::vector<at::Tensor> gradients(const StudentRead& read) {
    const std::vector<at::Tensor*> leaves{
        &attention.q, &attention.k,       &attention.v,  &attention.q_far, &index.query,
        &index.key,   &attention.k_plain, &index.weight, &index.local,     &index.threshold};
    for (at::Tensor* t : leaves) t->mutable_grad() = at::Tensor();
    at::Tensor root = (read.out * direction).sum();
    if (read.expected.defined()) root = root + read.expected * 0.7;
    root.backward();
    std::vector<at::Tensor> found;
    for (at::Tensor* t : leaves) found.push_back(t->grad().defined() ? t->grad() : at::zeros({1}));
    return found;
  }
  DenseAttention attention;
  StudentIndex index;
  at::Tensor direction;
};

// `f(t)` with gradients for `t` where `live` alone.
template <class F>
at::Tensor live_only(const at::Tensor& live, const at::Tensor& t, const F& f) {
  return at::where(live, f(t), f(t.detach()));
}

// The same by its formula, with a column for every token in every row.
StudentRead by_the_formula(const Inputs& in, const StudentRules& rules) {
  const DenseAttention& a = in.attention;
  const StudentIndex& index = in.index;
  const int64_t n = a.q.size(0);
  const at::Tensor row = at::arange(n).unsqueeze(1), column = at::arange(n).unsqueeze(0);
  const at::Tensor is_local =
      (column <= row).logical_and((column > row - rules.window).logical_or(column < rules.sinks));
  const at::Tensor in_pool = (column <= row - rules.window).logical_and(column >= rules.sinks);
  at::Tensor live = at::ones({n, n}, at::kBool);
  if (rules.horizon > 0)
    live = column >= row.floor_divide(rules.horizon_block) * rules.horizon_block - rules.horizon;

  const at::Tensor z =
      live_only(live, index.key, [&](const at::Tensor& key) {
        return at::einsum("hij,ih->ij", {index.query.matmul(key.t()).relu(), index.weight});
      }).masked_fill(~in_pool, -1e30);
  const at::Tensor u = z - (z.exp().sum(1, true) + index.local.exp()).log() - index.threshold;
  // Of the many scores that are zero the earliest come first.
  at::Tensor picked = at::zeros({n, n}, at::kBool);
  for (int64_t i = 0; i < n; ++i) {
    const auto order = std::get<1>(at::sort(z[i].detach(), true, 0, true));
    picked[i].index_fill_(0, order.narrow(0, 0, std::min(n, rules.top_k)), true);
  }
  picked = picked.logical_and(in_pool);
  if (rules.thresholded) picked = picked.logical_and(u > 0);

  at::Tensor logits =
      live_only(live, a.k, [&](const at::Tensor& k) { return grouped_product(a.q, k); });
  if (a.d_max > 0)
    logits = at::where(column <= row - a.d_max,
                       live_only(live, a.k_plain,
                                 [&](const at::Tensor& k) { return grouped_product(a.q_far, k); }),
                       logits);
  logits = logits * a.scale;
  if (a.softcap > 0) logits = (logits / a.softcap).tanh() * a.softcap;
  const at::Tensor term = at::log_sigmoid(u.masked_fill(~picked, 0));
  const at::Tensor bias =
      at::where(picked, term - term.detach(), at::full({n, n}, -1e30, at::kDouble))
          .masked_fill(is_local, 0);
  const at::Tensor weights = (logits + bias).softmax(2);
  StudentRead read{
      .out = weighted_values(weights * live, a.v) + weighted_values(weights * ~live, a.v.detach()),
      .picked = picked.sum()};
  if (rules.counts_expected) read.expected = u.sigmoid().masked_fill(~in_pool, 0).sum();
  return read;
}

void expect_like_the_formula(const Case& c, const std::vector<int64_t>& chunks = {0, 7, 16, 33}) {
  Inputs in(c);
  const StudentRead wanted = by_the_formula(in, c.rules);
  const std::vector<at::Tensor> wanted_gradients = in.gradients(wanted);
  for (const int64_t chunk_rows : chunks) {
    StudentRules rules = c.rules;
    rules.chunk_rows = chunk_rows;
    const StudentRead read = attend_sparsely(in.attention, &in.index, rules);
    EXPECT_LT((read.out - wanted.out).abs().max().item<double>(), 1e-10) << chunk_rows;
    EXPECT_EQ(read.picked.item<double>(), wanted.picked.item<double>());
    if (rules.counts_expected) {
      EXPECT_NEAR(read.expected.item<double>(), wanted.expected.item<double>(), 1e-8);
    }
    const std::vector<at::Tensor> gradients = in.gradients(read);
    for (size_t i = 0; i < gradients.size(); ++i)
      EXPECT_LT((gradients[i] - wanted_gradients[i]).abs().max().item<double>(), 1e-9)
          << "leaf " << i << " in chunks of " << chunk_rows;
  }
}

TEST(SparseRows, TextsOfAnyLengthAreReadByTheFormula) {
  for (const int64_t n_tokens : {1, 8, 9, 11, 12, 33, 49}) expect_like_the_formula({n_tokens});
}

TEST(SparseRows, PicksAreGatheredOrMasked) {
  EXPECT_TRUE(gathers(64, 3580, 9, 192));
  EXPECT_FALSE(gathers(256, 1500, 9, 192));
  for (const int64_t top_k : {1, 20, 1000}) {
    Case c;
    c.rules.top_k = top_k;
    EXPECT_EQ(gathers(std::min<int64_t>(top_k, 59), 59, kHeads, kKvHeads * kDim), top_k <= 20);
    expect_like_the_formula(c);
    c.d_max = 20;
    expect_like_the_formula(c);
  }
}

TEST(SparseRows, FarKeysAreThoseBeforeRopeWhereverTheyStand) {
  for (const int64_t d_max : {4, 15, 40})
    for (const double softcap : {0.0, 2.0})
      expect_like_the_formula({.d_max = d_max, .softcap = softcap}, {0, 16});
}

TEST(SparseRows, OtherWindowsAndSinks) {
  Case c;
  for (const int64_t window : {1, 20, 69, 200})
    for (const int64_t sinks : {0, 1, 80}) {
      c.rules.window = window;
      c.rules.sinks = sinks;
      expect_like_the_formula(c, {0, 33});
    }
}

TEST(SparseRows, ThresholdsAndExpectedCounts) {
  Case c;
  c.rules.counts_expected = true;
  expect_like_the_formula(c);
  c.rules.thresholded = true;
  expect_like_the_formula(c);
  c.rules.top_k = 50;
  expect_like_the_formula(c);
  c.rules.counts_expected = false;
  expect_like_the_formula(c);
}

TEST(SparseRows, NothingBeyondTheHorizonGetsGradients) {
  Case c{.n_tokens = 90};
  c.rules.horizon = 20;
  c.rules.horizon_block = 12;
  c.rules.counts_expected = true;
  expect_like_the_formula(c);
  c.d_max = 30;
  c.rules.top_k = 60;
  expect_like_the_formula(c);
  Inputs in(c);
  in.direction.narrow(0, 0, 84).zero_();
  c.rules.counts_expected = false;
  // Row 84 begins a block: tokens 64 and later are within its horizon.
  const auto gradients = in.gradients(attend_sparsely(in.attention, &in.index, c.rules));
  for (const size_t leaf : {1, 2, 5}) {  // k, v and the index's keys
    EXPECT_EQ(gradients[leaf].narrow(0, 0, 64).abs().max().item<double>(), 0) << leaf;
    EXPECT_GT(gradients[leaf].narrow(0, 64, 1).abs().max().item<double>(), 0) << leaf;
  }
}

TEST(SparseRows, AnyPicksAreRead) {
  Case c;
  const at::Tensor like = at::rand({c.n_tokens, c.n_tokens});
  for (const double share : {0.0, 0.05, 0.6, 1.0}) {
    Inputs in(c);
    at::Tensor all = at::zeros({c.n_tokens, c.n_tokens}, at::kBool);
    StudentRules rules = c.rules;
    rules.chunk_rows = 16;
    rules.pick = [&](const PoolScores& pool) {
      const int64_t n_rows = pool.scores.size(0), n_columns = pool.scores.size(1);
      const auto part = [&](const at::Tensor& t) {
        return t.narrow(0, pool.begin, n_rows).narrow(1, rules.sinks, n_columns);
      };
      part(all).copy_((part(like) < share).logical_and(pool.unseen.logical_not()));
      return part(all);
    };
    const at::NoGradGuard no_grad;
    const StudentRead read = attend_sparsely(in.attention, &in.index, rules);
    const at::Tensor row = at::arange(c.n_tokens).unsqueeze(1),
                     column = at::arange(c.n_tokens).unsqueeze(0);
    const at::Tensor seen =
        (column <= row).logical_and((column > row - 9).logical_or(column < 2)).logical_or(all);
    const at::Tensor weights = (grouped_product(in.attention.q, in.attention.k) * 0.3)
                                   .masked_fill(~seen, -1e30)
                                   .softmax(2);
    EXPECT_LT((read.out - weighted_values(weights, in.attention.v)).abs().max().item<double>(),
              1e-10);
    EXPECT_EQ(read.picked.item<int64_t>(), all.sum().item<int64_t>());
  }
}

TEST(SparseRows, PickingNothingIsReadingTheWindowAlone) {
  for (const int64_t d_max : {0, 20}) {
    const Case c{.d_max = d_max};
    Inputs in(c);
    StudentRules rules = c.rules;
    rules.pick = [](const PoolScores& pool) {
      return at::zeros(pool.scores.sizes(), pool.unseen.options());
    };
    const at::NoGradGuard no_grad;
    EXPECT_TRUE(attend_sparsely(in.attention, &in.index, rules)
                    .out.allclose(attend_sparsely(in.attention, nullptr, rules).out));
  }
}

}  // namespace
}  // namespace dsrasq::train
