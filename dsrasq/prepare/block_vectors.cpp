#include "dsrasq/prepare/block_vectors.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/core/process.h"
#include "dsrasq/data/text_memory.h"

namespace dsrasq::prepare {
namespace {

constexpr const char* kInBlockVectors = "prepare.block_vectors";
constexpr int64_t kBlocksAtOnce = 4096;  // blocks between two looks at the clock

// What a token adds to its block.
struct WeightedTokens {
  std::vector<double> weights;  // by id
  std::vector<int64_t> rows;    // by id, of `embeddings`; -1: a token that is in no block
  std::vector<float> embeddings;
};

std::vector<double> inverse_frequencies(const train::TokenCache& cache,
                                        const std::vector<train::TextBlock>& blocks,
                                        int64_t n_ids) {
  std::vector<int64_t> counts(static_cast<size_t>(n_ids));
  for (const train::TextBlock& block : blocks) {
    std::vector<int32_t> ids = cache.read(block.begin, block.size());
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    DSRASQ_CHECK(ids.empty() || (ids.front() >= 0 && ids.back() < n_ids), kBadInput,
                 kInBlockVectors, cache.path().string(), ": has token ", ids.back(),
                 ", the model only ", n_ids);
    for (const int32_t id : ids) ++counts[static_cast<size_t>(id)];
  }
  std::vector<double> weights;
  const double all = 1 + static_cast<double>(blocks.size());
  for (const int64_t count : counts)
    weights.push_back(count == 0 ? -1 : std::log(all / (1 + static_cast<double>(count))));
  return weights;
}

// Rows of the tokens that occur, which may be a small part of a vocabulary.
WeightedTokens weighted_tokens(const checkpoint::TensorRef& embeddings,
                               std::vector<double> weights) {
  WeightedTokens tokens{std::move(weights), {}, {}};
  std::vector<int64_t> ids;
  for (size_t id = 0; id < tokens.weights.size(); ++id) {
    tokens.rows.push_back(tokens.weights[id] < 0 ? -1 : static_cast<int64_t>(ids.size()));
    if (tokens.weights[id] >= 0) ids.push_back(static_cast<int64_t>(id));
  }
  tokens.embeddings.resize(ids.size() * static_cast<size_t>(embeddings.cols));
  parallel_for(static_cast<int64_t>(ids.size()), 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      checkpoint::rows_to_float(embeddings, ids[static_cast<size_t>(i)], 1,
                                tokens.embeddings.data() + i * embeddings.cols);
  });
  return tokens;
}

void add_tokens(const std::vector<int32_t>& ids, const WeightedTokens& tokens,
                std::span<float> out) {
  std::vector<double> sum(out.size());
  double weight_sum = 0;
  for (const int32_t id : ids) {
    const double weight = tokens.weights[static_cast<size_t>(id)];
    const float* row = tokens.embeddings.data() +
                       tokens.rows[static_cast<size_t>(id)] * static_cast<int64_t>(out.size());
    weight_sum += weight;
    for (size_t e = 0; e < out.size(); ++e) sum[e] += weight * row[e];
  }
  if (weight_sum == 0) return;
  for (size_t e = 0; e < out.size(); ++e) out[e] = static_cast<float>(sum[e] / weight_sum);
}

// Takes out what all rows share, and scales what is left.
void centre_and_scale(BlockVectors& vectors) {
  const int64_t width = vectors.dimensions;
  std::vector<double> mean(static_cast<size_t>(width));
  for (int64_t i = 0; i < vectors.n; ++i)
    for (int64_t e = 0; e < width; ++e) mean[static_cast<size_t>(e)] += vectors.row(i)[e];
  for (double& value : mean) value /= static_cast<double>(std::max<int64_t>(1, vectors.n));
  for (int64_t i = 0; i < vectors.n; ++i) {
    float* row = vectors.values.data() + i * width;
    double squares = 0;
    for (int64_t e = 0; e < width; ++e) {
      row[e] = static_cast<float>(row[e] - mean[static_cast<size_t>(e)]);
      squares += static_cast<double>(row[e]) * row[e];
    }
    // What is left of equal blocks is rounding.
    const double scale = squares > 1e-12 ? 1 / std::sqrt(squares) : 0;
    for (int64_t e = 0; e < width; ++e) row[e] = static_cast<float>(row[e] * scale);
  }
}

}  // namespace

BlockVectors block_vectors(const train::TokenCache& cache,
                           const std::vector<train::TextBlock>& blocks,
                           const checkpoint::Checkpoint& model,
                           const std::function<void(int64_t, int64_t)>& progress) {
  const checkpoint::TensorRef& embeddings = model.require("token_embd.weight");
  BlockVectors vectors{.n = static_cast<int64_t>(blocks.size()), .dimensions = embeddings.cols};
  const auto n_values = static_cast<uint64_t>(vectors.n) * static_cast<uint64_t>(embeddings.cols);
  if (progress) progress(0, vectors.n);
  // The vectors, and the same once more in the index.
  data::check_free_memory(2 * n_values * sizeof(float), "the index's vectors");
  const WeightedTokens tokens =
      weighted_tokens(embeddings, inverse_frequencies(cache, blocks, embeddings.rows));
  vectors.values.resize(n_values);
  const auto width = static_cast<size_t>(vectors.dimensions);
  for (int64_t first = 0; first < vectors.n; first += kBlocksAtOnce) {
    check_interrupt();
    const int64_t n = std::min(kBlocksAtOnce, vectors.n - first);
    parallel_for(n, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = first + begin; i < first + end; ++i) {
        const train::TextBlock& block = blocks[static_cast<size_t>(i)];
        add_tokens(cache.read(block.begin, block.size()), tokens,
                   std::span(vectors.values).subspan(static_cast<size_t>(i) * width, width));
      }
    });
    if (progress) progress(first + n, vectors.n);
  }
  centre_and_scale(vectors);
  return vectors;
}

float similarity(const float* a, const float* b, int64_t dimensions) {
  double sum = 0;
  for (int64_t e = 0; e < dimensions; ++e) sum += static_cast<double>(a[e]) * b[e];
  return static_cast<float>(sum);
}

}  // namespace dsrasq::prepare
