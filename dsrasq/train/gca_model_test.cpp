#include "dsrasq/train/gca_model.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "dsrasq/core/error.h"

namespace dsrasq::train {
namespace {

using Row = std::vector<double>;
using Rows = std::vector<Row>;

GcaConfig tiny_config() {
  GcaConfig config{.decoder = checkpoint::family_config(checkpoint::Architecture::kLlama)};
  checkpoint::ModelConfig& d = config.decoder;
  d.n_layers = 3, d.n_embd = 24, d.n_ff = 20, d.n_heads = 4, d.n_kv_heads = 2, d.head_dim = 6;
  d.vocab_size = 11, d.context_length = 64, d.rms_norm_eps = 1e-5;
  d.rope_theta = d.rope_local_theta = 100;
  d.attention_scale = 1 / std::sqrt(6.0);
  d.sliding_window.assign(3, 0);
  d.tied_embeddings = true;
  config.window = 5, config.chunk = 3, config.top_k = 2;
  config.lower_layers = 1, config.encoder_layers = 2;
  check_gca_config(config, "the test");
  return config;
}

model::WeightsByName random_weights(const GcaConfig& config) {
  at::set_num_threads(1);  // tensors this small are done sooner
  at::manual_seed(7);
  model::WeightsByName weights;
  for (const checkpoint::WantedTensor& wanted : gca_tensors(config)) {
    const at::Tensor values = at::randn(wanted.shape, at::kDouble);
    weights[wanted.name] = wanted.shape.size() == 1 ? values * 0.3 + 1 : values * 0.4;
  }
  return weights;
}

// The model by its formulas, one number after another.
class Reference {
 public:
  Reference(const GcaConfig& config, const model::WeightsByName& weights)
      : c_(config), d_(config.decoder), weights_(weights) {}

  Rows states(const std::vector<int64_t>& ids) const {
    Rows h;
    const Rows &embedding = matrix("token_embd"), &landmark = matrix("landmark");
    for (size_t i = 0; i < ids.size(); ++i) {
      h.push_back(embedding[static_cast<size_t>(ids[i])]);
      if ((i + 1) % static_cast<size_t>(c_.chunk) == 0) h.push_back(landmark[0]);
    }
    const int64_t size = c_.chunk + 1, n_whole = static_cast<int64_t>(h.size()) / size;
    std::vector<Rows> encoded;
    Rows retrieval_input;
    for (int64_t l = 0; l < d_.n_layers; ++l) {
      const std::string at = concat("blk.", l, '.');
      if (l == c_.lower_layers) {
        retrieval_input = h;
        for (int64_t t = 0; t < n_whole; ++t)
          encoded.push_back(encode(Rows(h.begin() + t * size, h.begin() + (t + 1) * size)));
      }
      h = attended(at, h, c_.window);
      for (size_t i = 0; i < h.size(); ++i) {
        Row x = h[i];
        if (l >= c_.lower_layers)
          add(x, crossed(at, h[i], static_cast<int64_t>(i) / size - 1, encoded, retrieval_input));
        add(h[i], fed(at, x));
      }
    }
    Rows text;
    for (size_t i = 0; i < h.size(); ++i)
      if ((i + 1) % static_cast<size_t>(size) != 0) text.push_back(normed(h[i], "output_norm"));
    return text;
  }

 private:
  Row vector(const std::string& name) const {
    const at::Tensor t = weights_.at(name + ".weight").contiguous();
    return {t.const_data_ptr<double>(), t.const_data_ptr<double>() + t.numel()};
  }
  const Rows& matrix(const std::string& name) const {
    Rows& rows = matrices_[name];
    if (!rows.empty()) return rows;
    const Row flat = vector(name);
    const auto width = weights_.at(name + ".weight").size(1);
    for (auto at = flat.begin(); at != flat.end(); at += width) rows.emplace_back(at, at + width);
    return rows;
  }
  static double dot(const Row& a, const Row& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  }
  static void add(Row& a, const Row& b, double weight = 1) {
    for (size_t i = 0; i < a.size(); ++i) a[i] += weight * b[i];
  }
  Row times(const std::string& name, const Row& x) const {
    Row y;
    for (const Row& row : matrix(name)) y.push_back(dot(row, x));
    return y;
  }
  Row normed(Row x, const std::string& name) const {
    const double scale = 1 / std::sqrt(dot(x, x) / static_cast<double>(x.size()) + d_.rms_norm_eps);
    const Row weight = vector(name);
    for (size_t i = 0; i < x.size(); ++i) x[i] *= scale * weight[i];
    return x;
  }
  Row head(const Row& x, int64_t h) const {
    return {x.begin() + h * d_.head_dim, x.begin() + (h + 1) * d_.head_dim};
  }
  Row turned(const Row& x, size_t position) const {
    const size_t half = x.size() / 2;
    Row y(x.size());
    for (size_t i = 0; i < half; ++i) {
      const double angle =
          static_cast<double>(position) *
          std::pow(d_.rope_theta, -static_cast<double>(i) / static_cast<double>(half));
      y[i] = x[i] * std::cos(angle) - x[i + half] * std::sin(angle);
      y[i + half] = x[i + half] * std::cos(angle) + x[i] * std::sin(angle);
    }
    return y;
  }
  // Window 0: everything.
  Rows attended(const std::string& at, Rows h, int64_t window) const {
    Rows q, k, v;
    for (const Row& row : h) {
      const Row x = normed(row, at + "attn_norm");
      q.push_back(times(at + "attn_q", x));
      k.push_back(times(at + "attn_k", x));
      v.push_back(times(at + "attn_v", x));
    }
    const int64_t n_kv = static_cast<int64_t>(k[0].size()) / d_.head_dim;
    for (size_t i = 0; i < h.size(); ++i) {
      Row read;
      for (int64_t n = 0; n < d_.n_heads; ++n) {
        const int64_t own = n * n_kv / d_.n_heads;
        Row sum(static_cast<size_t>(d_.head_dim));
        double mass = 0;
        for (size_t j = 0; j < h.size(); ++j) {
          const auto distance = static_cast<int64_t>(i) - static_cast<int64_t>(j);
          if (window > 0 && (distance < 0 || distance >= window)) continue;
          const double e = std::exp(d_.attention_scale *
                                    dot(turned(head(q[i], n), i), turned(head(k[j], own), j)));
          mass += e;
          add(sum, head(v[j], own), e);
        }
        for (const double value : sum) read.push_back(value / mass);
      }
      add(h[i], times(at + "attn_output", read));
    }
    return h;
  }
  Row fed(const std::string& at, const Row& x) const {
    const Row in = normed(x, at + "ffn_norm"), gate = times(at + "ffn_gate", in);
    Row up = times(at + "ffn_up", in);
    for (size_t i = 0; i < up.size(); ++i) up[i] *= gate[i] / (1 + std::exp(-gate[i]));
    return times(at + "ffn_down", up);
  }
  Rows encode(Rows e) const {
    for (Row& row : e) row = normed(row, "enc_norm");
    for (int64_t l = 0; l < c_.encoder_layers; ++l) {
      const std::string at = concat("enc.", l, '.');
      e = attended(at, e, 0);
      for (Row& row : e) add(row, fed(at, Row(row)));
    }
    for (Row& row : e) row = normed(row, "enc_output_norm");
    return e;
  }
  // What a token of chunk t + 1 gets from what landmark t picked.
  Row crossed(const std::string& at, const Row& h, int64_t t, const std::vector<Rows>& encoded,
              const Rows& retrieval_input) const {
    Row sum(h.size());
    if (t < 1) return sum;
    const int64_t size = c_.chunk + 1;
    const Row query =
        normed(retrieval_input[static_cast<size_t>(t * size + c_.chunk)], "landmark_norm");
    std::vector<std::pair<double, size_t>> scores;
    for (size_t c = 0; c < static_cast<size_t>(t); ++c)
      scores.emplace_back(dot(query, encoded[c].back()) / std::sqrt(static_cast<double>(d_.n_embd)),
                          c);
    std::sort(scores.rbegin(), scores.rend());
    scores.resize(std::min(scores.size(), static_cast<size_t>(c_.top_k)));
    double mass = 0;
    for (const auto& [score, c] : scores) mass += std::exp(score);
    const Row q = times(at + "cross_q", normed(h, at + "cross_norm"));
    for (const auto& [score, c] : scores)
      for (int64_t n = 0; n < d_.n_heads; ++n) {
        Row read(static_cast<size_t>(d_.head_dim));
        double own = 1;  // softmax plus one
        for (size_t s = 0; s + 1 < encoded[c].size(); ++s) {
          const double e = std::exp(d_.attention_scale *
                                    dot(head(q, n), head(times("chunk_k", encoded[c][s]), n)));
          own += e;
          add(read, head(times("chunk_v", encoded[c][s]), n), e);
        }
        for (int64_t i = 0; i < d_.head_dim; ++i)
          sum[static_cast<size_t>(n * d_.head_dim + i)] +=
              std::exp(score) / mass * read[static_cast<size_t>(i)] / own;
      }
    return times(at + "cross_output", sum);
  }

  const GcaConfig& c_;
  const checkpoint::ModelConfig& d_;
  const model::WeightsByName& weights_;
  mutable std::map<std::string, Rows> matrices_;
};

at::Tensor some_ids(int64_t n_texts, int64_t n_tokens) {
  at::manual_seed(11);
  return at::randint(11, {n_texts, n_tokens}, at::kLong);
}

TEST(GcaModel, IsWhatItsFormulasSay) {
  const GcaConfig config = tiny_config();
  const model::WeightsByName weights = random_weights(config);
  AngleCache angles(at::kCPU);
  const GcaModel model(config, weights, angles);
  // Too short to retrieve, whole chunks, and a last chunk that is not.
  for (const int64_t n_tokens : {2, 7, 9, 10, 12, 20}) {
    const at::Tensor ids = some_ids(2, n_tokens), states = model.states(ids);
    ASSERT_EQ(states.sizes(), (std::vector<int64_t>{2, n_tokens, 24}));
    for (int64_t b = 0; b < 2; ++b) {
      const at::Tensor own = ids[b].contiguous();
      const Rows wanted =
          Reference(config, weights)
              .states({own.const_data_ptr<int64_t>(), own.const_data_ptr<int64_t>() + n_tokens});
      ASSERT_EQ(wanted.size(), static_cast<size_t>(n_tokens));
      // The model's angles are in fp32.
      for (int64_t t = 0; t < n_tokens; ++t)
        EXPECT_TRUE(states[b][t].allclose(at::tensor(wanted[static_cast<size_t>(t)], at::kDouble),
                                          1e-5, 1e-5))
            << n_tokens << ' ' << b << ' ' << t;
    }
  }
}

TEST(GcaModel, ALaterTokenChangesNothingBeforeIt) {
  GcaConfig config = tiny_config();
  config.window = 2;  // of three layers: three tokens at most
  config.top_k = 8;   // everything
  AngleCache angles(at::kCPU);
  const GcaModel model(config, random_weights(config), angles);
  const at::Tensor ids = some_ids(1, 23), before = model.states(ids)[0];
  for (int64_t changed = 0; changed < 23; ++changed) {
    at::Tensor other = ids.clone();
    other[0][changed] = other[0][changed].add(1).remainder(11);
    const at::Tensor difference = (model.states(other)[0] - before).abs().amax({1});
    if (changed > 0) {
      EXPECT_EQ(difference.narrow(0, 0, changed).max().item<double>(), 0) << changed;
    }
    EXPECT_GT(difference[changed].item<double>(), 1e-6);
    // Chunk c is read from chunk c + 2 on, through retrieval alone where the window does not reach.
    const int64_t reads = (changed / 3 + 2) * 3;
    if (reads + 3 <= 23) {
      EXPECT_GT(difference.narrow(0, reads, 23 - reads).min().item<double>(), 1e-9) << changed;
    }
    if (changed % 3 == 0 && changed + 5 < 23) {
      EXPECT_EQ(difference[changed + 5].item<double>(), 0) << changed;
    }
  }
}

TEST(GcaModel, ChunksWithNothingToRetrieveGetNothing) {
  const GcaConfig config = tiny_config();
  model::WeightsByName weights = random_weights(config);
  AngleCache angles(at::kCPU);
  const at::Tensor ids = some_ids(2, 20);
  const at::Tensor with = GcaModel(config, weights, angles).states(ids);
  for (auto& [name, weight] : weights)
    if (name.ends_with("cross_output.weight")) weight = at::zeros_like(weight);
  const at::Tensor difference =
      (GcaModel(config, weights, angles).states(ids) - with).abs().amax({0, 2});
  EXPECT_EQ(difference.narrow(0, 0, 6).max().item<double>(), 0);
  EXPECT_GT(difference.narrow(0, 6, 14).min().item<double>(), 1e-6);
}

TEST(GcaModel, NoiseChangesWhatIsRetrieved) {
  const GcaConfig config = tiny_config();
  AngleCache angles(at::kCPU);
  const GcaModel model(config, random_weights(config), angles);
  const at::Tensor ids = some_ids(2, 20), none = at::zeros({2, 5, 5});
  EXPECT_TRUE(model.states(ids, none).equal(model.states(ids)));
  at::Tensor noise = none.clone();
  noise.select(2, 0).fill_(100);
  noise.select(2, 1).fill_(100);  // for everyone with more than these two to pick from
  EXPECT_FALSE(model.states(ids, noise).equal(model.states(ids)));
}

TEST(GcaConfig, ImpossibleOnesAreNamed) {
  const auto refusal = [](auto change) {
    GcaConfig config = tiny_config();
    change(config);
    try {
      check_gca_config(config, "the file");
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_NE(refusal([](GcaConfig& c) { c.lower_layers = 3; })
                .find("the file: with grouped cross attention the number of lower layers is 3, "
                      "want 1 to 2"),
            std::string::npos);
  EXPECT_NE(refusal([](GcaConfig& c) { c.chunk = 0; }).find("the size of a chunk is 0"),
            std::string::npos);
  EXPECT_NE(refusal([](GcaConfig& c) { c.decoder.head_dim = 4; }).find("the width of all heads"),
            std::string::npos);
}

}  // namespace
}  // namespace dsrasq::train
