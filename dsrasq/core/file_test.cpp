#include "dsrasq/core/file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "dsrasq/core/error.h"

namespace dsrasq {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::temp_directory_path() / ("dsrasq_file_test_" + std::to_string(::getpid()));
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }
  size_t n_files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(dir_), {}));
  }
  fs::path dir_;
};

TEST_F(FileTest, WriteThenMapThenRead) {
  write_file(dir_ / "a", "hello");
  const MappedFile map(dir_ / "a");
  ASSERT_EQ(map.bytes().size(), 5u);
  EXPECT_EQ(std::memcmp(map.bytes().data(), "hello", 5), 0);
  EXPECT_EQ(read_file(dir_ / "a"), "hello");
  EXPECT_EQ(n_files(), 1u);
}

TEST_F(FileTest, AbandonedWriteLeavesTheOldFileAndNoOther) {
  write_file(dir_ / "a", "old");
  {
    AtomicFileWriter writer(dir_ / "a");
    writer.write("new");
  }
  EXPECT_EQ(read_file(dir_ / "a"), "old");
  EXPECT_EQ(n_files(), 1u);
}

TEST_F(FileTest, FullDiskIsNamedAndLeavesNothing) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  fs::create_symlink("/dev/full", dir_ / ("a.tmp-" + std::to_string(::getpid())));
  try {
    write_file(dir_ / "a", "x");
    FAIL() << "no throw";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kOutput);
    EXPECT_NE(std::string(e.what()).find("No space left"), std::string::npos) << e.what();
  }
  EXPECT_EQ(n_files(), 0u);
}

TEST_F(FileTest, WhatIsNoRegularFileIsNotReplaced) {
  fs::create_directories(dir_ / "folder");
  fs::create_symlink("/dev/null", dir_ / "device");
  for (const char* name : {"folder", "device"}) {
    try {
      write_file(dir_ / name, "x");
      FAIL() << "no throw";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kOutput);
      EXPECT_NE(std::string(e.what()).find("is no regular file"), std::string::npos) << e.what();
    }
  }
  EXPECT_TRUE(fs::is_character_file(dir_ / "device"));
  EXPECT_EQ(n_files(), 2u);
}

TEST_F(FileTest, MissingFilesAndFoldersAreBadInput) {
  for (const fs::path& path : {dir_ / "missing", dir_}) {
    try {
      MappedFile map(path);
      FAIL() << "no throw";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kBadInput);
      EXPECT_NE(std::string(e.what()).find(path.string()), std::string::npos);
    }
  }
}

TEST_F(FileTest, MoreThanAllowedIsRefused) {
  write_file(dir_ / "a", "hello");
  EXPECT_THROW(read_file(dir_ / "a", 4), Error);
}

TEST_F(FileTest, EmptyFileMapsToNothing) {
  write_file(dir_ / "a", "");
  EXPECT_TRUE(MappedFile(dir_ / "a").bytes().empty());
}

}  // namespace
}  // namespace dsrasq
