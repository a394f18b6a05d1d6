#include "dsrasq/train/step_profile.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq::train {
namespace {

void run_steps(StepProfile& profile, int64_t n) {
  for (int64_t step = 0; step < n; ++step) {
    profile.begin(step);
    const at::Tensor a = at::ones({8, 8});
    if (step >= StepProfile::kFirst) a.matmul(a);
    profile.end(step);
  }
}

std::string path_of(const char* name) { return testing::TempDir() + name; }

TEST(StepProfile, HoldsTheOperatorsOfItsStepsAlone) {
  const std::string path = path_of("profile.json");
  StepProfile profile(path, at::kCPU);
  run_steps(profile, StepProfile::kFirst + StepProfile::kSteps + 3);
  const auto json = nlohmann::json::parse(read_file(path));
  EXPECT_EQ(json["steps"], StepProfile::kSteps);
  EXPECT_GT(json["wall_seconds"].get<double>(), 0);
  int64_t n_matmul = 0;
  double last = 1e9;
  for (const auto& entry : json["entries"]) {
    if (entry["name"] == "aten::matmul") n_matmul = entry["calls"];
    EXPECT_LE(entry["seconds"].get<double>(), last);
    last = entry["seconds"];
  }
  EXPECT_EQ(n_matmul, StepProfile::kSteps);
}

TEST(StepProfile, IsOffWithoutAPathAndWritesNothingForTooFewSteps) {
  StepProfile off("", at::kCPU);
  run_steps(off, StepProfile::kFirst + StepProfile::kSteps);
  const std::string path = path_of("none.json");
  {
    StepProfile profile(path, at::kCPU);
    run_steps(profile, StepProfile::kFirst + 1);
  }
  EXPECT_THROW(read_file(path), Error);
}

TEST(StepProfile, AFolderThatIsMissingIsAnError) {
  StepProfile profile(path_of("missing/profile.json"), at::kCPU);
  EXPECT_THROW(run_steps(profile, StepProfile::kFirst + StepProfile::kSteps), Error);
}

}  // namespace
}  // namespace dsrasq::train
