#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <limits>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::text {
namespace {

namespace fs = std::filesystem;

// Writes GGUF key-value pairs, nothing else.
class GgufValues {
 public:
  GgufValues& text(const char* key, const std::string& value) {
    head(key, 8);
    put_text(value);
    return *this;
  }
  GgufValues& number(const char* key, uint32_t value) {
    head(key, 4);
    put(value);
    return *this;
  }
  GgufValues& flag(const char* key, bool value) {
    head(key, 7);
    bytes_.push_back(value ? 1 : 0);
    return *this;
  }
  GgufValues& texts(const char* key, const std::vector<std::string>& values) {
    array(key, 8, values.size());
    for (const std::string& value : values) put_text(value);
    return *this;
  }
  GgufValues& ints(const char* key, const std::vector<int32_t>& values) {
    array(key, 5, values.size());
    for (const int32_t value : values) put(value);
    return *this;
  }
  GgufValues& floats(const char* key, const std::vector<float>& values) {
    array(key, 6, values.size());
    for (const float value : values) put(value);
    return *this;
  }
  std::string file() const {
    std::string out = "GGUF";
    const uint32_t version = 3;
    const uint64_t counts[2] = {0, n_values_};
    out.append(reinterpret_cast<const char*>(&version), 4);
    out.append(reinterpret_cast<const char*>(counts), 16);
    out += bytes_;
    out.resize((out.size() + 31) / 32 * 32, '\0');
    return out;
  }

 private:
  template <class T>
  void put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put_text(const std::string& value) {
    put<uint64_t>(value.size());
    bytes_ += value;
  }
  void head(const char* key, uint32_t type) {
    ++n_values_;
    put_text(key);
    put(type);
  }
  void array(const char* key, uint32_t item_type, uint64_t n) {
    head(key, 9);
    put(item_type);
    put(n);
  }

  std::string bytes_;
  uint64_t n_values_ = 0;
};

class TokenizerGgufTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = fs::temp_directory_path() / ("dsrasq_" + std::to_string(::getpid()) + ".gguf");
  }
  void TearDown() override { fs::remove(path_); }

  std::unique_ptr<Tokenizer> load(const GgufValues& values) const {
    write_file(path_, values.file());
    return load_tokenizer(path_);
  }
  void expect_error(const GgufValues& values, const std::string& message) const {
    try {
      load(values);
      ADD_FAILURE() << "no throw: " << message;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kBadInput);
      EXPECT_EQ(std::string(e.what()), "[text.tokenizer] " + path_.string() + " " + message);
    }
  }

  fs::path path_;
};

GgufValues byte_level() {
  GgufValues values;
  values.text("tokenizer.ggml.model", "gpt2")
      .texts("tokenizer.ggml.tokens", {"a", "b", "ab", "<|end|>"})
      .ints("tokenizer.ggml.token_type", {1, 1, 1, 3});
  return values;
}

GgufValues sentence_piece(const std::vector<float>& scores) {
  GgufValues values;
  values.text("tokenizer.ggml.model", "llama")
      .texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "\xE2\x96\x81", "a",
                                       "\xE2\x96\x81"
                                       "a",
                                       "aa", "<0x62>", "  ", "<s"})
      .ints("tokenizer.ggml.token_type", {2, 3, 1, 1, 1, 1, 6, 4, 1});
  if (!scores.empty()) values.floats("tokenizer.ggml.scores", scores);
  return values;
}

TEST_F(TokenizerGgufTest, ByteLevelVocabulariesMerge) {
  const auto tokenizer = load(byte_level()
                                  .texts("tokenizer.ggml.merges", {"a b"})
                                  .number("tokenizer.ggml.eos_token_id", 3)
                                  .text("tokenizer.chat_template", "{{ x }}"));
  EXPECT_EQ(tokenizer->encode("abba<|end|>", {.parse_special = true}),
            (std::vector<int32_t>{2, 1, 0, 3}));
  EXPECT_EQ(tokenizer->vocab_size(), 4);
  EXPECT_TRUE(tokenizer->is_end_of_text(3));
  EXPECT_EQ(tokenizer->chat_template_source(), "{{ x }}");
}

TEST_F(TokenizerGgufTest, ScoresDecideHowSentencePiecesMerge) {
  const std::vector<float> scores = {0, 0, -9, -8, -2, -1, 0, -1000, -3};
  const auto unknown = [](GgufValues values) {
    return values.number("tokenizer.ggml.unknown_token_id", 0);
  };
  const auto tokenizer = load(unknown(sentence_piece(scores)));
  // "_aa": a+a (-1) before _+a (-2); then nothing is left to merge.
  EXPECT_EQ(tokenizer->encode("aa"), (std::vector<int32_t>{2, 5}));
  EXPECT_EQ(tokenizer->encode("a"), (std::vector<int32_t>{4}));
  // The byte that has a token, and one that has none.
  EXPECT_EQ(tokenizer->encode("abc"), (std::vector<int32_t>{4, 6, 0}));
  // Two spaces are one user-defined token, whatever its score says.
  EXPECT_EQ(tokenizer->encode("a  a"), (std::vector<int32_t>{4, 7, 3}));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("a a")), "a a");
  const auto plain =
      load(unknown(sentence_piece(scores)).flag("tokenizer.ggml.add_space_prefix", false));
  EXPECT_EQ(plain->encode("aa"), (std::vector<int32_t>{5}));
}

TEST_F(TokenizerGgufTest, WhatDoesNotFitIsNamed) {
  expect_error(GgufValues(), "has no tokenizer.ggml.tokens");
  expect_error(
      GgufValues().texts("tokenizer.ggml.tokens", {"a"}).text("tokenizer.ggml.model", "rwkv"),
      "has the tokenizer.ggml.model \"rwkv\", which is not supported");
  expect_error(byte_level().text("tokenizer.ggml.pre", "new"),
               "has the tokenizer.ggml.pre \"new\", which is not supported");
  expect_error(byte_level().texts("tokenizer.ggml.merges", {"a b", "ab"}),
               "has a tokenizer.ggml.merges[1] that is not two tokens with a space between them");
  expect_error(byte_level().texts("tokenizer.ggml.merges", {"b a"}),
               "has a tokenizer.ggml.merges[0] that needs \"ba\", which is no token");
  expect_error(byte_level().number("tokenizer.ggml.bos_token_id", 4),
               "has the tokenizer.ggml.bos_token_id 4 for 4 tokens");
  expect_error(GgufValues()
                   .texts("tokenizer.ggml.tokens", {"a", "b"})
                   .ints("tokenizer.ggml.token_type", {1}),
               "has 1 tokenizer.ggml.token_type for 2 tokens");
  expect_error(GgufValues()
                   .text("tokenizer.ggml.model", "gpt2")
                   .texts("tokenizer.ggml.tokens", {"a", "\xFF"}),
               "has a tokenizer.ggml.tokens[1] that is not UTF-8");
  expect_error(sentence_piece({}), "has 0 tokenizer.ggml.scores for 9 tokens");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  expect_error(sentence_piece({0, 0, 0, 0, nan, 0, 0, 0, 0}),
               "has a tokenizer.ggml.scores[4] that is no number");
}

}  // namespace
}  // namespace dsrasq::text
