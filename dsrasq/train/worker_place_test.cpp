#include "dsrasq/train/worker_place.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/train/process_group.h"

namespace dsrasq::train {
namespace {

/// The variables of the second of four processes, on the second of two machines.
class WorkerPlaceTest : public testing::Test {
 protected:
  WorkerPlaceTest() {
    for (const auto& [name, value] : variables_) set(name, value);
  }
  ~WorkerPlaceTest() override {
    for (const auto& [name, value] : variables_) set(name, "");
  }
  static void set(const std::string& name, const std::string& value) {
    if (value.empty())
      ::unsetenv(name.c_str());
    else
      ::setenv(name.c_str(), value.c_str(), 1);
  }
  static std::string refusal(const std::string& name, const std::string& value) {
    set(name, value);
    return error_text([] { worker_place(); }, ErrorCode::kInvalidArgument);
  }

  const std::map<std::string, std::string> variables_{{"WORLD_SIZE", "4"},
                                                      {"RANK", "3"},
                                                      {"LOCAL_RANK", "1"},
                                                      {"LOCAL_WORLD_SIZE", "2"},
                                                      {"MASTER_ADDR", "node-0"},
                                                      {"MASTER_PORT", "29500"},
                                                      {"TORCHELASTIC_USE_AGENT_STORE", ""}};
};

TEST_F(WorkerPlaceTest, TorchrunsVariablesAreRead) {
  const auto place = worker_place();
  ASSERT_TRUE(place);
  EXPECT_EQ(place->rank, 3);
  EXPECT_EQ(place->size, 4);
  EXPECT_EQ(place->local_rank, 1);
  EXPECT_EQ(place->local_size, 2);
  EXPECT_EQ(place->address, "node-0");
  EXPECT_EQ(place->port, 29500);
  EXPECT_FALSE(place->is_served);
  set("TORCHELASTIC_USE_AGENT_STORE", "True");
  EXPECT_TRUE(worker_place()->is_served);
}

TEST_F(WorkerPlaceTest, OneProcessIsNoGroupWhateverElseIsSet) {
  set("RANK", "seven");
  set("WORLD_SIZE", "1");
  EXPECT_FALSE(worker_place());
  set("WORLD_SIZE", "");
  EXPECT_FALSE(worker_place());
  std::string device = "cpu";
  EXPECT_EQ(join_processes(device)->size(), 1);
}

TEST_F(WorkerPlaceTest, WrongTextsAreRefusedByName) {
  EXPECT_HAS(refusal("WORLD_SIZE", "four"), "WORLD_SIZE is 'four', want a number from 1 to 65536");
  set("WORLD_SIZE", "4");
  EXPECT_HAS(refusal("RANK", "4"), "RANK is '4', want a number from 0 to 3");
  EXPECT_HAS(refusal("RANK", "-1"), "RANK is '-1'");
  EXPECT_HAS(refusal("RANK", "1x"), "RANK is '1x'");
  EXPECT_HAS(refusal("RANK", ""), "RANK is not set, but WORLD_SIZE says");
  set("RANK", "3");
  EXPECT_HAS(refusal("LOCAL_RANK", "first"), "LOCAL_RANK is 'first'");
  set("LOCAL_RANK", "2");
  EXPECT_HAS(refusal("LOCAL_WORLD_SIZE", "2"), "LOCAL_WORLD_SIZE is '2', want a number from 3");
  set("LOCAL_WORLD_SIZE", "");
  EXPECT_HAS(refusal("MASTER_PORT", "70000"), "MASTER_PORT is '70000'");
  EXPECT_HAS(refusal("MASTER_ADDR", ""), "MASTER_ADDR is not set");
}

TEST_F(WorkerPlaceTest, FewerGpusThanAskedForAreUnavailable) {
  set("WORLD_SIZE", "1000");
  set("RANK", "999");
  set("LOCAL_RANK", "999");
  set("LOCAL_WORLD_SIZE", "");
  std::string device = "cuda";
  EXPECT_HAS(error_text([&] { join_processes(device); }, ErrorCode::kUnavailable),
             "LOCAL_RANK 999 wants GPU 999 of this machine, which has ");
  device = "cuda:1";
  EXPECT_HAS(error_text([&] { join_processes(device); }, ErrorCode::kInvalidArgument), "want cuda");
}

}  // namespace
}  // namespace dsrasq::train
