#include "dsrasq/data/byte_stream.h"

#include <zlib.h>

#include "dsrasq/data/test_files.h"

namespace dsrasq::data {
namespace {

constexpr uint64_t kNoLimit = 1ull << 32;

class ByteStreamTest : public FilesTest {
 protected:
  static std::string read_all(const std::filesystem::path& path, uint64_t max_bytes = kNoLimit,
                              size_t step = 1000) {
    ByteStream stream(path, max_bytes);
    std::string text, part(step, '\0');
    while (const size_t n = stream.read(part)) text.append(part, 0, n);
    return text;
  }

  static std::string gzip(std::string_view text) {
    z_stream stream{};
    EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string out(deflateBound(&stream, text.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(out.size() - stream.avail_out);
    deflateEnd(&stream);
    return out;
  }

  // Compresses badly enough to span several buffers.
  static std::string long_text() {
    std::string text;
    uint32_t state = 1;
    while (text.size() < 300'000) {
      state = state * 1664525 + 1013904223;
      text += static_cast<char>('a' + (state >> 24) % 26);
    }
    return text;
  }
};

TEST_F(ByteStreamTest, PlainAndCompressedFilesReadTheSame) {
  const std::string text = long_text();
  EXPECT_EQ(read_all(write("a.txt", text)), text);
  EXPECT_EQ(read_all(write("a.txt.xz", xz(text))), text);
  EXPECT_EQ(read_all(write("b.txt.xz", xz(text)), kNoLimit, 1 << 20), text);
}

TEST_F(ByteStreamTest, ConcatenatedXzStreamsAreOneText) {
  EXPECT_EQ(read_all(write("a.xz", xz("one ") + xz("two"))), "one two");
}

TEST_F(ByteStreamTest, GzipReadsTheSame) {
  const std::string text = long_text(), packed = gzip(text);
  EXPECT_EQ(read_all(write("a.gz", packed)), text);
  EXPECT_EQ(read_all(write("b.gz", gzip("one ") + gzip("") + gzip("two"))), "one two");
  EXPECT_EQ(read_all(write("c.gz", gzip(""))), "");
  for (const size_t size : {size_t{6}, packed.size() / 2, packed.size() - 1})
    EXPECT_TRUE(contains(message_of([&] { read_all(write("cut.gz", packed.substr(0, size))); }),
                         "cut.gz is a truncated gzip file"));
  std::string bad = packed;
  bad[bad.size() / 2] ^= 0x40;
  EXPECT_TRUE(contains(message_of([&] { read_all(write("bad.gz", bad)); }), "bad.gz is a damaged"));
  EXPECT_TRUE(contains(message_of([&] { read_all(write("d.gz", gzip("text") + "garbage")); }),
                       "d.gz is a damaged gzip"));
  EXPECT_TRUE(contains(message_of([&] { read_all(write("bomb.gz", packed), text.size() - 1); }),
                       "bomb.gz holds more text than the limit allows"));
}

TEST_F(ByteStreamTest, EmptyAndTinyFilesAreFine) {
  EXPECT_EQ(read_all(write("a", "")), "");
  EXPECT_EQ(read_all(write("b", "x")), "x");
  EXPECT_EQ(read_all(write("c", xz(""))), "");
}

TEST_F(ByteStreamTest, TruncatedXzIsNamedWhereverItWasCut) {
  const std::string whole = xz(long_text());
  for (const size_t size : {size_t{6}, size_t{20}, whole.size() / 2, whole.size() - 1}) {
    const auto path = write("cut.xz", std::string_view(whole).substr(0, size));
    const std::string message = message_of([&] { read_all(path); });
    EXPECT_TRUE(contains(message, path.string() + " is a truncated xz file")) << message;
  }
}

TEST_F(ByteStreamTest, DamagedXzIsNamed) {
  std::string bytes = xz(long_text());
  bytes[bytes.size() / 2] ^= 0x40;
  EXPECT_TRUE(contains(message_of([&] { read_all(write("a.xz", bytes)); }), "is a damaged xz"));
  EXPECT_TRUE(contains(message_of([&] { read_all(write("b.xz", xz("text") + "garbage garbage")); }),
                       "is a damaged xz"));
}

TEST_F(ByteStreamTest, BombIsStoppedAtTheLimit) {
  const std::string zeros(4 << 20, '0');
  const auto path = write("bomb.xz", xz(zeros));
  EXPECT_EQ(read_all(path, zeros.size()), zeros);
  EXPECT_TRUE(contains(message_of([&] { read_all(path, zeros.size() - 1); }),
                       "bomb.xz holds more text than the limit allows"));
}

TEST_F(ByteStreamTest, AFileOverTheLimitIsRefusedUnread) {
  EXPECT_TRUE(contains(message_of([&] { ByteStream(write("a", "12345"), 4); }),
                       "holds more text than the limit allows (4 bytes)"));
}

TEST_F(ByteStreamTest, UnreadableFilesAreNamed) {
  EXPECT_TRUE(contains(message_of([&] { read_all(folder_ / "missing"); }),
                       "missing cannot be read: No such file"));
  EXPECT_TRUE(contains(message_of([&] { read_all(folder_); }), "is a folder"));
  EXPECT_TRUE(contains(message_of([&] { read_all(write("a.zst", "\x28\xB5\x2F\xFD")); }), "zstd"));
}

}  // namespace
}  // namespace dsrasq::data
