#include "dsrasq/data/text_memory.h"

#include <system_error>

#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/data/documents.h"

namespace dsrasq::data {
namespace {

constexpr uint64_t kTextBytesPerToken = 4;  // about, of most languages and vocabularies
constexpr uint64_t kMiB = 1 << 20;

}  // namespace

TextMemory text_memory(const std::filesystem::path& path) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (error || size > ReadOptions{}.max_bytes) return {};
  return {.all_texts = size,
          .one_text = names_jsonl(path) ? 0 : size,
          .tokens = size / kTextBytesPerToken * sizeof(int32_t)};
}

void check_free_memory(uint64_t bytes, std::string_view name) {
  const uint64_t available = available_memory_bytes();
  DSRASQ_CHECK(bytes <= available, kResourceExhausted, "data.text_memory", name, " takes about ",
               bytes / kMiB, " MiB of memory as text and tokens, and ", available / kMiB,
               " MiB are free");
}

}  // namespace dsrasq::data
