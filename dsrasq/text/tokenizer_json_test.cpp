// What a broken or hostile tokenizer.json is told.

#include <gtest/gtest.h>

#include "dsrasq/core/error.h"
#include "dsrasq/text/tokenizer.h"
#include "dsrasq/text/tokenizer_spec.h"

namespace dsrasq::text {
namespace {

struct Hostile {
  const char* name;
  std::string json;
  const char* message;
};
std::ostream& operator<<(std::ostream& out, const Hostile& h) { return out << h.name; }

std::string model(const std::string& vocab, const std::string& merges,
                  const std::string& more = "") {
  return R"({"model": {"type": "BPE", "vocab": )" + vocab + R"(, "merges": )" + merges + "}" +
         more + "}";
}
std::string part(const std::string& more) {
  return model(R"({"a": 0, "b": 1, "ab": 2})", "[]", ", " + more);
}
std::string nested(int depth) {
  std::string text = R"({"type": "NFC"})";
  for (int i = 0; i < depth; ++i) text = R"({"type": "Sequence", "normalizers": [)" + text + "]}";
  return text;
}

class HostileJsonTest : public testing::TestWithParam<Hostile> {};

TEST_P(HostileJsonTest, IsRefusedInOneSentence) {
  TokenizerFiles files;
  files.tokenizer_json = GetParam().json;
  files.name = "x.json";
  try {
    Tokenizer(spec_from_json(files)).encode("ab");
    FAIL() << "no throw";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    EXPECT_EQ(std::string(e.what()), std::string("[text.tokenizer] x.json") + GetParam().message);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, HostileJsonTest,
    testing::Values(
        Hostile{"NotJson", "{\"model\":", ": not JSON at byte 10"},
        Hostile{"NotUtf8", "\"\xFF\"", ": not JSON at byte 2"},
        Hostile{"NumberTooLarge", "5e999", ": holds a number past all range"},
        Hostile{"Empty", "", ": not JSON at byte 1"}, Hostile{"NoObject", "[]", " is no object"},
        Hostile{"NoModel", "{}", " lacks \"model\""},
        Hostile{"DeepNesting", std::string(100000, '['), ": nests deeper than 64 at byte 64"},
        Hostile{"OtherModel", R"({"model": {"type": "Unigram"}})",
                ": model.type is \"Unigram\", which is not supported"},
        Hostile{"NoVocab", R"({"model": {"type": "BPE", "merges": []}})",
                ": model lacks \"vocab\""},
        Hostile{"VocabIsArray", model("[]", "[]"), ": model.vocab is no object"},
        Hostile{"IdIsText", model(R"({"a": "0"})", "[]"),
                ": model.vocab gives \"a\" no id from 0 to 4194303"},
        Hostile{"IdIsNegative", model(R"({"a": -1})", "[]"),
                ": model.vocab gives \"a\" no id from 0 to 4194303"},
        Hostile{"IdIsHuge", model(R"({"a": 18446744073709551615})", "[]"),
                ": model.vocab gives \"a\" no id from 0 to 4194303"},
        Hostile{"IdIsFraction", model(R"({"a": 0.5})", "[]"),
                ": model.vocab gives \"a\" no id from 0 to 4194303"},
        Hostile{"IdTwice", model(R"({"a": 0, "b": 0})", "[]"),
                ": model.vocab gives \"b\" the id 0 of another token"},
        Hostile{"MergesMissing", R"({"model": {"vocab": {}}})", ": model lacks \"merges\""},
        Hostile{"MergeIsNumber", model(R"({"a": 0})", "[1]"), ": model.merges[0] is no string"},
        Hostile{"MergeIsNoPair", model(R"({"a": 0})", R"(["a"])"),
                ": model.merges[0] is not two tokens with a space between them"},
        Hostile{"MergeOfThree", model(R"({"a": 0})", R"([["a", "a", "a"]])"),
                ": model.merges[0] is no pair"},
        Hostile{"MergeToNothing", model(R"({"a": 0, "b": 1})", R"(["a b"])"),
                ": model.merges[0] needs \"ab\", which is not in the vocabulary"},
        Hostile{"UnknownTokenMissing",
                R"({"model": {"vocab": {}, "merges": [], "unk_token": "<unk>"}})",
                ": model.unk_token is not in the vocabulary"},
        Hostile{"Suffix", R"({"model": {"vocab": {}, "merges": [], "end_of_word_suffix": "</w>"}})",
                ": model.end_of_word_suffix is set, which is not supported"},
        Hostile{"AddedWithoutId", part(R"("added_tokens": [{"content": "<s>"}])"),
                ": added_tokens[0] lacks \"id\""},
        Hostile{"AddedIdTooLarge", part(R"("added_tokens": [{"id": 4194304, "content": "<s>"}])"),
                ": added_tokens[0].id is no whole number from 0 to 4194303"},
        Hostile{"AddedIdOfOther", part(R"("added_tokens": [{"id": 1, "content": "<s>"}])"),
                ": added_tokens[0] has id 1 of \"b\" in the vocabulary"},
        Hostile{"AddedOtherId", part(R"("added_tokens": [{"id": 7, "content": "b"}])"),
                ": added_tokens[0] has id 7, but 1 in the vocabulary"},
        Hostile{"AddedTwice",
                part(R"("added_tokens": [{"id": 9, "content": "x"}, {"id": 9, "content": "y"}])"),
                ": added_tokens gives the id 9 twice"},
        Hostile{
            "AddedTooLong",
            part(R"("added_tokens": [{"id": 9, "content": ")" + std::string(2000, 'x') + "\"}]"),
            ": added_tokens[0] has 2000 bytes, want at most 1024"},
        Hostile{"AddedFlagIsText",
                part(R"("added_tokens": [{"id": 9, "content": "x", "special": "yes"}])"),
                ": added_tokens[0].special is neither true nor false"},
        Hostile{"NormalizerUnknown", part(R"("normalizer": {"type": "Nmt"})"),
                ": normalizer is of type \"Nmt\", which is not supported"},
        Hostile{"NormalizerTooDeep", part("\"normalizer\": " + nested(12)),
                ": normalizer.normalizers[0].normalizers[0].normalizers[0].normalizers[0]"
                ".normalizers[0].normalizers[0].normalizers[0].normalizers[0].normalizers[0]"
                " is nested too deeply"},
        Hostile{"BadRegex", part(R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("},
                     "behavior": "Isolated", "invert": false})"),
                ": pre_tokenizer.pattern.Regex cannot be used: [text.regex] not a pattern: missing "
                "closing parenthesis at byte 1"},
        Hostile{"BehaviorUnknown",
                part(R"("pre_tokenizer": {"type": "Split", "pattern": {"String": "x"},
                     "behavior": "Eaten"})"),
                ": pre_tokenizer.behavior is \"Eaten\", which is no known behavior"},
        Hostile{"StepAfterByteLevel", part(R"("pre_tokenizer": {"type": "Sequence", "pretokenizers":
                     [{"type": "ByteLevel"}, {"type": "Digits"}]})"),
                ": pre_tokenizer.pretokenizers[1] comes after ByteLevel, which is not supported"},
        Hostile{"DecoderUnknown", part(R"("decoder": {"type": "CTC"})"),
                ": decoder is of type \"CTC\", which is not supported"},
        Hostile{"MetaspaceOfTwo",
                part(R"("pre_tokenizer": {"type": "Metaspace", "replacement": "ab"})"),
                ": pre_tokenizer.replacement is not one character"}),
    [](const auto& info) { return std::string(info.param.name); });

// Cyclic merges end: each merge makes the word shorter.
TEST(TokenizerJsonTest, MergesThatMakeNoSenseStillEnd) {
  TokenizerFiles files;
  files.tokenizer_json = model(R"({"a": 0, "aa": 1, "aaa": 2})",
                               R"(["a a", "aa a", "a aa", "a a", ["", "a"], ["a", ""]])");
  files.name = "x.json";
  try {
    Tokenizer(spec_from_json(files)).encode(std::string(1000, 'a'));
    FAIL() << "no throw";
  } catch (const Error& e) {
    EXPECT_EQ(
        std::string(e.what()),
        "[text.tokenizer] x.json: model.merges[4] needs \"\", which is not in the vocabulary");
  }
  files.tokenizer_json =
      model(R"({"": 3, "a": 0, "aa": 1})", R"([["", "a"], ["a", ""], "a a", ["aa", ""]])");
  EXPECT_EQ(Tokenizer(spec_from_json(files)).encode(std::string(1000, 'a')).size(), 500u);
}

}  // namespace
}  // namespace dsrasq::text
