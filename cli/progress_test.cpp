#include "cli/progress.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace dsrasq::cli {
namespace {

TEST(ProgressLine, ShowsShareSpeedTimeLeftAndMemory) {
  EXPECT_EQ(progress_line("reading", 51200, 102400, 64, 226ull << 20),
            "reading   50 %  51,200 of 102,400 tokens  800 tokens/s  1:04 left  memory 226 MiB");
}

TEST(ProgressLine, EndsWithTheTimeItTook) {
  EXPECT_EQ(progress_line("reading", 1000, 1000, 3725, 0),
            "reading  100 %  1,000 of 1,000 tokens  0.3 tokens/s  in 1:02:05");
}

TEST(ProgressLine, KnowsNoSpeedAtTheStart) {
  EXPECT_EQ(progress_line("reading", 0, 7, 0, 0), "reading    0 %  0 of 7 tokens");
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
    Progress progress("reading", true);
    for (int64_t done = 1; done <= 200; ++done) progress.update(done, 200);
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 10) << text;
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST(ProgressBar, PrintsNothingWhenNotShown) {
  testing::internal::CaptureStderr();
  {
    Progress progress("reading", false);
    progress.update(5, 10);
    progress.update(10, 10);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace dsrasq::cli
