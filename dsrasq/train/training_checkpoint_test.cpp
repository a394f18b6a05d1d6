#include "dsrasq/train/training_checkpoint.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

class CheckpointTest : public testing::Test {
 protected:
  CheckpointTest() : folder_(fs::temp_directory_path() / concat("checkpoint_test.", getpid())) {}
  ~CheckpointTest() override { fs::remove_all(folder_); }

  static TrainingState state(int64_t step) {
    return {.step = step,
            .steps = 100,
            .seconds = 12.5,
            .loss = 0.25,
            .identity = "model/data",
            .options = {{"rows", "512"}, {"seed", "0"}},
            .parameters = at::randn({2, 3}),
            .first = at::randn({2, 3}),
            .second = at::rand({2, 3})};
  }

  fs::path folder_;
};

TEST_F(CheckpointTest, RoundTripIsExact) {
  const TrainingState before = state(7);
  const CheckpointFolder checkpoints(folder_);
  EXPECT_FALSE(checkpoints.load().has_value());
  checkpoints.save(before);
  const auto after = checkpoints.load();
  ASSERT_TRUE(after.has_value());
  EXPECT_EQ(after->step, 7);
  EXPECT_EQ(after->steps, 100);
  EXPECT_EQ(after->seconds, 12.5);
  EXPECT_EQ(after->loss, 0.25);
  EXPECT_EQ(after->options, before.options);
  EXPECT_TRUE(after->parameters.equal(before.parameters));
  EXPECT_TRUE(after->first.equal(before.first));
  EXPECT_TRUE(after->second.equal(before.second));
  EXPECT_NO_THROW(check_same_run(*after, before, folder_));
}

TEST_F(CheckpointTest, KeepsTheNewestTwo) {
  const CheckpointFolder checkpoints(folder_);
  for (int64_t step : {1, 20, 300}) checkpoints.save(state(step));
  EXPECT_FALSE(fs::exists(folder_ / "checkpoint-00000001.safetensors"));
  EXPECT_TRUE(fs::exists(folder_ / "checkpoint-00000020.safetensors"));
  EXPECT_EQ(checkpoints.load()->step, 300);
}

TEST_F(CheckpointTest, ADamagedOneIsPassedOver) {
  const CheckpointFolder checkpoints(folder_);
  checkpoints.save(state(1));
  checkpoints.save(state(2));
  const fs::path newest = folder_ / "checkpoint-00000002.safetensors";
  fs::resize_file(newest, fs::file_size(newest) - 5);
  ASSERT_TRUE(checkpoints.load().has_value());
  EXPECT_EQ(checkpoints.load()->step, 1);
}

TEST_F(CheckpointTest, AnotherRunIsRefusedWithTheOptionAndBothValues) {
  const TrainingState stored = state(1);
  TrainingState wanted = stored;
  wanted.options["rows"] = "256";
  try {
    check_same_run(stored, wanted, "runs/a");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("runs/a was started with --rows 512, not 256"),
              std::string::npos)
        << error.what();
  }
  wanted = stored;
  wanted.identity = "other";
  EXPECT_THROW(check_same_run(stored, wanted, "runs/a"), Error);
}

}  // namespace
}  // namespace dsrasq::train
