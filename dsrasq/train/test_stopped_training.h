#pragma once

// For tests of trainings that end before their last step and go on later.

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/train/training_checkpoint.h"

namespace dsrasq::train {

/// Bodies of EXPECT_EXIT run in a process of their own, which starts the test again: so the
/// folder's name is the same there.
class StoppedTrainingTest : public testing::Test {
 protected:
  StoppedTrainingTest() {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() /
              concat("dsrasq_", info->test_suite_name(), '_', info->name());
  }
  ~StoppedTrainingTest() override { std::filesystem::remove_all(folder_); }

  /// Trains on from where `stopped` was left, then the same in one go: results and parameters have
  /// to be the same. Returns both results.
  template <class Options, class Train>
  static auto expect_same_result(const Options& stopped, int64_t stopped_at, const Options& whole,
                                 const Train& train) {
    const CheckpointFolder of_stopped(stopped.run_dir), of_whole(whole.run_dir);
    EXPECT_EQ(of_stopped.load()->step, stopped_at);
    const auto resumed = train(stopped), unbroken = train(whole);
    EXPECT_EQ(resumed.steps, unbroken.steps);
    EXPECT_EQ(resumed.loss, unbroken.loss);
    const auto a = of_stopped.load(), b = of_whole.load();
    EXPECT_TRUE(a->parameters.equal(b->parameters));
    EXPECT_TRUE(a->second.equal(b->second));
    return std::pair(resumed, unbroken);
  }

  std::filesystem::path folder_;
};

}  // namespace dsrasq::train
