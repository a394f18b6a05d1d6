#include "dsrasq/prepare/block_neighbours.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "dsrasq/core/parallel.h"
#include "dsrasq/core/process.h"
#include "dsrasq/train/counter_rng.h"

namespace dsrasq::prepare {
namespace {

using train::Neighbour;

constexpr int64_t kQueriesAtOnce = 256;  // blocks between two looks at the clock
constexpr int64_t kSpare = 16;  // asked for beside the neighbours: copies, and the document's own
constexpr int64_t kMoreTimes = 4;             // as many where that was not enough
constexpr int64_t kMostCandidates = 1 << 22;  // held at once
constexpr int64_t kRecallAt = 10;

float similarity_of(const IndexedBlocks& text, int64_t a, int64_t b) {
  return similarity(text.vectors.row(a), text.vectors.row(b), text.vectors.dimensions);
}

bool is_nearer(const Neighbour& a, const Neighbour& b) {
  return a.similarity != b.similarity ? a.similarity > b.similarity : a.block < b.block;
}

// Adds block `other` unless it is none of the neighbours of block `i`.
void consider(const IndexedBlocks& text, int64_t i, int64_t other, const NeighbourRules& rules,
              std::vector<Neighbour>& neighbours) {
  const auto document = [&](int64_t block) {
    return text.blocks[static_cast<size_t>(block)].document;
  };
  if (document(i) == document(other)) return;
  const float similarity = std::min(1.0F, similarity_of(text, i, other));  // rounding
  if (similarity > 0 && similarity <= static_cast<float>(rules.max_similarity))
    neighbours.push_back({static_cast<int32_t>(other), similarity});
}

void keep_nearest(std::vector<Neighbour>& neighbours, int64_t n) {
  std::sort(neighbours.begin(), neighbours.end(), is_nearer);
  if (static_cast<int64_t>(neighbours.size()) > n) neighbours.resize(static_cast<size_t>(n));
}

// One round of a search for the neighbours of some blocks, by `k` candidates each.
class Round {
 public:
  Round(const IndexedBlocks& text, const VectorIndex& index, std::span<const int64_t> wanted,
        int64_t k)
      : text_(text), k_(std::min(k, index.size())) {
    const int64_t width = text.vectors.dimensions;
    std::vector<float> queries;
    for (const int64_t i : wanted)
      queries.insert(queries.end(), text.vectors.row(i), text.vectors.row(i) + width);
    found_ = index.search({queries.data(), static_cast<int64_t>(wanted.size()), width}, k_);
    sees_all_ = k_ == index.size();
  }

  // Whether a round with more candidates could find more.
  bool take(size_t query, int64_t i, const NeighbourRules& rules,
            std::vector<Neighbour>& neighbours) const {
    neighbours.clear();
    const auto candidates =
        std::span(found_).subspan(query * static_cast<size_t>(k_), static_cast<size_t>(k_));
    for (const int64_t other : candidates)
      if (other >= 0) consider(text_, i, other, rules, neighbours);
    const bool has_enough = static_cast<int64_t>(neighbours.size()) >= rules.n;
    keep_nearest(neighbours, rules.n);
    if (has_enough || sees_all_ || candidates.back() < 0) return false;
    return similarity_of(text_, i, candidates.back()) > 0;
  }

 private:
  const IndexedBlocks& text_;
  int64_t k_;
  std::vector<int64_t> found_;
  bool sees_all_ = false;
};

// The neighbours of the blocks `wanted`, by `k` candidates each, into their rows of `all`; returns
// the blocks that want more candidates.
std::vector<int64_t> search_once(const IndexedBlocks& text, const VectorIndex& index,
                                 const NeighbourRules& rules, const std::vector<int64_t>& wanted,
                                 int64_t k, std::vector<Neighbour>& all) {
  std::vector<char> again(wanted.size());
  const auto at_once = static_cast<size_t>(std::max<int64_t>(1, kMostCandidates / k));
  for (size_t first = 0; first < wanted.size(); first += at_once) {
    check_interrupt();
    const auto queries = std::span(wanted).subspan(first, std::min(at_once, wanted.size() - first));
    const Round round(text, index, queries, k);
    parallel_for(static_cast<int64_t>(queries.size()), 8, [&](int64_t begin, int64_t end) {
      std::vector<Neighbour> neighbours;
      for (auto q = static_cast<size_t>(begin); q < static_cast<size_t>(end); ++q) {
        again[first + q] = round.take(q, queries[q], rules, neighbours);
        std::copy(neighbours.begin(), neighbours.end(), all.begin() + queries[q] * rules.n);
      }
    });
  }
  std::vector<int64_t> left;
  for (size_t q = 0; q < wanted.size(); ++q)
    if (again[q]) left.push_back(wanted[q]);
  return left;
}

}  // namespace

std::vector<Neighbour> find_neighbours(const IndexedBlocks& text, const VectorIndex& index,
                                       const NeighbourRules& rules,
                                       const std::function<void(int64_t, int64_t)>& progress) {
  const int64_t n = text.vectors.n;
  std::vector<Neighbour> all(static_cast<size_t>(n * rules.n));
  if (progress) progress(0, n);
  for (int64_t first = 0; first < n; first += kQueriesAtOnce) {
    std::vector<int64_t> wanted(static_cast<size_t>(std::min(kQueriesAtOnce, n - first)));
    std::iota(wanted.begin(), wanted.end(), first);
    for (int64_t k = rules.n + kSpare; !wanted.empty(); k *= kMoreTimes)
      wanted = search_once(text, index, rules, wanted, k, all);
    if (progress) progress(std::min(first + kQueriesAtOnce, n), n);
  }
  return all;
}

std::vector<Neighbour> exact_neighbours(const IndexedBlocks& text, int64_t i,
                                        const NeighbourRules& rules) {
  std::vector<Neighbour> neighbours;
  for (int64_t other = 0; other < text.vectors.n; ++other)
    consider(text, i, other, rules, neighbours);
  keep_nearest(neighbours, rules.n);
  return neighbours;
}

NeighbourFigures neighbour_figures(const IndexedBlocks& text, const std::vector<Neighbour>& found,
                                   const NeighbourRules& rules, int64_t n_checked) {
  NeighbourFigures figures;
  const int64_t n = text.vectors.n;
  int64_t n_found = 0, n_nearest = 0;
  for (size_t f = 0; f < found.size(); ++f) {
    if (found[f].block < 0) continue;
    ++n_found, figures.neighbours += found[f].similarity;
    if (f % static_cast<size_t>(rules.n) == 0) ++n_nearest, figures.nearest += found[f].similarity;
  }
  figures.neighbours /= static_cast<double>(std::max<int64_t>(1, n_found));
  figures.nearest /= static_cast<double>(std::max<int64_t>(1, n_nearest));

  figures.n_checked = std::min(n_checked, n);
  const NeighbourRules first_ten{std::min(rules.n, kRecallAt), rules.max_similarity};
  int64_t n_exact = 0, n_right = 0, n_random = 0;
  for (int64_t c = 0; c < figures.n_checked; ++c) {
    check_interrupt();
    const int64_t i = c * n / figures.n_checked;
    const auto row = std::span(found).subspan(static_cast<size_t>(i * rules.n),
                                              static_cast<size_t>(first_ten.n));
    for (const Neighbour& exact : exact_neighbours(text, i, first_ten)) {
      ++n_exact;
      n_right += std::any_of(row.begin(), row.end(),
                             [&](const Neighbour& one) { return one.block == exact.block; });
    }
    train::CounterRng rng(0, static_cast<uint64_t>(i), 0);
    const int64_t other = rng.below(n);
    if (text.blocks[static_cast<size_t>(other)].document ==
        text.blocks[static_cast<size_t>(i)].document)
      continue;
    ++n_random, figures.random += similarity_of(text, i, other);
  }
  figures.random /= static_cast<double>(std::max<int64_t>(1, n_random));
  figures.recall = n_exact == 0 ? 1 : static_cast<double>(n_right) / static_cast<double>(n_exact);
  return figures;
}

}  // namespace dsrasq::prepare
