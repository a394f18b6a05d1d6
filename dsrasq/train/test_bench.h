#pragma once

// A tiny random model and a corpus of random tokens, for tests of whole trainings.

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dsrasq/checkpoint/tensor_names.h"
#include "dsrasq/core/file.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/formats/safetensors.h"
#include "dsrasq/train/counter_rng.h"
#include "dsrasq/train/retriever_trainer.h"

namespace dsrasq::train {

/// A random Llama as a Hugging Face folder.
inline void write_random_llama(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  write_file(
      folder / "config.json",
      R"({"model_type":"llama","hidden_size":32,"intermediate_size":64,"num_hidden_layers":2,)"
      R"("num_attention_heads":4,"num_key_value_heads":2,"head_dim":16,"vocab_size":64,)"
      R"("max_position_embeddings":96,"rms_norm_eps":1e-5,"rope_theta":10000.0,)"
      R"("tie_word_embeddings":true})");
  checkpoint::ModelConfig config;
  config.n_layers = 2;
  config.n_embd = 32;
  config.n_ff = 64;
  config.n_heads = 4;
  config.n_kv_heads = 2;
  config.head_dim = 16;
  config.vocab_size = 64;
  config.tied_embeddings = true;
  at::manual_seed(1);
  std::vector<at::Tensor> values;
  std::vector<formats::NamedTensor> tensors;
  for (const auto& wanted : checkpoint::wanted_tensors(config)) {
    values.push_back(wanted.shape.size() == 1 ? at::ones(wanted.shape)
                                              : at::randn(wanted.shape).mul_(2 / std::sqrt(32.0)));
    tensors.push_back({checkpoint::hugging_face_name(wanted.name, config.architecture, "model."),
                       formats::Dtype::kF32, wanted.shape,
                       std::span(static_cast<const std::byte*>(values.back().const_data_ptr()),
                                 values.back().nbytes())});
  }
  formats::write_safetensors(folder / "model.safetensors", tensors);
}

/// A fresh place with a model and tokens for runs of a second.
class TestBench {
 public:
  explicit TestBench(const std::filesystem::path& folder, const model::LoadOptions& load = {})
      : folder_(folder) {
    // Tensors this small are done sooner by one thread.
    at::set_num_threads(1);
    set_num_threads(1);
    write_random_llama(folder / "model");
    std::vector<std::vector<int32_t>> documents;
    for (uint64_t d = 0; d < 3; ++d) {
      CounterRng rng(d, 0, 0);
      documents.emplace_back();
      for (int i = 0; i < 400; ++i) documents.back().push_back(static_cast<int32_t>(rng.below(64)));
    }
    write_token_cache(folder / "tokens", "letters", "test", documents);
    checkpoint_ = checkpoint::Checkpoint::open(folder / "model");
    model_ = std::make_unique<model::Transformer>(*checkpoint_, load);
  }

  TrainInput input() const {
    return {.model = *model_,
            .encode =
                [](std::string_view text) {
                  std::vector<int32_t> ids;
                  for (char c : text) ids.push_back(static_cast<unsigned char>(c) % 64);
                  return ids;
                },
            .prefix = {},
            .vocabulary = "letters",
            .fingerprint = checkpoint_->fingerprint(),
            .name = "tiny"};
  }
  /// 24 steps on short stretches, in places of this name.
  template <class Options>
  Options short_run(const std::string& name) const {
    Options options;
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
    options.eval_every = 0;
    options.eval_stretches = 1;
    options.checkpoint_every = 8;
    return options;
  }
  const checkpoint::Checkpoint& checkpoint() const { return *checkpoint_; }
  const model::Transformer& model() const { return *model_; }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

 private:
  std::filesystem::path folder_;
  std::unique_ptr<checkpoint::Checkpoint> checkpoint_;
  std::unique_ptr<model::Transformer> model_;
};

}  // namespace dsrasq::train
