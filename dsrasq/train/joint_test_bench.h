#pragma once

// The tiny model with an adapter to start from, for tests of the joint training.

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "dsrasq/train/joint_trainer.h"
#include "dsrasq/train/test_bench.h"
#include "dsrasq/train/test_stopped_training.h"

namespace dsrasq::train {

/// A bench with a warmed-up adapter's stand-in: random indexers.
class JointBench : public TestBench {
 public:
  explicit JointBench(const std::filesystem::path& folder, at::ScalarType dtype = at::kFloat)
      : TestBench(folder, {.dtype = dtype, .packed = false}) {
    adapter_.base_fingerprint = checkpoint().fingerprint();
    adapter_.base_name = "tiny";
    adapter_.n_embd = 32;
    adapter_.n_heads = 2;
    adapter_.head_dim = 16;
    adapter_.d_max = 80;
    adapter_.record = R"({"method": "none"})";
    for (int64_t i = 0; i < 2; ++i)
      adapter_.indexers[i] = retriever::Adapter::random(32, 2, 16, 40 + static_cast<uint64_t>(i));
  }
  JointInput joint_input() const {
    return {.train = input(), .adapter = &adapter_, .adapter_fingerprint = "start"};
  }
  JointTrainOptions options(const std::string& name) const {
    auto options = short_run<JointTrainOptions>(name);
    options.block = 16;
    options.top_k = 4;
    options.lora_rank = 4;
    options.lora_alpha = 8;
    options.slots = 3;
    options.pool = 16;
    options.eval_stretches = 2;
    return options;
  }
  /// Policy gradient alone, from the bench's adapter.
  JointTrainOptions gradient_options(const std::string& name,
                                     const std::string& policy = "budget") const {
    JointTrainOptions options = this->options(name);
    options.steps = 0;
    options.lora_rank = 0;
    options.slots = 0;
    options.pool = 0;
    options.long_share = 0;
    options.recall_share = 0;
    options.rl.steps = 20;
    options.rl.policy = policy;
    options.rl.samples = 2;
    return options;
  }
  /// Two texts again and again, which even a random model can learn.
  JointTrainOptions easy_options(const std::string& name) const {
    std::vector<std::vector<int32_t>> documents(3);
    for (int32_t i = 0; i < 64; ++i)
      for (int32_t d = 0; d < 3; ++d)
        documents[static_cast<size_t>(d)].push_back((i * i * (d + 3) + 7 * d) % 61);
    write_token_cache(path("easy"), "letters", "test", documents);
    JointTrainOptions options = this->options(name);
    options.data = path("easy");
    options.steps = 150;
    options.lr_lora = 1e-2;
    options.long_share = 0;
    options.recall_share = 0;
    return options;
  }

 private:
  retriever::Adapter adapter_;
};

/// Joint trainings that end before their last step.
class StoppedJointTraining : public StoppedTrainingTest {
 protected:
  virtual JointTrainOptions options(const JointBench& bench, const std::string& name) const {
    return bench.options(name);
  }
  /// Ends this process with `signal` at step 10.
  void train_until(int signal) {
    std::filesystem::remove_all(folder_);
    const JointBench bench(folder_);
    train_joint(bench.joint_input(), options(bench, "stopped"), [&](const JointProgress& progress) {
      if (progress.step == 10) std::raise(signal);
    });
  }
  /// Goes on, compares with a run that was never stopped, and returns its result.
  JointResult expect_goes_on_from(int64_t stopped_at) {
    const JointBench bench(folder_);
    const JointInput input = bench.joint_input();
    const auto [resumed, unbroken] =
        expect_same_result(options(bench, "stopped"), stopped_at, options(bench, "whole"),
                           [&](const JointTrainOptions& o) { return train_joint(input, o); });
    EXPECT_EQ(resumed.after.kl, unbroken.after.kl);
    return resumed;
  }
};

}  // namespace dsrasq::train
