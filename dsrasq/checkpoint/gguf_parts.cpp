#include "dsrasq/checkpoint/gguf_parts.h"

#include <cstdio>

#include "dsrasq/core/error.h"

namespace dsrasq::checkpoint {
namespace {

constexpr const char* kInGgufParts = "checkpoint.gguf_parts";
constexpr uint64_t kMaxParts = 1000;

std::string part_suffix(uint64_t part, uint64_t n_parts) {
  char text[48];
  std::snprintf(text, sizeof(text), "-%05llu-of-%05llu.gguf", static_cast<unsigned long long>(part),
                static_cast<unsigned long long>(n_parts));
  return text;
}

}  // namespace

GgufParts::GgufParts(const std::filesystem::path& path) {
  files_.push_back(std::make_unique<formats::GgufFile>(path));
  const auto check = [&](bool ok, const auto&... parts) {
    DSRASQ_CHECK(ok, kBadInput, kInGgufParts, path.string(), ": ", parts...);
  };
  const uint64_t n_parts = first().find_uint("split.count").value_or(1);
  if (n_parts <= 1) return;
  check(n_parts <= kMaxParts, "claims to be split into ", n_parts, " parts");
  std::string name = path.string();
  const std::string suffix = part_suffix(1, n_parts);
  check(first().find_uint("split.no").value_or(0) == 0 && name.ends_with(suffix),
        "is a part of a split model; open the first, whose name ends in ", suffix);
  name.resize(name.size() - suffix.size());
  for (uint64_t part = 2; part <= n_parts; ++part) {
    files_.push_back(std::make_unique<formats::GgufFile>(name + part_suffix(part, n_parts)));
  }
}

const formats::GgufTensor* GgufParts::find(std::string_view name) const {
  for (const auto& file : files_) {
    if (const auto* tensor = file->find_tensor(name)) return tensor;
  }
  return nullptr;
}

void GgufParts::release_pages() const {
  for (const auto& file : files_) file->release_pages();
}

}  // namespace dsrasq::checkpoint
