#pragma once

// A corpus by its texts, or a part of each so that all together have about a given size.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace dsrasq::train {

class CorpusParts {
 public:
  /// Reads all texts once, to measure them. `total_bytes` 0: everything is taken. Throws kBadInput
  /// naming the file.
  CorpusParts(std::filesystem::path corpus, uint64_t total_bytes);

  int64_t n_documents() const { return static_cast<int64_t>(sizes_.size()); }
  /// Of all texts.
  const std::string& fingerprint() const { return fingerprint_; }
  /// Calls `visit` with what is taken of each text, in order.
  void read(const std::function<void(std::string_view text)>& visit) const;

 private:
  std::filesystem::path corpus_;
  std::vector<uint64_t> sizes_;
  std::string fingerprint_;
  uint64_t share_;  // the most bytes of a text
};

}  // namespace dsrasq::train
