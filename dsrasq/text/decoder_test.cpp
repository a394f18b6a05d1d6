#include "dsrasq/text/decoder.h"

#include <gtest/gtest.h>

namespace dsrasq::text {
namespace {

constexpr const char* kMeta = "\xE2\x96\x81";

std::string decoded(const Decoder& decoder, const std::vector<std::string>& tokens) {
  DecodeState state(decoder);
  std::string out;
  for (const std::string& token : tokens) out += state.push(token) + "|";
  return out + state.finish();
}

Decoder pieces() {
  Decoder decoder;
  decoder.kind = Decoder::Kind::kPieces;
  decoder.token_steps.emplace_back(DecodeReplace{kMeta, " "});
  decoder.joins_byte_tokens = true;
  return decoder;
}

TEST(DecoderTest, BytesOfACharacterWaitForTheRest) {
  Decoder decoder;
  decoder.kind = Decoder::Kind::kByteLevel;
  // U+00F0 U+0141 U+013A U+0122 are the letters of f0 9f 98 80.
  EXPECT_EQ(decoded(decoder, {"\xC3\xB0\xC5\x81", "\xC4\xBA", "\xC4\xA2x"}),
            "||\xF0\x9F\x98\x80x|");
  EXPECT_EQ(decoded(decoder, {"\xC3\xB0\xC5\x81", "\xC4\xA0y"}), "|\xEF\xBF\xBD y|");
  EXPECT_EQ(decoded(decoder, {"\xC3\xB0\xC5\x81"}), "|\xEF\xBF\xBD");
}

TEST(DecoderTest, ByteTokensAreJoinedAndEachIsReplacedWhenTheRunIsNoText) {
  EXPECT_EQ(decoded(pieces(), {"a", "<0xC3>", "<0xA9>", "b"}),
            "a|||\xC3\xA9"
            "b|");
  EXPECT_EQ(decoded(pieces(), {"<0xC3>", "<0xC3>", "b"}),
            "||\xEF\xBF\xBD\xEF\xBF\xBD"
            "b|");
  EXPECT_EQ(decoded(pieces(), {"<0xC3>"}), "|\xEF\xBF\xBD");
  EXPECT_EQ(decoded(pieces(), {"<0xZZ>", "<0x41"}), "<0xZZ>|<0x41|");
}

TEST(DecoderTest, OnlyTheStartOfTheTextIsStripped) {
  Decoder decoder = pieces();
  decoder.strip_text = DecodeStrip{U' ', 1};
  EXPECT_EQ(decoded(decoder, {std::string(kMeta) + "a", std::string(kMeta) + "b"}), "a| b|");
  EXPECT_EQ(decoded(decoder, {"<0x20>", kMeta, "b"}), "| |b|");
  EXPECT_EQ(decoded(decoder, {"a", kMeta}), "a| |");
}

TEST(DecoderTest, MetaspaceDropsWhatTheFirstTokenBeganWith) {
  Decoder decoder;
  decoder.kind = Decoder::Kind::kPieces;
  decoder.token_steps.emplace_back(DecodeMetaspace{kMeta, true});
  EXPECT_EQ(decoded(decoder, {std::string(kMeta) + "a", std::string(kMeta) + "b"}), "a| b|");
}

TEST(DecoderTest, WithoutADecoderTokensAreWords) {
  EXPECT_EQ(decoded(Decoder{}, {"a", "b"}), "a| b|");
}

}  // namespace
}  // namespace dsrasq::text
