#pragma once

// A folder of its own for each test, and what an error says.

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq {

/// A fixture with an empty folder that is gone after the test.
class FolderTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() /
              concat("dsrasq_", info->test_suite_name(), '_', info->name(), '_', ::getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    // Not atomically: a sync to disk for each of a thousand damaged files takes long.
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }

  std::filesystem::path folder_;
};

/// What the error says that `call` throws, which must be of that code.
template <class Call>
std::string error_text(Call&& call, ErrorCode code = ErrorCode::kBadInput) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error_info(error.code()).name, error_info(code).name) << error.what();
    return error.what();
  }
  return "no error";
}

#define EXPECT_HAS(text, part) EXPECT_PRED2(::dsrasq::has_part, std::string(text), part)
inline bool has_part(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace dsrasq
