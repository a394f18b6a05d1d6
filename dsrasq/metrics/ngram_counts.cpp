#include "dsrasq/metrics/ngram_counts.h"

#include <algorithm>

namespace dsrasq::metrics {
namespace {

template <class Token>
std::vector<int32_t> numbers_of(TokenNumbers& numbers, std::span<const Token> tokens) {
  std::vector<int32_t> out;
  out.reserve(tokens.size());
  for (const Token& token : tokens) out.push_back(numbers(token));
  return out;
}

}  // namespace

int32_t TokenNumbers::operator()(std::string_view token) {
  if (const auto found = numbers_.find(token); found != numbers_.end()) return found->second;
  return numbers_.emplace(token, static_cast<int32_t>(numbers_.size())).first->second;
}

std::vector<int32_t> TokenNumbers::all(std::span<const std::string> tokens) {
  return numbers_of(*this, tokens);
}

std::vector<int32_t> TokenNumbers::all(std::span<const std::string_view> tokens) {
  return numbers_of(*this, tokens);
}

size_t NgramHash::operator()(const Ngram& ngram) const {
  uint64_t hash = 0;
  for (const int32_t number : ngram) {
    hash = (hash ^ static_cast<uint32_t>(number)) * 0x9E3779B97F4A7C15;
    hash ^= hash >> 29;
  }
  return hash;
}

NgramCounts count_ngrams(std::span<const int32_t> tokens, size_t n) {
  NgramCounts counts;
  Ngram ngram;
  ngram.fill(-1);
  for (size_t end = n; end <= tokens.size(); ++end) {
    std::copy_n(tokens.begin() + static_cast<std::ptrdiff_t>(end - n), n, ngram.begin());
    ++counts[ngram];
  }
  return counts;
}

int64_t count_common(const NgramCounts& a, const NgramCounts& b) {
  int64_t n_common = 0;
  for (const auto& [ngram, count] : a) {
    const auto found = b.find(ngram);
    if (found != b.end()) n_common += std::min(count, found->second);
  }
  return n_common;
}

}  // namespace dsrasq::metrics
