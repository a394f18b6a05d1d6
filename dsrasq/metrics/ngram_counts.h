#pragma once

// Tokens as numbers, and how often each run of n of them occurs.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace dsrasq::metrics {

/// Numbers tokens in the order in which they are first seen: equal tokens get equal numbers.
class TokenNumbers {
 public:
  int32_t operator()(std::string_view token);
  std::vector<int32_t> all(std::span<const std::string> tokens);
  std::vector<int32_t> all(std::span<const std::string_view> tokens);

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view token) const { return std::hash<std::string_view>{}(token); }
  };
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> numbers_;
};

constexpr size_t kMaxNgram = 4;
/// Shorter n-grams end in -1.
using Ngram = std::array<int32_t, kMaxNgram>;
struct NgramHash {
  size_t operator()(const Ngram& ngram) const;
};
using NgramCounts = std::unordered_map<Ngram, int64_t, NgramHash>;

/// Every run of `n` tokens, 1 <= n <= kMaxNgram.
NgramCounts count_ngrams(std::span<const int32_t> tokens, size_t n);

/// How many n-grams the two have in common, each as often as it occurs in both.
int64_t count_common(const NgramCounts& a, const NgramCounts& b);

}  // namespace dsrasq::metrics
