#include "dsrasq/formats/chunk_file.h"

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

class ChunkFileTest : public FolderTest {
 protected:
  std::filesystem::path path() const { return folder_ / "s.dsr"; }
  void write_two() const {
    ChunkFileWriter writer(path(), "test", 3);
    writer.add("first", bytes_of("hello"));
    writer.add("second", bytes_of("world, again"));
    writer.commit();
  }
  std::string refusal(std::string_view bytes) {
    write("s.dsr", bytes);
    const std::string text = error_text([&] { ChunkFile(path(), "test", 3); });
    EXPECT_HAS(text, "s.dsr: ");
    return text;
  }
};

TEST_F(ChunkFileTest, SectionsComeBack) {
  {
    ChunkFileWriter writer(path(), "test", 3);
    writer.add("empty", {});
    writer.begin("parts", 6);
    writer.append(bytes_of("ab"));
    writer.append({});
    writer.append(bytes_of("cdef"));
    writer.add(std::string("\0name", 5), bytes_of("x"));
    writer.commit();
    EXPECT_EQ(writer.size(), std::filesystem::file_size(path()));
  }
  const ChunkFile file(path(), "test", 4);
  EXPECT_EQ(file.version(), 3u);
  EXPECT_EQ(file.names(), (std::vector<std::string>{"empty", "parts", std::string("\0name", 5)}));
  EXPECT_EQ(file.require("empty").size(), 0u);
  EXPECT_EQ(text_of(file.require("parts")), "abcdef");
  EXPECT_FALSE(file.find("other").has_value());
  EXPECT_HAS(error_text([&] { file.require("other"); }), "s.dsr: has no section \"other\"");
}

// tools/make_golden_formats.py, with a CRC-32C of its own.
TEST_F(ChunkFileTest, AFileWrittenByAnotherProgramOpens) {
  const ChunkFile file("tests/fuzz/chunk_file/two.dsr", "test", 1);
  EXPECT_EQ(text_of(file.require("a")), "hello");
  EXPECT_EQ(file.require("empty").size(), 0u);
}

TEST_F(ChunkFileTest, NothingIsVisibleBeforeCommit) {
  {
    ChunkFileWriter writer(path(), "test", 1);
    writer.add("a", bytes_of("b"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(ChunkFileTest, EveryChangedBitIsSeen) {
  write_two();
  const std::string whole = read_file(path());
  for (size_t i = 0; i < whole.size() * 8; ++i) {
    std::string damaged = whole;
    damaged[i / 8] = static_cast<char>(damaged[i / 8] ^ (1 << i % 8));
    ASSERT_NE(refusal(damaged), "no error") << "bit " << i;
  }
}

TEST_F(ChunkFileTest, EveryTruncationIsSeen) {
  write_two();
  const std::string whole = read_file(path());
  for (size_t n = 0; n < whole.size(); ++n) ASSERT_NE(refusal(whole.substr(0, n)), "no error") << n;
}

TEST_F(ChunkFileTest, DamageIsNamedWithItsSectionAndOffset) {
  write_two();
  std::string damaged = read_file(path());
  damaged[damaged.find("world")] = 'W';
  const size_t section = damaged.find("second") - 4;
  EXPECT_HAS(refusal(damaged),
             concat("is damaged: section \"second\" at offset ", section, " fails its checksum"));
  write_two();
  const std::string whole = read_file(path());
  EXPECT_HAS(refusal(whole.substr(0, whole.find("world"))),
             "ends inside section \"second\" (12 bytes wanted at offset ");
  EXPECT_HAS(refusal(whole + "x"), concat("has 1 bytes after its end, at offset ", whole.size()));
}

TEST_F(ChunkFileTest, AnotherKindOrANewerVersionIsRefusedByName) {
  write_two();
  EXPECT_HAS(error_text([&] { ChunkFile(path(), "session", 3); }),
             "is a \"test\" file, want \"session\"");
  EXPECT_HAS(error_text([&] { ChunkFile(path(), "test", 2); }),
             "was written by a newer program: its version is 3, this program reads up to 2");
  EXPECT_HAS(refusal("GGUF...................."), "is not a test file");
  EXPECT_HAS(refusal(""), "is not a test file");
}

TEST_F(ChunkFileTest, ASectionThatIsThereTwiceIsRefused) {
  write_two();
  std::string twice = read_file(path());
  // The same section once more, under its own valid checksum, in front of the end mark.
  const size_t start = twice.find("first") - 4, end = twice.find("second") - 4;
  twice.insert(end, twice.substr(start, end - start));
  EXPECT_HAS(refusal(twice), concat("section \"first\" at offset ", end, " is there twice"));
}

TEST_F(ChunkFileTest, AMissingSectionIsSeenByTheCount) {
  write_two();
  std::string less = read_file(path());
  const size_t start = less.find("first") - 4, end = less.find("second") - 4;
  less.erase(start, end - start);
  EXPECT_HAS(refusal(less), "has 1 sections, want 2");
}

TEST_F(ChunkFileTest, WrongUseOfTheWriterIsABug) {
  ChunkFileWriter writer(path(), "test", 1);
  const auto refusal = [&](auto&& call) { return error_text(call, ErrorCode::kInternal); };
  EXPECT_HAS(refusal([&] { writer.add("", {}); }), "a section cannot be named \"\"");
  writer.add("a", {});
  EXPECT_HAS(refusal([&] { writer.add("a", {}); }), "a section cannot be named \"a\"");
  EXPECT_HAS(refusal([&] { writer.append(bytes_of("x")); }), "1 bytes appended to a section");
  writer.begin("b", 2);
  EXPECT_HAS(refusal([&] { writer.add("c", {}); }), "begins while 2 bytes of the one before");
  EXPECT_HAS(refusal([&] { writer.commit(); }), "2 bytes of the last section are missing");
}

}  // namespace
}  // namespace dsrasq::formats
