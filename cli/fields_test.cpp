#include "cli/fields.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/test_text.h"
#include "dsrasq/core/error.h"

namespace dsrasq::cli {
namespace {

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument);
    return e.what();
  }
  return "nothing was thrown";
}

struct EveryType {
  bool flag = false;
  int small = 1;
  int64_t whole = -2;
  uint64_t seed = 3;
  float single = 0.1f;
  double real = 0.25;
  std::string text = "a,b";
  std::filesystem::path file = "x.txt";
  ByteSize size{1024};
  std::vector<std::string> words{"p", "q"};
  std::vector<int64_t> lengths{1, 2};
  std::vector<double> shares{0.5};

  template <class V>
  void visit(V&& v) {
    v(flag, "flag", ""), v(small, "small", ""), v(whole, "whole", ""), v(seed, "seed", "");
    v(single, "single", ""), v(real, "real", ""), v(text, "text", ""), v(file, "file", "");
    v(size, "size", ""), v(words, "WORDS", ""), v(lengths, "lengths", ""), v(shares, "shares", "");
  }
};

TEST(Fields, JsonHoldsEveryFieldUnderItsKey) {
  EveryType config;
  FieldList list;
  list.add(config);
  EXPECT_EQ(list.json().dump(),
            R"({"flag":false,"small":1,"whole":-2,"seed":3,"single":0.1,"real":0.25,)"
            R"("text":"a,b","file":"x.txt","size":1024,"words":["p","q"],"lengths":[1,2],)"
            R"("shares":[0.5]})");
}

TEST(Fields, SetReadsBackWhatJsonShows) {
  EveryType config, other;
  config.whole = 77;
  config.lengths = {5, 6, 7};
  config.real = 1e-9;
  FieldList from, to;
  from.add(config);
  to.add(other);
  for (const Field& field : from.fields()) {
    const bool many = std::holds_alternative<std::vector<std::string>*>(field.value);
    to.find(field.key())->set(many ? config.words : std::vector<std::string>{field.text()});
  }
  EXPECT_EQ(from.json(), to.json());
}

TEST(Fields, NamesInCapitalsArePositional) {
  EveryType config;
  FieldList list;
  list.add(config);
  EXPECT_TRUE(list.find("words")->is_positional());
  EXPECT_EQ(list.find("words")->shown(), "WORDS");
  EXPECT_FALSE(list.find("file")->is_positional());
  EXPECT_EQ(list.find("file")->shown(), "--file");
  EXPECT_EQ(list.find("none"), nullptr);
}

TEST(Fields, WrongValuesNameTheOptionTheTextAndWhatIsWanted) {
  EveryType config;
  FieldList list;
  list.add(config);
  const auto refusal = [&](const char* key, const std::string& text) {
    return message_of([&] { list.find(key)->set({text}); });
  };
  EXPECT_TRUE(contains(refusal("whole", "12x"), "--whole is \"12x\", want a whole number"));
  EXPECT_TRUE(contains(refusal("whole", "99999999999999999999"), "want a whole number"));
  EXPECT_TRUE(contains(refusal("whole", ""), "--whole is \"\""));
  EXPECT_TRUE(contains(refusal("seed", "-1"), "want a whole number of at least 0"));
  EXPECT_TRUE(contains(refusal("real", "nan"), "--real is \"nan\", want a number"));
  EXPECT_TRUE(contains(refusal("real", "inf"), "want a number"));
  EXPECT_TRUE(contains(refusal("flag", "maybe"), "want true or false"));
  EXPECT_TRUE(contains(refusal("lengths", "1,,2"), "--lengths is \"\", want a whole number"));
  EXPECT_EQ(config.whole, -2) << "a refused value must not be stored";
}

TEST(ByteSizes, AreReadAsPeopleWriteThem) {
  EXPECT_EQ(parse_byte_size("268435456").bytes, 268435456u);
  EXPECT_EQ(parse_byte_size("512M").bytes, 512u << 20);
  EXPECT_EQ(parse_byte_size("512MB").bytes, 512u << 20);
  EXPECT_EQ(parse_byte_size("2GiB").bytes, 2ull << 30);
  EXPECT_EQ(parse_byte_size("1.5g").bytes, 3ull << 29);
  EXPECT_EQ(parse_byte_size("1t").bytes, 1ull << 40);
  EXPECT_EQ(parse_byte_size("64k").bytes, 65536u);
  EXPECT_EQ(parse_byte_size("7B").bytes, 7u);
}

TEST(ByteSizes, OthersAreRefusedInWords) {
  for (const char* text : {"", "M", "-1M", "12Q", "1 GB", "12kk", "nan", "0x10", "1e400"})
    EXPECT_TRUE(contains(message_of([&] { parse_byte_size(text); }), "is not a size")) << text;
  EXPECT_TRUE(contains(message_of([] { parse_byte_size("99999999T"); }), "more bytes than"));
}

TEST(ByteSizes, AreShownShort) {
  EXPECT_EQ(format_bytes(817), "817 B");
  EXPECT_EQ(format_bytes(226ull << 20), "226 MiB");
  EXPECT_EQ(format_bytes(3ull << 29), "1.50 GiB");
}

}  // namespace
}  // namespace dsrasq::cli
