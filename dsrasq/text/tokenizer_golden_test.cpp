// The same ids and texts as Hugging Face `tokenizers` on 1 MB:
// tests/golden/tokenizers/expected.txt, made by tools/make_golden_tokenizers.py.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>

#include "dsrasq/core/file.h"
#include "dsrasq/text/golden_text.h"
#include "dsrasq/text/tokenizer.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

struct Expected {
  size_t n_plain, n_parsed;
  std::string plain, parsed, decoded, decoded_with_special;
};

std::string hex(uint64_t value) {
  char buffer[17];
  std::snprintf(buffer, sizeof buffer, "%016llx", static_cast<unsigned long long>(value));
  return buffer;
}

std::string hash_of(const std::vector<int32_t>& ids) { return hex(golden_hash(ids)); }
std::string hash_of_bytes(const std::string& text) {
  std::vector<unsigned char> bytes(text.begin(), text.end());
  return hex(golden_hash(bytes));
}

// By name, then chunk (-1: the whole text).
const std::map<std::string, std::map<int, Expected>>& expectations() {
  static const auto all = [] {
    std::map<std::string, std::map<int, Expected>> out;
    std::istringstream lines(read_file(std::string(kGoldenFolder) + "/expected.txt"));
    std::string line, name;
    std::getline(lines, line);  // of the text itself
    while (std::getline(lines, line)) {
      std::istringstream fields(line);
      int chunk = 0;
      Expected e;
      fields >> name >> chunk >> e.n_plain >> e.plain >> e.n_parsed >> e.parsed >> e.decoded >>
          e.decoded_with_special;
      out[name][chunk] = e;
    }
    return out;
  }();
  return all;
}

struct Case {
  const char* name;
  const char* path;
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.path; }

const std::string& whole_text() {
  static const std::string text = golden_text();
  return text;
}

class TokenizerGoldenTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(GetParam().path))
      GTEST_SKIP() << GetParam().path << " is not here: fetch the model to run this test";
    static std::map<std::string, std::unique_ptr<Tokenizer>> loaded;
    auto& tokenizer = loaded[GetParam().path];
    if (!tokenizer) tokenizer = load_tokenizer(GetParam().path);
    tokenizer_ = tokenizer.get();
  }

  void check(const std::string& text, const Expected& expected) const {
    const auto plain = tokenizer_->encode(text);
    EXPECT_EQ(plain.size(), expected.n_plain);
    EXPECT_EQ(hash_of(plain), expected.plain);
    const auto parsed = tokenizer_->encode(text, {.parse_special = true});
    EXPECT_EQ(parsed.size(), expected.n_parsed);
    EXPECT_EQ(hash_of(parsed), expected.parsed);
    EXPECT_EQ(hash_of_bytes(tokenizer_->decode(parsed, true)), expected.decoded);
    EXPECT_EQ(hash_of_bytes(tokenizer_->decode(parsed, false)), expected.decoded_with_special);
  }

  const Tokenizer* tokenizer_ = nullptr;
};

TEST(GoldenTextTest, IsWhatTheGeneratorMade) {
  const std::string text = golden_text();
  std::istringstream line(read_file(std::string(kGoldenFolder) + "/expected.txt"));
  std::string name, size, hash;
  line >> name >> size >> hash;
  EXPECT_EQ(std::to_string(text.size()), size);
  EXPECT_EQ(hash_of_bytes(text), hash);
}

// The whole below covers every chunk; a chunk by itself shows where a difference lies.
TEST_P(TokenizerGoldenTest, ChunksHaveTheIdsAndTextOfHuggingFace) {
  const auto& expected = expectations().at(GetParam().name);
  ASSERT_EQ(expected.size(), kGoldenChunks + 1u);
  for (int chunk = 0; chunk < kGoldenChunks; chunk += 8) {
    SCOPED_TRACE(chunk);
    check(golden_chunk(static_cast<uint64_t>(chunk)), expected.at(chunk));
    if (HasFailure()) break;
  }
}

TEST_P(TokenizerGoldenTest, TheWholeMegabyteAtOnceToo) {
  check(whole_text(), expectations().at(GetParam().name).at(-1));
}

TEST_P(TokenizerGoldenTest, PartsOfAnySizeGiveTheTokensOfTheWhole) {
  const std::string text = whole_text().substr(0, 1 << 18);
  const auto whole = tokenizer_->encode_with_offsets(text, {.add_bos = true});
  StreamingEncoder encoder(*tokenizer_, {.add_bos = true});
  std::vector<TokenSpan> parts;
  GoldenRng rng(7);
  for (size_t at = 0; at < text.size();) {
    const size_t n = 1 + rng.below(30000);
    const auto some = encoder.push(std::string_view(text).substr(at, n));
    parts.insert(parts.end(), some.begin(), some.end());
    at += n;
  }
  const auto rest = encoder.finish();
  parts.insert(parts.end(), rest.begin(), rest.end());
  ASSERT_EQ(parts.size(), whole.size());
  for (size_t i = 0; i < whole.size(); ++i) {
    ASSERT_EQ(parts[i].id, whole[i].id) << "token " << i;
    ASSERT_EQ(parts[i].begin, whole[i].begin) << "token " << i;
    ASSERT_EQ(parts[i].end, whole[i].end) << "token " << i;
  }
}

TEST_P(TokenizerGoldenTest, OffsetsAreOrderedAndInsideTheText) {
  const std::string text = whole_text().substr(0, 1 << 18);
  const auto tokens = tokenizer_->encode_with_offsets(text, {.parse_special = true});
  const auto ids = tokenizer_->encode(text, {.parse_special = true});
  ASSERT_EQ(tokens.size(), ids.size());
  uint64_t previous = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    ASSERT_EQ(tokens[i].id, ids[i]);
    ASSERT_LE(tokens[i].begin, tokens[i].end);
    ASSERT_LE(previous, tokens[i].begin);
    ASSERT_LE(tokens[i].end, text.size());
    previous = tokens[i].begin;
  }
}

TEST_P(TokenizerGoldenTest, StreamedTextIsValidAllTheTimeAndTheDecodedTextInTheEnd) {
  const std::string text = golden_chunk(3);
  const auto ids = tokenizer_->encode(text);
  StreamingDecoder decoder(*tokenizer_);
  std::string streamed;
  for (const int32_t id : ids) {
    const std::string part = decoder.push(id);
    ASSERT_TRUE(is_valid_utf8(part)) << "token " << id;
    streamed += part;
  }
  streamed += decoder.finish();
  EXPECT_EQ(streamed, tokenizer_->decode(ids));
}

#define GOLDEN(file) "tests/golden/tokenizers/" file
INSTANTIATE_TEST_SUITE_P(
    All, TokenizerGoldenTest,
    testing::Values(Case{"gpt2", GOLDEN("gpt2.json")}, Case{"gpt2", GOLDEN("gpt2.gguf")},
                    Case{"smollm", GOLDEN("smollm.json")}, Case{"smollm", GOLDEN("smollm.gguf")},
                    Case{"llama3", GOLDEN("llama3.json")}, Case{"llama3", GOLDEN("llama3.gguf")},
                    Case{"qwen2", GOLDEN("qwen2.json")}, Case{"qwen2", GOLDEN("qwen2.gguf")},
                    Case{"tekken", GOLDEN("tekken.json")}, Case{"tekken", GOLDEN("tekken.gguf")},
                    Case{"gemma", GOLDEN("gemma.json")}, Case{"gemma", GOLDEN("gemma.gguf")},
                    Case{"llama2", GOLDEN("llama2.json")}, Case{"llama2", GOLDEN("llama2.gguf")},
                    Case{"odd", GOLDEN("odd.json")}, Case{"drops", GOLDEN("drops.json")},
                    Case{"smollm2-135m", "models/SmolLM2-135M-Instruct.Q4_1.gguf"},
                    Case{"gemma-3-270m", "models/gemma-3-270m.Q4_K_M.gguf"}),
    [](const testing::TestParamInfo<Case>& info) {
      std::string name = info.param.path;
      std::replace_if(
          name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<int>(c)); }, '_');
      return name;
    });

}  // namespace
}  // namespace dsrasq::text
