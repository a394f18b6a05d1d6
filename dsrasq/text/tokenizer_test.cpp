#include "dsrasq/text/tokenizer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/text/golden_text.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<Tokenizer> golden(const std::string& file) {
  return load_tokenizer(fs::path(kGoldenFolder) / file);
}

TEST(TokenizerTest, SpecialTextIsOrdinaryTextUnlessAskedFor) {
  const auto tokenizer = golden("smollm.json");
  const int32_t start = tokenizer->find("<|im_start|>").value();
  EXPECT_TRUE(tokenizer->is_special(start));
  const auto plain = tokenizer->encode("<|im_start|>user");
  EXPECT_EQ(std::count(plain.begin(), plain.end(), start), 0);
  EXPECT_EQ(tokenizer->decode(plain), "<|im_start|>user");
  const auto parsed = tokenizer->encode("<|im_start|>user", {.parse_special = true});
  EXPECT_EQ(parsed.front(), start);
  EXPECT_EQ(tokenizer->decode(parsed), "user");
  EXPECT_EQ(tokenizer->decode(parsed, false), "<|im_start|>user");
}

TEST(TokenizerTest, BosComesFirstWhenAskedFor) {
  const auto tokenizer = golden("llama3.json");
  ASSERT_TRUE(tokenizer->bos());
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->encode("a", {.add_bos = true}).front(), *tokenizer->bos());
  EXPECT_EQ(tokenizer->encode("", {.add_bos = true}).size(), 1u);
  EXPECT_TRUE(tokenizer->encode("").empty());
  EXPECT_FALSE(golden("gpt2.json")->adds_bos());
  EXPECT_TRUE(golden("gemma.gguf")->adds_bos());
}

TEST(TokenizerTest, EndsOfTextAreKnownByName) {
  const auto tokenizer = golden("smollm.json");
  for (const char* name : {"<|im_end|>", "<|endoftext|>"})
    EXPECT_TRUE(tokenizer->is_end_of_text(tokenizer->find(name).value())) << name;
  EXPECT_FALSE(tokenizer->is_end_of_text(tokenizer->find("<|im_start|>").value()));
  EXPECT_FALSE(tokenizer->find("no such token"));
  const auto gemma = golden("gemma.gguf");
  EXPECT_TRUE(gemma->is_end_of_text(gemma->find("<end_of_turn>").value()));
  EXPECT_EQ(gemma->eos(), gemma->find("<eos>"));
}

TEST(TokenizerTest, OffsetsNameTheBytesOfTheSource) {
  const std::string text = "It was\tcaf\xC3\xA9 time, \xF0\x9F\x98\x80\n\nand 1234 \xFF birds. ";
  for (const char* file :
       {"gpt2.json", "smollm.gguf", "llama3.json", "tekken.json", "gemma.gguf"}) {
    SCOPED_TRACE(file);
    const auto tokenizer = golden(file);
    uint64_t end = 0;
    for (const TokenSpan& token : tokenizer->encode_with_offsets(text)) {
      const std::string source = text.substr(token.begin, token.end - token.begin);
      if (source.find('\xFF') == std::string::npos) {
        EXPECT_EQ(tokenizer->token_bytes(token.id), source);
      }
      if (token.begin > end) ADD_FAILURE() << "a gap before byte " << token.begin;
      end = token.end;
    }
    EXPECT_EQ(end, text.size());
  }
}

TEST(TokenizerTest, BrokenUtf8ReadsAsReplacementCharacters) {
  const auto tokenizer = golden("gpt2.json");
  EXPECT_EQ(tokenizer->encode("a\xFF\xE2\x82z"), tokenizer->encode("a\xEF\xBF\xBD\xEF\xBF\xBDz"));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("a\xFFz")), "a\xEF\xBF\xBDz");
}

TEST(TokenizerTest, StreamingNeverSplitsACharacter) {
  for (const char* file : {"gpt2.json", "gemma.json"}) {
    const auto tokenizer = golden(file);
    const std::string text = "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7 \xE1\x88\xB0 ok";
    StreamingDecoder decoder(*tokenizer);
    std::string streamed;
    for (const int32_t id : tokenizer->encode(text)) {
      const std::string part = decoder.push(id);
      EXPECT_TRUE(is_valid_utf8(part));
      streamed += part;
    }
    EXPECT_EQ(streamed + decoder.finish(), text) << file;
  }
}

TEST(TokenizerTest, IdsThatStandForNothingDecodeToNothing) {
  const auto tokenizer = golden("gpt2.json");
  const std::vector<int32_t> ids = {-1, 1 << 30, static_cast<int32_t>(tokenizer->vocab_size())};
  EXPECT_EQ(tokenizer->decode(ids), "");
  EXPECT_EQ(tokenizer->token_bytes(-1), "");
  EXPECT_FALSE(tokenizer->is_special(-1));
}

TEST(TokenizerTest, ThreadsShareOneTokenizer) {
  const auto tokenizer = golden("llama3.json");
  const std::string text = golden_chunk(1);
  const auto expected = tokenizer->encode(text);
  std::vector<std::thread> threads;
  std::vector<int> equal(4, 0);
  for (size_t i = 0; i < equal.size(); ++i)
    threads.emplace_back([&, i] {
      for (int n = 0; n < 3; ++n) equal[i] += tokenizer->encode(text) == expected;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(equal, std::vector<int>(4, 3));
}

TEST(TokenizerTest, ManyWordsAndLongOnesStayRight) {
  const auto tokenizer = golden("gpt2.json");
  GoldenRng rng(3);
  std::string text;  // more different words than are remembered
  while (text.size() < 400000) {
    text += ' ';
    for (int i = 0; i < 8; ++i) text.push_back(static_cast<char>('a' + rng.below(26)));
  }
  text += ' ' + std::string(300000, 'a');
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
}

TEST(TokenizerTest, TheFingerprintDependsOnWhatDecidesTheIds) {
  EXPECT_EQ(golden("gpt2.json")->fingerprint(), golden("gpt2.json")->fingerprint());
  EXPECT_NE(golden("gpt2.json")->fingerprint(), golden("smollm.json")->fingerprint());
}

class TokenizerFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::temp_directory_path() / ("dsrasq_tokenizer_test_" + std::to_string(::getpid()));
    fs::create_directories(dir_);
    fs::copy(fs::path(kGoldenFolder) / "smollm.json", dir_ / "tokenizer.json");
  }
  void TearDown() override { fs::remove_all(dir_); }
  fs::path dir_;
};

TEST_F(TokenizerFolderTest, TheFilesBesideTokenizerJsonAreRead) {
  write_file(dir_ / "tokenizer_config.json",
             R"({"bos_token": "<|im_start|>", "eos_token": {"content": "<|im_end|>"},
                 "add_bos_token": true, "chat_template": "from config"})");
  auto tokenizer = load_tokenizer(dir_);
  EXPECT_EQ(tokenizer->bos(), tokenizer->find("<|im_start|>"));
  EXPECT_EQ(tokenizer->eos(), tokenizer->find("<|im_end|>"));
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->chat_template_source(), "from config");
  write_file(dir_ / "chat_template.jinja", "from jinja");
  write_file(dir_ / "generation_config.json", R"({"eos_token_id": [5, 6]})");
  tokenizer = load_tokenizer(dir_);
  EXPECT_EQ(tokenizer->chat_template_source(), "from jinja");
  EXPECT_TRUE(tokenizer->is_end_of_text(6));
}

TEST_F(TokenizerFolderTest, OneOfSeveralTemplatesIsTheDefault) {
  write_file(dir_ / "tokenizer_config.json",
             R"({"chat_template": [{"name": "tool", "template": "t"},
                                   {"name": "default", "template": "d"}]})");
  EXPECT_EQ(load_tokenizer(dir_)->chat_template_source(), "d");
}

TEST_F(TokenizerFolderTest, WhatIsMissingOrWrongIsNamed) {
  const auto error = [&] {
    try {
      load_tokenizer(dir_);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kBadInput);
      return std::string(e.what());
    }
    return std::string("no error");
  };
  write_file(dir_ / "tokenizer_config.json", R"({"bos_token": 5})");
  EXPECT_EQ(error(), "[text.tokenizer] " + (dir_ / "tokenizer_config.json").string() +
                         ": bos_token is no string");
  fs::remove(dir_ / "tokenizer.json");
  EXPECT_NE(error().find((dir_ / "tokenizer.json").string() + ": No such file"), std::string::npos);
}

}  // namespace
}  // namespace dsrasq::text
