#include "dsrasq/formats/safetensors.h"

#include <cstring>

#include "dsrasq/formats/test_folder.h"

namespace dsrasq::formats {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A file of that header and `n` bytes of data.
std::string file_of(const std::string& header, size_t n) {
  const uint64_t length = header.size();
  std::string file(sizeof(length), '\0');
  std::memcpy(file.data(), &length, sizeof(length));
  return file + header + std::string(n, 'x');
}

class SafetensorsTest : public FolderTest {
 protected:
  std::string refusal(std::string_view bytes) {
    const auto path = write("m.safetensors", bytes);
    const std::string text = error_text([&] { SafetensorsFile{path}; });
    EXPECT_HAS(text, "m.safetensors: ");
    return text;
  }
  std::string refusal(const std::string& header, size_t n) { return refusal(file_of(header, n)); }
};

TEST_F(SafetensorsTest, WhatIsWrittenComesBack) {
  const std::vector<NamedTensor> tensors{{"b.half", Dtype::kF16, {3}, bytes_of("abcdef")},
                                         {"wide", Dtype::kI64, {1, 1}, bytes_of("12345678")},
                                         {"a.float", Dtype::kF32, {2, 1}, bytes_of("ABCDEFGH")},
                                         {"scalar", Dtype::kU8, {}, bytes_of("s")},
                                         {"none", Dtype::kBF16, {0, 4}, {}}};
  write_safetensors(folder_ / "a", tensors, {{"kind", "test"}, {"quote", "\"\\\n"}});
  const SafetensorsFile file(folder_ / "a");
  EXPECT_EQ(file.metadata(), (Metadata{{"kind", "test"}, {"quote", "\"\\\n"}}));
  ASSERT_EQ(file.tensors().size(), tensors.size());
  for (const NamedTensor& want : tensors) {
    const NamedTensor& found = file.require(want.name);
    EXPECT_EQ(found.dtype, want.dtype) << want.name;
    EXPECT_EQ(found.shape, want.shape) << want.name;
    EXPECT_EQ(text_of(found.bytes), text_of(want.bytes)) << want.name;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(found.bytes.data()) %
                  static_cast<uintptr_t>(dtype_bytes(found.dtype)),
              0u)
        << want.name;
  }
  EXPECT_EQ(file.find("b"), nullptr);
  EXPECT_HAS(error_text([&] { file.require("b"); }), "a: has no tensor \"b\"");
}

TEST_F(SafetensorsTest, TheSameTensorsInAnyOrderAreTheSameBytes) {
  std::vector<NamedTensor> tensors{{"x", Dtype::kF32, {1}, bytes_of("xxxx")},
                                   {"y", Dtype::kF32, {1}, bytes_of("yyyy")}};
  write_safetensors(folder_ / "a", tensors);
  std::swap(tensors[0], tensors[1]);
  write_safetensors(folder_ / "b", tensors);
  EXPECT_EQ(read_file(folder_ / "a"), read_file(folder_ / "b"));
}

TEST_F(SafetensorsTest, WrongTensorsAreNotWritten) {
  const auto refusal = [&](const std::vector<NamedTensor>& tensors) {
    return error_text([&] { write_safetensors(folder_ / "a", tensors); },
                      ErrorCode::kInvalidArgument);
  };
  const NamedTensor good{"x", Dtype::kF32, {1}, bytes_of("xxxx")};
  EXPECT_HAS(refusal({good, good}), "tensor \"x\" cannot be stored under that name");
  EXPECT_HAS(refusal({{"__metadata__", Dtype::kU8, {1}, bytes_of("x")}}), "cannot be stored");
  EXPECT_HAS(refusal({{"x", Dtype::kF32, {2}, bytes_of("xxxx")}}),
             "tensor \"x\" of F32 [2] has 4 bytes");
  EXPECT_HAS(refusal({{"x", Dtype::kF32, {-1}, {}}}), "tensor \"x\" of F32 [-1] has 0 bytes");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a"));
}

TEST_F(SafetensorsTest, AFileOfTheOfficialWriterOpens) {
  const SafetensorsFile file("tests/golden/dequantize.safetensors");
  EXPECT_EQ(file.metadata(), (Metadata{{"oracle", "the gguf package"}}));
  EXPECT_EQ(file.tensors().size(), 22u);
  EXPECT_EQ(file.require("Q6_K.values").shape, std::vector<int64_t>{512});
}

TEST_F(SafetensorsTest, OtherFilesAreRefused) {
  EXPECT_HAS(refusal(""), "ends inside the header's length (8 bytes wanted at offset 0, 0 left)");
  EXPECT_HAS(refusal("GGUF3_______________"), "is not a safetensors file");
  EXPECT_HAS(refusal(file_of("{}", 0).substr(0, 9)), "ends inside the header (2 bytes wanted");
  EXPECT_HAS(refusal("[]", 0), "header is no JSON object");
  EXPECT_HAS(refusal("{\"a\":", 0), "header is no JSON object (byte 6 of it)");
  EXPECT_HAS(refusal("{}x", 0), "header is no JSON object");
  EXPECT_HAS(refusal("{\"a\":1}", 0), "header has a number where none may be, at \"a\" \"\"");
  EXPECT_HAS(refusal("{\"a\":{\"b\":{}}}", 0), "header has an object where none may be");
  EXPECT_HAS(refusal("{\"a\":[[[]]]}", 0), "header has an array where none may be");
  EXPECT_HAS(refusal("{\"a\":{\"shape\":[[1]]}}", 0), "header has an array where none may be");
  EXPECT_HAS(refusal("{\"__metadata__\":{\"a\":1}}", 0), "header has a number where none may be");
  EXPECT_HAS(refusal("{\"__metadata__\":{\"a\":[]}}", 0), "header has an array where none may be");
  EXPECT_HAS(refusal("{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0), "\"a\" is there twice");
}

TEST_F(SafetensorsTest, WrongTensorsAreRefusedByName) {
  const std::string one = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  EXPECT_HAS(refusal("{" + one + "," + one + "}", 4), "\"a\" is there twice");
  const auto tensor = [&](const std::string& fields, size_t n) {
    return refusal("{\"a\":{" + fields + "}}", n);
  };
  EXPECT_HAS(tensor(R"("dtype":"F32","shape":[1])", 4), "tensor \"a\" lacks its dtype, shape or");
  EXPECT_HAS(tensor(R"("dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4])", 4),
             "tensor \"a\" has dtype \"F8_E4M3\"; supported are F32, F16, BF16, I8, U8, I32, I64");
  EXPECT_HAS(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,8])", 4),
             "tensor \"a\" lies at bytes 0 to 8 of data that has 4");
  EXPECT_HAS(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])", 4),
             "lies at bytes 4 to 0");
  EXPECT_HAS(tensor(R"("dtype":"F32","shape":[2,1],"data_offsets":[0,4])", 4),
             "tensor \"a\" of F32 [2, 1] has 4 bytes");
  EXPECT_HAS(tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4])", 4),
             "tensor \"a\" of F32 [4294967296, 4294967296] has 4 bytes");
  EXPECT_HAS(tensor(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])", 4), "a negative number");
  EXPECT_HAS(tensor(R"("dtype":"F32","shape":[1.5],"data_offsets":[0,4])", 4), "a fraction");
  EXPECT_HAS(tensor(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4])", 4),
             "such a dimension");
  EXPECT_HAS(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,8])", 4), "a third offset");
  EXPECT_HAS(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"x":"y")", 4), "a string");
}

TEST_F(SafetensorsTest, EveryByteOfTheDataBelongsToOneTensor) {
  const auto two = [&](int b_start, int b_end, size_t n) {
    return refusal(
        concat(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)",
               R"("b":{"dtype":"U8","shape":[4],"data_offsets":[)", b_start, ',', b_end, "]}}"),
        n);
  };
  EXPECT_HAS(two(2, 6, 8), "tensor \"b\" does not start where the one before it ends, at byte 4");
  EXPECT_HAS(two(6, 10, 10), "tensor \"b\" does not start where the one before it ends, at byte 4");
  EXPECT_HAS(two(4, 8, 9), "has 9 bytes of data, but its tensors only take 8");
}

}  // namespace
}  // namespace dsrasq::formats
