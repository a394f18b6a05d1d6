#include "dsrasq/eval/gca_perplexity.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/text/tokenizer_files.h"
#include "dsrasq/train/gca_folder.h"
#include "dsrasq/train/gca_model.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;
const char* const kText = "tests/golden/models/carol.txt";
const char* const kTokenizer = "tests/golden/models/text";

// A folder with a model of random weights.
class GcaPerplexity : public FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    checkpoint::ModelConfig& d = config_.decoder;
    d = checkpoint::family_config(checkpoint::Architecture::kLlama);
    d.n_layers = 2, d.n_embd = 16, d.n_ff = 24, d.n_heads = 2, d.n_kv_heads = 1, d.head_dim = 8;
    d.vocab_size = text::load_tokenizer(kTokenizer)->vocab_size();
    d.context_length = 64, d.rms_norm_eps = 1e-5, d.rope_theta = d.rope_local_theta = 100;
    d.attention_scale = 1 / std::sqrt(8.0);
    d.sliding_window = {0, 0};
    config_.window = 6, config_.chunk = 4, config_.top_k = 2;
    config_.lower_layers = config_.encoder_layers = 1;
    at::manual_seed(3);
    std::vector<formats::NamedTensor> tensors;
    for (const checkpoint::WantedTensor& wanted : train::gca_tensors(config_)) {
      const at::Tensor values = at::randn(wanted.shape);
      weights_[wanted.name] = wanted.shape.size() == 1 ? values * 0.3 + 1 : values;
      const at::Tensor& stored = weights_[wanted.name];
      tensors.push_back(
          {wanted.name,
           formats::Dtype::kF32,
           wanted.shape,
           {static_cast<const std::byte*>(stored.const_data_ptr()), stored.nbytes()}});
    }
    text::copy_tokenizer(kTokenizer, folder_);
    train::write_gca_folder(folder_, config_, tensors);
    engine_.model = folder_.string();
  }

  train::GcaConfig config_;
  model::WeightsByName weights_;
  session::EngineOptions engine_;
};

TEST_F(GcaPerplexity, IsThatOfTheModelOnTheStretchesOfTheOthers) {
  const PerplexityOptions options{.text = {kText}, .length = 50, .samples = 3};
  const Json result = run_gca_perplexity(engine_, options);
  train::AngleCache angles(at::kCPU);
  const train::GcaModel model(config_, weights_, angles);
  const auto stretches = read_stretches({kText}, *text::load_tokenizer(kTokenizer), 50, 3);
  double nll = 0;
  for (const Stretch& stretch : stretches) {
    const at::Tensor ids = at::tensor(stretch.ids, at::kInt).to(at::kLong);
    const at::Tensor logprobs =
        at::linear(model.states(ids.unsqueeze(0))[0], weights_.at("output.weight")).log_softmax(1);
    for (int64_t i = 0; i + 1 < 50; ++i) nll -= logprobs[i][ids[i + 1]].item<double>();
  }
  EXPECT_EQ(result["policy"], "gca");
  EXPECT_EQ(result["tokens"], 3 * 49);
  EXPECT_NEAR(result["nll"].get<double>(), nll / (3 * 49), 1e-4);
  EXPECT_GT(result["nll"].get<double>(), 1);
  // Chunks 2 to 12 read 1, 2, 2 ... of 4 tokens; the last has 2 tokens.
  EXPECT_DOUBLE_EQ(result["mean_retrieved"].get<double>(), (4 + 9 * 8) * 4.0 / 50 + 2 * 8 / 50.0);
  // Of 2 layers 6 tokens, keys and values of one head of 8; of 12 chunks 4 tokens and a landmark.
  EXPECT_EQ(result["cache_bytes"], 4 * (2 * 6 * 2 * 8 + 12 * (2 * 4 + 1) * 16));
}

TEST_F(GcaPerplexity, ShardsCanBeMerged) {
  PerplexityOptions options{.text = {kText}, .length = 50, .samples = 3};
  const Json whole = run_gca_perplexity(engine_, options);
  std::vector<std::string> files;
  for (const char* shard : {"1/2", "0/2"}) {
    options.shard = shard;
    files.push_back(write(std::string(1, shard[0]), run_gca_perplexity(engine_, options).dump()));
  }
  EXPECT_EQ(merge_perplexity(files)["perplexity"], whole["perplexity"]);
}

TEST_F(GcaPerplexity, WrongFilesAreNamed) {
  const PerplexityOptions options{.text = {kText}, .length = 50, .samples = 3};
  const auto refusal = [&] { return error_text([&] { run_gca_perplexity(engine_, options); }); };
  const auto with = [&](const char* key, const Json& value) {
    Json json = Json::parse(read_file(folder_ / "config.json"));
    const Json good = json;
    json[key] = value;
    write("config.json", json.dump());
    const std::string text = refusal();
    write("config.json", good.dump());
    return text;
  };
  EXPECT_TRUE(train::is_gca_folder(folder_));
  EXPECT_HAS(with("chunk_size", "four"), "config.json: has no \"chunk_size\" of its kind");
  EXPECT_HAS(with("num_attention_heads", 0), "config.json: has 0 heads");
  EXPECT_HAS(with("lower_layers", 2), "the number of lower layers is 2, want 1 to 1");
  EXPECT_HAS(with("intermediate_size", 25), "ffn_gate.weight has another shape");
  EXPECT_HAS(with("encoder_layers", 2), "enc.1.attn_norm.weight");
  EXPECT_HAS(with("model_type", "llama"), "is not that of a model with grouped cross attention");
  EXPECT_FALSE(train::is_gca_folder(folder_ / "none"));
  write("config.json", "{");
  EXPECT_FALSE(train::is_gca_folder(folder_));
}

}  // namespace
}  // namespace dsrasq::eval
