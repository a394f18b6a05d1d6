#include "dsrasq/text/tokenizer_files.h"

#include <gtest/gtest.h>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::text {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTokenizer =
    R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"<s>":3},"merges":["a b"]}})";

class TokenizerFilesTest : public FolderTest {
 protected:
  fs::path folder(const char* name) const {
    fs::create_directories(folder_ / name);
    return folder_ / name;
  }
};

TEST_F(TokenizerFilesTest, ACopyIsReadAsTheSameTokenizer) {
  const fs::path from = folder("from"), to = folder("to");
  write("from/tokenizer.json", kTokenizer);
  write("from/tokenizer_config.json", R"({"bos_token":"<s>","add_bos_token":true})");
  write("from/chat_template.jinja", "{{ messages }}");
  write("from/model.safetensors", "not this");
  copy_tokenizer(from, to);
  const auto read = load_tokenizer(to);
  EXPECT_EQ(read->fingerprint(), load_tokenizer(from)->fingerprint());
  EXPECT_EQ(read->bos(), 3);
  EXPECT_TRUE(read->adds_bos());
  EXPECT_EQ(read->chat_template_source(), "{{ messages }}");
  EXPECT_FALSE(fs::exists(to / "model.safetensors"));
  const fs::path alone = folder("alone");
  copy_tokenizer(from / "tokenizer.json", alone);
  EXPECT_EQ(load_tokenizer(alone)->encode("ab"), (std::vector<int32_t>{2}));
}

TEST_F(TokenizerFilesTest, WhatCannotBeCopiedIsNamed) {
  EXPECT_HAS(error_text([&] { copy_tokenizer("m.gguf", folder_); }, ErrorCode::kInvalidArgument),
             "m.gguf: the tokenizer of a GGUF file");
  EXPECT_HAS(error_text([&] { copy_tokenizer(folder("none"), folder_); }), "none/tokenizer.json");
}

}  // namespace
}  // namespace dsrasq::text
