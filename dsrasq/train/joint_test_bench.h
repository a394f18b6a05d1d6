#pragma once

// The tiny model with an adapter to start from, for tests of the joint training.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "dsrasq/train/joint_trainer.h"
#include "dsrasq/train/test_bench.h"

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
    JointTrainOptions options;
    options.data = path("tokens");
    options.output = path(name + ".safetensors");
    options.run_dir = path(name + ".run");
    options.steps = 24;
    options.length = 64;
    options.long_length = 128;
    options.long_share = 0.3;
    options.rows = 16;
    options.warmup = 4;
    options.window = 16;
    options.sinks = 2;
    options.block = 16;
    options.top_k = 4;
    options.lora_rank = 4;
    options.lora_alpha = 8;
    options.slots = 3;
    options.eval_every = 0;
    options.eval_stretches = 2;
    options.checkpoint_every = 8;
    return options;
  }
  /// Policy gradient alone, from the bench's adapter.
  JointTrainOptions gradient_options(const std::string& name,
                                     const std::string& policy = "budget") const {
    JointTrainOptions options = this->options(name);
    options.steps = 0;
    options.lora_rank = 0;
    options.slots = 0;
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

}  // namespace dsrasq::train
