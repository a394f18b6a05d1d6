#include "cli/progress.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace dsrasq::cli {
namespace {

TEST(ProgressLine, ShowsShareSpeedTimeLeftAndMemory) {
  EXPECT_EQ(progress_line({.label = "reading",
                           .done = 51200,
                           .total = 102400,
                           .seconds = 64,
                           .memory_bytes = 226ull << 20}),
            "reading   50 %  51,200 of 102,400 tokens  800 tokens/s  1:04 left  memory 226 MiB");
}

TEST(ProgressLine, EndsWithTheTimeItTook) {
  EXPECT_EQ(
      progress_line(
          {.label = "encoding", .unit = "texts", .done = 1000, .total = 1000, .seconds = 3725}),
      "encoding  100 %  1,000 of 1,000 texts  0.3 texts/s  in 1:02:05");
}

TEST(ProgressLine, KnowsNoSpeedAtTheStart) {
  EXPECT_EQ(progress_line({.label = "reading", .total = 7}), "reading    0 %  0 of 7 tokens");
}

TEST(Counts, HaveACommaEveryThreeDigits) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1,000");
  EXPECT_EQ(format_count(119465), "119,465");
  EXPECT_EQ(format_count(1234567890), "1,234,567,890");
  EXPECT_EQ(format_count(-100), "-100");
  EXPECT_EQ(format_count(-1000), "-1,000");
}

TEST(ProgressBar, PrintsAPlainLineForEveryTenthWhereNoTerminalIs) {
  testing::internal::CaptureStderr();
  {
    Progress progress({.label = "reading"}, true);
    for (int64_t done = 1; done <= 200; ++done) progress.update(done, 200);
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 10) << text;
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST(ProgressBar, PrintsNothingWhenNotShown) {
  testing::internal::CaptureStderr();
  {
    Progress progress({.label = "reading"}, false);
    progress.update(5, 10);
    progress.update(10, 10);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace dsrasq::cli
