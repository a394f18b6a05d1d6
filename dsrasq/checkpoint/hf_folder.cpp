#include "dsrasq/checkpoint/hf_folder.h"

#include <nlohmann/json.hpp>
#include <set>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/formats/byte_reader.h"

namespace dsrasq::checkpoint {
namespace {

using formats::quoted_text;

constexpr const char* kInHfFolder = "checkpoint.hf_folder";
constexpr uint64_t kMaxIndexBytes = 16 << 20;
constexpr size_t kMaxFiles = 1000;

/// The files that the index names, each once.
std::set<std::string> indexed_files(const std::filesystem::path& index) {
  const auto check = [&](bool ok, const auto&... parts) {
    DSRASQ_CHECK(ok, kBadInput, kInHfFolder, index.string(), ": ", parts...);
  };
  const auto root = nlohmann::json::parse(read_file(index, kMaxIndexBytes), nullptr, false);
  check(root.is_object() && root.contains("weight_map") && root["weight_map"].is_object(),
        "is no JSON object with a \"weight_map\"");
  std::set<std::string> names;
  for (const auto& [tensor, file] : root["weight_map"].items()) {
    check(file.is_string(), "tensor ", quoted_text(tensor), " has no file name");
    const auto& name = file.template get_ref<const std::string&>();
    // A plain name: an index from elsewhere must not reach other files of this machine.
    check(std::filesystem::path(name).filename() == name && name.ends_with(".safetensors"),
          "tensor ", quoted_text(tensor), " is said to be in ", quoted_text(name),
          ", which is no safetensors file of the folder");
    names.insert(name);
    check(names.size() <= kMaxFiles, "names more than ", kMaxFiles, " files");
  }
  return names;
}

}  // namespace

HuggingFaceFolder::HuggingFaceFolder(const std::filesystem::path& folder) {
  const auto single = folder / "model.safetensors";
  const auto index = folder / "model.safetensors.index.json";
  std::error_code unreadable;
  if (std::filesystem::exists(index, unreadable)) {
    for (const std::string& name : indexed_files(index)) open_file(folder / name);
  } else {
    DSRASQ_CHECK(std::filesystem::exists(single, unreadable), kBadInput, kInHfFolder,
                 folder.string(),
                 ": has neither model.safetensors nor model.safetensors.index.json");
    open_file(single);
  }
  for (const char* prefix : {"language_model.model.", "model.language_model."}) {
    if (find(concat(prefix, "embed_tokens.weight")) != nullptr) prefix_ = prefix;
  }
}

void HuggingFaceFolder::open_file(const std::filesystem::path& path) {
  files_.push_back(std::make_unique<formats::SafetensorsFile>(path));
  for (const formats::NamedTensor& tensor : files_.back()->tensors()) {
    DSRASQ_CHECK(tensors_.emplace(tensor.name, &tensor).second, kBadInput, kInHfFolder,
                 path.string(), ": tensor ", quoted_text(tensor.name),
                 " is also in another file of the folder");
  }
}

const formats::NamedTensor* HuggingFaceFolder::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second;
}

void HuggingFaceFolder::release_pages() const {
  for (const auto& file : files_) file->release_pages();
}

}  // namespace dsrasq::checkpoint
