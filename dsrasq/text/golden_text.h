#pragma once

// The text of the tokenizer tests and benchmarks: 1 MB of many scripts, code, broken UTF-8, long
// words and spaces, the same as tools/make_golden_tokenizers.py makes.

#include <cstdint>
#include <string>
#include <vector>

namespace dsrasq::text {

constexpr int kGoldenChunks = 64;
constexpr const char* kGoldenFolder = "tests/golden/tokenizers";

/// At least 16 KiB. `index` in [0, kGoldenChunks) gives what expected.txt tells about.
std::string golden_chunk(uint64_t index);
std::string golden_text();

/// SplitMix64.
class GoldenRng {
 public:
  explicit GoldenRng(uint64_t seed) : state_(seed) {}
  uint64_t below(uint64_t n);
  template <class T>
  const T& one_of(const std::vector<T>& items) {
    return items[below(items.size())];
  }

 private:
  uint64_t state_;
};

/// FNV-1a over whole values.
template <class Values>
uint64_t golden_hash(const Values& values) {
  uint64_t state = 0xCBF29CE484222325ull;
  for (const auto value : values) state = (state ^ static_cast<uint64_t>(value)) * 0x100000001B3ull;
  return state;
}

}  // namespace dsrasq::text
