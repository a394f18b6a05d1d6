#pragma once

// A GGUF model in one file, or split over several by llama.cpp's gguf-split.

#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "dsrasq/formats/gguf.h"

namespace dsrasq::checkpoint {

class GgufParts {
 public:
  /// `path` is the file, or the first part, whose name ends in -00001-of-0000N.gguf. Throws
  /// kBadInput naming the file: another part than the first, or a part that is missing.
  explicit GgufParts(const std::filesystem::path& path);

  /// The part that has the model's keys.
  const formats::GgufFile& first() const { return *files_.front(); }
  /// Null when there is none of that name.
  const formats::GgufTensor* find(std::string_view name) const;
  void release_pages() const;

 private:
  std::vector<std::unique_ptr<formats::GgufFile>> files_;
};

}  // namespace dsrasq::checkpoint
