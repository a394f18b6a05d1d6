#include "dsrasq/checkpoint/hf_writer.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/checkpoint/test_model.h"
#include "dsrasq/formats/test_folder.h"

namespace dsrasq::checkpoint {
namespace {

class HfWriterTest : public FolderTest {
 protected:
  // All but the last `n_missing` tensors.
  void write_model(const ModelConfig& config, size_t n_missing = 0) {
    std::vector<WantedTensor> wanted = wanted_tensors(config);
    wanted.resize(wanted.size() - n_missing);
    weights_.clear();
    for (size_t i = 0; i < wanted.size(); ++i)
      weights_.push_back(tiny_weights(i, n_weights_of(wanted[i])));
    std::vector<formats::NamedTensor> tensors;
    for (size_t i = 0; i < wanted.size(); ++i)
      tensors.push_back({wanted[i].name, formats::Dtype::kF32, wanted[i].shape,
                         std::as_bytes(std::span(weights_[i]))});
    write_hugging_face_folder(folder_, config, {.bos = {}, .eos = 3}, tensors);
  }
  static ModelConfig llama() {
    ModelConfig config = tiny_config(Architecture::kLlama);
    config.rms_norm_eps = 1e-5;
    config.rope_theta = config.rope_local_theta = 5e5;
    config.attention_scale = 1 / std::sqrt(4.0);
    config.sliding_window = {0, 0};
    return config;
  }

  std::vector<std::vector<float>> weights_;
};

TEST_F(HfWriterTest, WhatIsWrittenIsReadBack) {
  for (const bool tied : {true, false}) {
    ModelConfig config = llama();
    config.tied_embeddings = tied;
    write_model(config);
    const auto read = Checkpoint::open(folder_);
    config.name = read->config().name;
    EXPECT_EQ(config_fields(read->config()), config_fields(config));
    const std::vector<WantedTensor> wanted = wanted_tensors(config);
    for (size_t i = 0; i < wanted.size(); ++i)
      EXPECT_EQ(to_float(read->require(wanted[i].name)), weights_[i]) << wanted[i].name;
  }
  const auto json = nlohmann::json::parse(read_file(folder_ / "config.json"));
  EXPECT_EQ(json["eos_token_id"], 3);
  EXPECT_FALSE(json.contains("bos_token_id"));
  EXPECT_EQ(json["torch_dtype"], "float32");
}

TEST_F(HfWriterTest, WhatIsNoPlainLlamaIsRefusedAndLeavesNothing) {
  const auto refusal = [&](const ModelConfig& config, size_t n_missing = 0) {
    return error_text([&] { write_model(config, n_missing); }, ErrorCode::kInvalidArgument);
  };
  ModelConfig config = llama();
  config.has_qk_norm = true;
  EXPECT_HAS(refusal(config), "only a plain Llama can be written");
  config = llama();
  config.rope_scaling.kind = RopeScaling::Kind::kLinear;
  EXPECT_HAS(refusal(config), "only a plain Llama can be written");
  EXPECT_HAS(refusal(llama(), 1), "no tensor blk.1.ffn_down.weight");
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

}  // namespace
}  // namespace dsrasq::checkpoint
