#pragma once

// The safetensors files of a Hugging Face folder as one set of tensors.

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dsrasq/formats/safetensors.h"

namespace dsrasq::checkpoint {

/// model.safetensors, or all that model.safetensors.index.json names.
class HuggingFaceFolder {
 public:
  /// Throws kBadInput naming the file: none of the two is there, the index is no index or names a
  /// file outside the folder, two files hold the same tensor.
  explicit HuggingFaceFolder(const std::filesystem::path& folder);

  /// Null when there is none of that name.
  const formats::NamedTensor* find(std::string_view name) const;
  /// What stands before "embed_tokens.weight": "model." or, in a model that also reads images,
  /// "language_model.model." or "model.language_model.".
  const std::string& prefix() const { return prefix_; }
  bool has_output() const { return find("lm_head.weight") != nullptr; }
  void release_pages() const;

 private:
  void open_file(const std::filesystem::path& path);

  std::vector<std::unique_ptr<formats::SafetensorsFile>> files_;
  std::unordered_map<std::string_view, const formats::NamedTensor*> tensors_;
  std::string prefix_ = "model.";
};

}  // namespace dsrasq::checkpoint
