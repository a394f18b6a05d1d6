#include "dsrasq/data/tar_reader.h"

#include "dsrasq/data/test_archive.h"

namespace dsrasq::data {
namespace {

class TarReaderTest : public FilesTest {
 protected:
  static std::string members(const std::filesystem::path& path, const ReadOptions& options = {}) {
    TarReader reader(path, options);
    std::string out;
    while (const auto member = reader.next()) out += member->name + "=" + member->bytes + ";";
    return out;
  }
};

TEST_F(TarReaderTest, FilesComeInTheArchivesOrderAndFoldersAreLeftOut) {
  const std::string folder = tar_member("in/", "", '5');
  const std::string archive = folder + tar_member("in/b", std::string(600, 'b')) +
                              tar_member("in/a", "") + std::string(1024, '\0');
  const std::string wanted = "in/b=" + std::string(600, 'b') + ";in/a=;";
  EXPECT_EQ(members(write("a.tar", archive)), wanted);
  EXPECT_EQ(members(write("a.tar.xz", xz(archive))), wanted);
}

TEST_F(TarReaderTest, LongNamesOfGnuBelongToTheNextFileOnly) {
  const std::string name(150, 'n');
  EXPECT_EQ(members(write("a.tar", tar_member("././@LongLink", name + '\0', 'L') +
                                       tar_member("cut", "1") + tar_member("b", "2"))),
            name + "=1;b=2;");
}

TEST_F(TarReaderTest, KnowsAnArchiveByItsFirstHeader) {
  const std::string archive = tar_member("a", "1");
  EXPECT_TRUE(TarReader::is_one(write("a.tar.xz", xz(archive))));
  EXPECT_FALSE(TarReader::is_one(write("a.txt", std::string(1000, 'a'))));
  EXPECT_FALSE(TarReader::is_one(folder_ / "none"));
}

TEST_F(TarReaderTest, DamageIsNamed) {
  std::string archive = tar_member("a", "1") + tar_member("b", "2");
  const auto cut = write("cut.tar", std::string_view(archive).substr(0, 3 * 512 + 1));
  EXPECT_TRUE(contains(message_of([&] { members(cut); }), "cut.tar is cut off in b"));
  archive[2 * 512 + 3] = 'x';  // a byte of the second header
  const auto bad = write("bad.tar", archive);
  EXPECT_TRUE(contains(message_of([&] { members(bad); }), "bad.tar is a damaged tar archive"));
  EXPECT_TRUE(contains(
      message_of([&] { members(write("a.tar", tar_member("a", "12")), {.max_record_bytes = 1}); }),
      "a.tar: a is longer than 1 bytes"));
}

}  // namespace
}  // namespace dsrasq::data
