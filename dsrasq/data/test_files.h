#pragma once

// What the tests of this folder share: a temporary folder, xz data, and the message of an error.

#include <gtest/gtest.h>
#include <lzma.h>

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq::data {

class FilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "dsrasq-data-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, std::string_view bytes) {
    write_file(folder_ / name, bytes);
    return folder_ / name;
  }

  /// What a call throws; fails the test unless it is kBadInput.
  static std::string message_of(const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kBadInput) << e.what();
      return e.what();
    }
    ADD_FAILURE() << "no throw";
    return {};
  }

  static std::string xz(std::string_view text) {
    std::string out(lzma_stream_buffer_bound(text.size()), '\0');
    size_t size = 0;
    EXPECT_EQ(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, nullptr,
                                      reinterpret_cast<const uint8_t*>(text.data()), text.size(),
                                      reinterpret_cast<uint8_t*>(out.data()), &size, out.size()),
              LZMA_OK);
    out.resize(size);
    return out;
  }

  std::filesystem::path folder_;
};

inline bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace dsrasq::data
