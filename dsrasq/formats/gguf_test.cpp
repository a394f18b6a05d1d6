#include "dsrasq/formats/gguf.h"

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/formats/test_gguf.h"

namespace dsrasq::formats {
namespace {

using Build = TestGguf;

class GgufTest : public FolderTest {
 protected:
  GgufFile open(const Build& build) { return GgufFile(write("m.gguf", build.build())); }
  /// What opening the file says, which must name it.
  std::string refusal(std::string_view bytes) {
    const auto path = write("m.gguf", bytes);
    const std::string text = error_text([&] { GgufFile{path}; });
    EXPECT_HAS(text, "m.gguf: ");
    return text;
  }
  std::string refusal(const Build& build) { return refusal(build.build()); }
};

TEST_F(GgufTest, ValuesOfEveryTypeComeBack) {
  Build build;
  build.set("u32", 7u).set("f32", 0.5f).set("yes", true).set("name", "llama");
  build.value("i8", Build::kI8, Build::raw<int8_t>(-3))
      .value("u64", Build::kU64, Build::raw(1ull << 40));
  build.value("f64", Build::kF64, Build::raw(0.1));
  build.array("words", Build::kString, 3, Build::text("a") + Build::text("") + Build::text("bcd"));
  build.array("scores", Build::kF32, 2, Build::raw(1.5f) + Build::raw(-2.0f));
  build.array("types", Build::kU16, 2, Build::raw<uint16_t>(1) + Build::raw<uint16_t>(65535));
  build.array("none", Build::kI32, 0, "");
  const GgufFile file = open(build);

  EXPECT_EQ(file.version(), 3u);
  EXPECT_EQ(file.find_uint("u32"), 7u);
  EXPECT_EQ(file.find_uint("u64"), 1ull << 40);
  EXPECT_EQ(file.find_float("f32"), 0.5);
  EXPECT_EQ(file.find_float("f64"), 0.1);
  EXPECT_EQ(file.find_bool("yes"), true);
  EXPECT_EQ(file.find_string("name"), "llama");
  EXPECT_EQ(file.strings("words"), (std::vector<std::string_view>{"a", "", "bcd"}));
  EXPECT_EQ(file.floats("scores"), (std::vector<float>{1.5f, -2.0f}));
  EXPECT_EQ(file.ints("types"), (std::vector<int32_t>{1, 65535}));
  EXPECT_EQ(file.array_length("words"), 3u);
  EXPECT_EQ(file.array_length("none"), 0u);
  EXPECT_TRUE(file.ints("none").empty());
  EXPECT_EQ(file.keys().size(), 11u);
  EXPECT_EQ(file.keys().front(), "u32");
  EXPECT_EQ(file.value_text("i8"), "-3");
  EXPECT_EQ(file.value_text("name"), "\"llama\"");
  EXPECT_EQ(file.value_text("words"), "array of 3 strings");
  EXPECT_EQ(file.value_text("yes"), "true");
}

TEST_F(GgufTest, AbsentKeysAreNothing) {
  const GgufFile file = open(Build{});
  EXPECT_FALSE(file.has("x"));
  EXPECT_EQ(file.find_uint("x"), std::nullopt);
  EXPECT_EQ(file.find_string("x"), std::nullopt);
  EXPECT_TRUE(file.strings("x").empty());
  EXPECT_EQ(file.find_tensor("x"), nullptr);
  EXPECT_EQ(file.value_text("x"), "");
}

TEST_F(GgufTest, AWrongTypeIsAnErrorThatNamesTheKey) {
  Build build;
  build.set("k", 7u).value("low", Build::kI32, Build::raw(-1));
  build.array("wide", Build::kI64, 1, Build::raw<int64_t>(1) + "")
      .array("w", Build::kString, 0, "");
  build.array("big", Build::kU64, 1, Build::raw(1ull << 32));
  const GgufFile file = open(build);
  EXPECT_HAS(error_text([&] { file.find_string("k"); }), "key \"k\" is a u32, want a string");
  EXPECT_HAS(error_text([&] { file.find_bool("k"); }), "key \"k\" is a u32, want a bool");
  EXPECT_HAS(error_text([&] { file.find_float("k"); }), "key \"k\" is a u32, want a float");
  EXPECT_HAS(error_text([&] { file.strings("k"); }), "key \"k\" is a u32, want an array");
  EXPECT_HAS(error_text([&] { file.find_uint("w"); }),
             "is an array of string, want a single value");
  EXPECT_HAS(error_text([&] { file.floats("wide"); }), "is an array of i64, want an array of f32");
  EXPECT_HAS(error_text([&] { file.ints("w"); }),
             "is an array of string, want an array of integers");
  EXPECT_HAS(error_text([&] { file.find_uint("low"); }), "key \"low\" is negative");
  EXPECT_HAS(error_text([&] { file.ints("big"); }), "item 0 is 4294967296, which does not fit");
  EXPECT_EQ(file.ints("wide"), std::vector<int32_t>{1});
}

TEST_F(GgufTest, TensorsLieWhereTheFileSays) {
  Build build;
  build.tensor("a", GgmlType::kF32, {2, 3}, std::string(24, 'a'));
  build.tensor("b", GgmlType::kQ8_0, {64}, std::string(68, 'b'));
  const GgufFile file = open(build);
  ASSERT_EQ(file.tensors().size(), 2u);
  const GgufTensor* a = file.find_tensor("a");
  const GgufTensor* b = file.find_tensor("b");
  EXPECT_EQ(a->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(a->bytes.size(), 24u);
  EXPECT_EQ(b->type, GgmlType::kQ8_0);
  EXPECT_EQ(b->bytes.size(), 68u);
  EXPECT_EQ(static_cast<char>(a->bytes.front()), 'a');
  EXPECT_EQ(static_cast<char>(b->bytes.front()), 'b');
  EXPECT_EQ(static_cast<char>(b->bytes.back()), 'b');
}

TEST_F(GgufTest, AFileCanSetItsAlignment) {
  Build build;
  build.alignment = 8;
  build.set("general.alignment", 8u);
  build.tensor("a", GgmlType::kF32, {1}, "aaaa").tensor("b", GgmlType::kF32, {1}, "bbbb");
  const GgufFile file = open(build);
  EXPECT_EQ(static_cast<char>(file.find_tensor("b")->bytes[0]), 'b');
  Build wrong;
  wrong.set("general.alignment", 24u);
  EXPECT_HAS(refusal(wrong), "general.alignment is 24, want a power of two");
  Build zero;
  zero.set("general.alignment", 0u);
  EXPECT_HAS(refusal(zero), "general.alignment is 0, want a power of two");
}

TEST_F(GgufTest, UnsupportedTypesAreListedAndUnknownOnesHaveNoBytes) {
  Build build;
  build.tensor("q2", static_cast<GgmlType>(10), {256}, std::string(84, 'x'));
  build.tensor("new", static_cast<GgmlType>(77), {256}, "");
  const GgufFile file = open(build);
  EXPECT_EQ(ggml_type_name(file.tensors()[0].type), "Q2_K");
  EXPECT_EQ(file.tensors()[0].bytes.size(), 84u);
  EXPECT_EQ(ggml_type_name(file.tensors()[1].type), "type 77");
  EXPECT_TRUE(file.tensors()[1].bytes.empty());
}

TEST_F(GgufTest, OtherFilesAndVersionsAreRefusedByName) {
  EXPECT_HAS(refusal(""), "is not a GGUF file");
  EXPECT_HAS(refusal("PK\3\4..."), "is not a GGUF file");
  Build build;
  build.version = 1;
  EXPECT_HAS(refusal(build), "has GGUF version 1; supported are 2 and 3");
  build.version = 4;
  EXPECT_HAS(refusal(build), "has GGUF version 4");
  build.version = 0x03000000;
  EXPECT_HAS(refusal(build), "is a big-endian GGUF file");
  build.version = 2;
  EXPECT_EQ(open(build).version(), 2u);
}

TEST_F(GgufTest, CountsThatTheFileCannotHoldAreRefusedBeforeAnythingIsReserved) {
  Build build;
  build.n_tensors = 1ull << 60;
  EXPECT_HAS(refusal(build), "claims 1152921504606846976 tensors, more than a file of 32 bytes");
  build.n_tensors = 0;
  build.n_values = ~0ull;
  EXPECT_HAS(refusal(build), "claims 18446744073709551615 keys");
  EXPECT_HAS(refusal(Build().array("a", Build::kF64, 1ull << 61, "")),
             "key \"a\" claims 2305843009213693952 items, more than the rest of the file");
  EXPECT_HAS(refusal(Build().array("a", Build::kString, 1ull << 61, "")),
             "claims 23058430092136939");
  EXPECT_HAS(refusal(Build().value("a", Build::kString, Build::raw(~0ull))),
             "ends inside a string (18446744073709551615 bytes wanted at offset 45");
}

TEST_F(GgufTest, EveryTruncationIsRefused) {
  Build build;
  build.set("name", "llama").array("words", Build::kString, 1, Build::text("word"));
  build.tensor("t", GgmlType::kF32, {3}, "aaaabbbbcccc");
  const std::string whole = build.build();
  EXPECT_EQ(open(build).tensors().size(), 1u);
  for (size_t n = 0; n < whole.size(); ++n) refusal(whole.substr(0, n));
}

TEST_F(GgufTest, BadKeysAreRefused) {
  EXPECT_HAS(refusal(Build().set("k", 1u).set("k", 2u)), "key \"k\" at offset 41 is there twice");
  EXPECT_HAS(refusal(Build().set("", 1u)), "has a name of 0 bytes, want 1 to 65535");
  EXPECT_HAS(refusal(Build().set(std::string(65536, 'k'), 1u)), "has a name of 65536 bytes");
  EXPECT_HAS(refusal(Build().value("k", 13, "")), "key \"k\" has unknown value type 13");
  EXPECT_HAS(refusal(Build().array("k", 9, 1, std::string(12, '\0'))),
             "key \"k\" is an array of arrays, which is not supported");
  EXPECT_HAS(refusal(Build().value("k", Build::kBool, "\2")), "is a bool that is neither 0 nor 1");
  EXPECT_HAS(refusal(Build().value("\x1b[2J\xff", 99, "")), "key \"\\x1b[2J\\xff\" has unknown");
}

TEST_F(GgufTest, BadTensorsAreRefused) {
  const auto f32 = GgmlType::kF32;
  const std::string data(64, 'x');
  EXPECT_HAS(refusal(Build().tensor("t", f32, {1}, data).tensor("t", f32, {1}, data)),
             "tensor \"t\" at offset 57 is there twice");
  EXPECT_HAS(refusal(Build().tensor("", f32, {1}, data)), "tensor 0 at offset 24 has a name of 0");
  EXPECT_HAS(refusal(Build().tensor("t", f32, {1, 1, 1, 1, 1}, data)),
             "tensor \"t\" has 5 dimensions, want at most 4");
  EXPECT_HAS(refusal(Build().tensor("t", f32, {2, -1}, data)), "tensor \"t\" has dimension -1");
  EXPECT_HAS(refusal(Build().tensor("t", f32, {0}, data)), "tensor \"t\" has dimension 0");
  EXPECT_HAS(refusal(Build().tensor("t", f32, {1ll << 40, 1ll << 40}, data)),
             "tensor \"t\" is larger than any file");
  EXPECT_HAS(refusal(Build().tensor("t", f32, {1ll << 62}, data)), "is larger than any file");
  EXPECT_HAS(refusal(Build().tensor("t", GgmlType::kQ4_K, {2, 128}, data)),
             "tensor \"t\" has rows of 128 weights, no multiple of the Q4_K block of 256");
  EXPECT_HAS(refusal(Build().tensor("t", f32, {17}, data)),
             "tensor \"t\" has 68 bytes at offset 0 of the data, past the end of the file of 128");
  EXPECT_HAS(refusal(Build().tensor_at("t", f32, {1}, 4)),
             "tensor \"t\" lies at offset 4 of the data, no multiple of the alignment 32");
  EXPECT_HAS(refusal(Build().tensor_at("t", f32, {1}, ~31ull)), "past the end of the file");
}

TEST(GgufModels, TheRealModelsOpen) {
  const std::filesystem::path path = "models/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << path << " (scripts/setup)";
  const GgufFile file(path);
  EXPECT_EQ(file.find_string("general.architecture"), "llama");
  EXPECT_EQ(file.array_length("tokenizer.ggml.tokens"), 49152u);
  EXPECT_EQ(file.strings("tokenizer.ggml.merges").size(), 48900u);
  EXPECT_EQ(file.ints("tokenizer.ggml.token_type").size(), 49152u);
  EXPECT_EQ(file.tensors().size(), 272u);
  EXPECT_EQ(file.find_tensor("token_embd.weight")->shape, (std::vector<int64_t>{49152, 576}));
}

}  // namespace
}  // namespace dsrasq::formats
