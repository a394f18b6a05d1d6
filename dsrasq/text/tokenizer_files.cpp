#include "dsrasq/text/tokenizer_files.h"

#include <array>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq::text {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInTokenizerFiles = "text.tokenizer_files";
constexpr const char* kMain = "tokenizer.json";
constexpr std::array kOthers{"tokenizer_config.json", "generation_config.json",
                             "chat_template.jinja"};

}  // namespace

void copy_tokenizer(const fs::path& source, const fs::path& folder) {
  DSRASQ_CHECK(
      source.extension() != ".gguf", kInvalidArgument, kInTokenizerFiles, source.string(),
      ": the tokenizer of a GGUF file is in no tokenizer.json; name a folder that has one");
  if (!fs::is_directory(source)) {
    write_file(folder / kMain, read_file(source));
    return;
  }
  write_file(folder / kMain, read_file(source / kMain));
  for (const char* name : kOthers)
    if (fs::exists(source / name)) write_file(folder / name, read_file(source / name));
}

}  // namespace dsrasq::text
