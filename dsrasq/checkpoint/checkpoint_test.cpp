#include "dsrasq/checkpoint/checkpoint.h"

#include <algorithm>

#include "dsrasq/checkpoint/test_model.h"
#include "dsrasq/formats/gguf.h"
#include "dsrasq/formats/test_folder.h"

namespace dsrasq::checkpoint {
namespace {

using formats::GgmlType;
using formats::TestGguf;

constexpr const char* kLlamaJson =
    R"({"model_type":"llama","hidden_size":8,"intermediate_size":16,"num_hidden_layers":2,)"
    R"("num_attention_heads":2,"num_key_value_heads":1,"vocab_size":10,)"
    R"("max_position_embeddings":64,"tie_word_embeddings":true})";

class CheckpointTest : public FolderTest {
 protected:
  std::filesystem::path write_gguf(const TestGguf& file) const {
    return write("m.gguf", file.build());
  }
  std::string refusal(const std::filesystem::path& path) {
    return error_text([&] { Checkpoint::open(path); });
  }
  std::string folder_refusal(const std::function<void(WantedTensor&)>& change) {
    write_tiny_folder(folder_, tiny_config(Architecture::kLlama), kLlamaJson, 1, change);
    return refusal(folder_);
  }
  std::string gguf_refusal(Architecture architecture,
                           const std::function<void(WantedTensor&)>& change) {
    const ModelConfig config = tiny_config(architecture);
    TestGguf file = tiny_keys(config);
    return refusal(write_gguf(add_tiny_tensors(file, config, change)));
  }
};

TEST_F(CheckpointTest, AGgufModelOfEveryFamilyOpens) {
  for (const Architecture architecture :
       {Architecture::kLlama, Architecture::kQwen2, Architecture::kQwen3, Architecture::kGemma2,
        Architecture::kGemma3}) {
    const ModelConfig config = tiny_config(architecture);
    TestGguf file = tiny_keys(config);
    const auto model = Checkpoint::open(write_gguf(add_tiny_tensors(file, config)));
    EXPECT_EQ(model->config().architecture, architecture);
    EXPECT_TRUE(model->is_gguf());
    EXPECT_NE(model->gguf(), nullptr);
    const auto wanted = wanted_tensors(config);
    EXPECT_EQ(model->tensors().size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      const TensorRef& tensor = model->require(wanted[i].name);
      EXPECT_EQ(tensor.interleaved_rope, architecture == Architecture::kLlama &&
                                             (wanted[i].name.ends_with("attn_q.weight") ||
                                              wanted[i].name.ends_with("attn_k.weight")));
      if (tensor.interleaved_rope) continue;
      EXPECT_EQ(to_float(tensor), tiny_weights(i, tensor.n_weights())) << wanted[i].name;
    }
  }
}

TEST_F(CheckpointTest, LlamaGgufRowsAreUnpermuted) {
  const ModelConfig config = tiny_config(Architecture::kLlama);
  TestGguf file = tiny_keys(config);
  const auto model = Checkpoint::open(write_gguf(add_tiny_tensors(file, config)));
  const TensorRef& k = model->require("blk.1.attn_k.weight");
  std::vector<float> row(8);
  rows_to_float(k, 1, 1, row.data());  // the second of the first half: stored third
  const auto all = tiny_weights(0, 32);
  const auto& wanted = wanted_tensors(config);
  const auto at = std::find_if(wanted.begin(), wanted.end(),
                               [&](const auto& tensor) { return tensor.name == k.name; });
  const auto number = static_cast<float>(at - wanted.begin());
  for (size_t i = 0; i < row.size(); ++i) EXPECT_EQ(row[i], number + all[16 + i]);
}

TEST_F(CheckpointTest, AFolderInOneFileOrSeveralIsTheSameModel) {
  const ModelConfig config = tiny_config(Architecture::kLlama);
  write_tiny_folder(folder_, config, kLlamaJson);
  const auto one = Checkpoint::open(folder_);
  EXPECT_FALSE(one->is_gguf());
  EXPECT_EQ(one->gguf(), nullptr);
  const auto wanted = wanted_tensors(config);
  ASSERT_EQ(one->tensors().size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    const TensorRef& tensor = one->require(wanted[i].name);
    EXPECT_EQ(to_float(tensor), tiny_weights(i, tensor.n_weights())) << wanted[i].name;
  }
  const auto sharded = folder_ / "sharded";
  std::filesystem::create_directory(sharded);
  write_tiny_folder(sharded, config, kLlamaJson, 3);
  EXPECT_EQ(Checkpoint::open(sharded)->fingerprint(), one->fingerprint());
}

TEST_F(CheckpointTest, FoldersThatTransformersWroteOpen) {
  for (const auto& entry : std::filesystem::directory_iterator("tests/golden/models")) {
    if (!std::filesystem::exists(entry.path() / "config.json")) continue;
    const auto model = Checkpoint::open(entry.path());
    EXPECT_EQ(model->config().n_embd, model->require("output_norm.weight").cols) << entry.path();
  }
}

TEST_F(CheckpointTest, AnUntiedOutputIsWanted) {
  ModelConfig config = tiny_config(Architecture::kLlama);
  std::string json = kLlamaJson;
  json.replace(json.find("true"), 4, "false");
  write_tiny_folder(folder_, config, json);
  EXPECT_HAS(refusal(folder_), "tensor lm_head.weight is missing");
  config.tied_embeddings = false;
  write_tiny_folder(folder_, config, json);
  EXPECT_EQ(Checkpoint::open(folder_)->require("output.weight").rows, 10);
}

TEST_F(CheckpointTest, MissingAndMisshapenTensorsAreNamed) {
  EXPECT_HAS(folder_refusal([](auto& tensor) {
               if (tensor.name == "model.layers.1.mlp.up_proj.weight") tensor.name.clear();
             }),
             "tensor model.layers.1.mlp.up_proj.weight is missing");
  EXPECT_HAS(folder_refusal([](auto& tensor) {
               if (tensor.name == "model.layers.1.mlp.up_proj.weight") tensor.shape = {8, 16};
             }),
             "tensor model.layers.1.mlp.up_proj.weight is [8, 16], want [16, 8]");
  EXPECT_HAS(gguf_refusal(Architecture::kQwen3,
                          [](auto& tensor) {
                            if (tensor.name == "blk.0.attn_k_norm.weight") tensor.name = "other";
                          }),
             "m.gguf: tensor blk.0.attn_k_norm.weight is missing");
  EXPECT_HAS(gguf_refusal(Architecture::kGemma2,
                          [](auto& tensor) {
                            if (tensor.name == "blk.1.ffn_norm.weight") tensor.shape = {1, 8};
                          }),
             "m.gguf: tensor blk.1.ffn_norm.weight is [1, 8], want [8]");
}

TEST_F(CheckpointTest, TensorsWithoutAPlaceAreRefused) {
  const ModelConfig config = tiny_config(Architecture::kQwen2);
  TestGguf file = tiny_keys(config);
  add_tiny_tensors(file, config)
      .tensor("blk.0.attn_output.bias", GgmlType::kF32, {8}, std::string(32, '\0'));
  EXPECT_HAS(refusal(write_gguf(file)),
             "has tensor blk.0.attn_output.bias, which is not supported in qwen2 models");
}

TEST_F(CheckpointTest, UnsupportedTypesAreRefusedByName) {
  const ModelConfig config = tiny_config(Architecture::kLlama);
  TestGguf file = tiny_keys(config);
  add_tiny_tensors(file, config, [](auto& tensor) {
    if (tensor.name == "output_norm.weight") tensor.name.clear();
  }).tensor("output_norm.weight", static_cast<GgmlType>(27), {8}, std::string(64, '\0'));
  EXPECT_HAS(refusal(write_gguf(file)),
             "tensor output_norm.weight has quantisation I64, which is not supported; supported "
             "are F32, F16, Q4_0");
  std::vector<formats::NamedTensor> tensors{
      {"model.embed_tokens.weight", formats::Dtype::kI8, {0, 8}, {}}};
  write_file(folder_ / "config.json", kLlamaJson);
  formats::write_safetensors(folder_ / "model.safetensors", tensors);
  EXPECT_HAS(refusal(folder_), "tensor model.embed_tokens.weight is stored as I8; weights are");
}

TEST_F(CheckpointTest, WrongFoldersAreRefused) {
  EXPECT_HAS(refusal(folder_), "has no config.json; want a .gguf file or a Hugging Face folder");
  write("config.json", kLlamaJson);
  EXPECT_HAS(refusal(folder_), "has neither model.safetensors nor model.safetensors.index.json");
  EXPECT_HAS(refusal(folder_ / "config.json"), "config.json: is not a GGUF file");
  EXPECT_HAS(refusal(folder_ / "nothing"), "cannot read");
  const auto index = [&](const std::string& json) {
    write("model.safetensors.index.json", json);
    return refusal(folder_);
  };
  EXPECT_HAS(index("{"), "model.safetensors.index.json: is no JSON object with a \"weight_map\"");
  EXPECT_HAS(index("{}"), "is no JSON object with a \"weight_map\"");
  EXPECT_HAS(index(R"({"weight_map":{"a":1}})"), "tensor \"a\" has no file name");
  EXPECT_HAS(index(R"({"weight_map":{"a":"../m.safetensors"}})"),
             "tensor \"a\" is said to be in \"../m.safetensors\", which is no safetensors file of");
  EXPECT_HAS(index(R"({"weight_map":{"a":"m.safetensors"}})"), "cannot read");
}

TEST_F(CheckpointTest, ATensorInTwoFilesIsRefused) {
  const ModelConfig config = tiny_config(Architecture::kLlama);
  write_tiny_folder(folder_, config, kLlamaJson, 2);
  std::filesystem::copy_file(folder_ / "model-0.safetensors", folder_ / "model-1.safetensors",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_HAS(refusal(folder_), "model-1.safetensors: tensor \"model.");
  EXPECT_HAS(refusal(folder_), "is also in another file of the folder");
}

TEST_F(CheckpointTest, ASplitGgufModelOpensByItsFirstPart) {
  const ModelConfig config = tiny_config(Architecture::kLlama);
  TestGguf first = tiny_keys(config), second;
  for (TestGguf* part : {&first, &second}) {
    part->value("split.count", TestGguf::kU16, TestGguf::raw<uint16_t>(2));
    part->value("split.no", TestGguf::kU16, TestGguf::raw<uint16_t>(part == &second));
  }
  add_tiny_tensors(first, config, [](auto& t) {
    if (t.name.starts_with("blk.1")) t.name.clear();
  });
  add_tiny_tensors(second, config, [](auto& t) {
    if (!t.name.starts_with("blk.1")) t.name.clear();
  });
  const auto path = write("m-00001-of-00002.gguf", first.build());
  EXPECT_HAS(refusal(path), "m-00002-of-00002.gguf");
  const auto other = write("m-00002-of-00002.gguf", second.build());
  const auto model = Checkpoint::open(path);
  TestGguf whole = tiny_keys(config);
  const auto same = Checkpoint::open(write_gguf(add_tiny_tensors(whole, config)));
  EXPECT_EQ(model->fingerprint(), same->fingerprint());
  EXPECT_HAS(refusal(other),
             "is a part of a split model; open the first, whose name ends in "
             "-00001-of-00002.gguf");
}

TEST_F(CheckpointTest, TheFingerprintSeesWeightsAndConfigurationButNotTheName) {
  const ModelConfig config = tiny_config(Architecture::kLlama);
  const auto fingerprint = [&](const std::string& json, size_t weight) {
    write_tiny_folder(folder_, config, json);
    std::string bytes = read_file(folder_ / "model.safetensors");
    bytes[bytes.size() - 1 - weight] ^= 1;
    write("model.safetensors", bytes);
    return Checkpoint::open(folder_)->fingerprint();
  };
  const std::string base = fingerprint(kLlamaJson, 0);
  EXPECT_EQ(base.size(), 16u);
  EXPECT_EQ(base, fingerprint(kLlamaJson, 0));
  EXPECT_NE(base, fingerprint(kLlamaJson, 4));
  std::string json = kLlamaJson;
  EXPECT_NE(base, fingerprint(json.replace(json.find("64"), 2, "65"), 0));
  std::string named = kLlamaJson;
  EXPECT_EQ(base, fingerprint(named.insert(1, "\"_name_or_path\":\"other\","), 0));
}

TEST(RealModels, SmolLm2Opens) {
  const std::filesystem::path path = "models/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << path;
  const auto model = Checkpoint::open(path);
  EXPECT_EQ(model->n_weights(), 134515008);
  EXPECT_EQ(model->config().rope_theta, 100000);
  EXPECT_TRUE(model->config().tied_embeddings);
  EXPECT_TRUE(model->require("blk.29.attn_k.weight").interleaved_rope);
  EXPECT_EQ(model->describe(),
            "Smollm2 135M 8k Lc100K Mix1 Ep2 (llama): 134 M weights in 96 MB (F32, Q4_1, Q8_0), 30 "
            "layers, width 576, 9 heads of 64, 3 KV heads, feed-forward 1536, vocabulary 49152, "
            "context 8192");
  EXPECT_EQ(model->fingerprint(), Checkpoint::open(path)->fingerprint());
  model->release_pages();
}

TEST(RealModels, Gemma3Opens) {
  const std::filesystem::path path = "models/gemma-3-270m.Q4_K_M.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << path;
  const auto model = Checkpoint::open(path);
  EXPECT_EQ(model->n_weights(), 268098176);
  const ModelConfig& config = model->config();
  EXPECT_EQ(config.sliding_window[4], 512);
  EXPECT_EQ(config.sliding_window[5], 0);
  EXPECT_EQ(config.attention_scale, 1 / 16.0);
  EXPECT_FALSE(config.norm_weight_is_offset);
  EXPECT_FALSE(model->require("blk.0.attn_q.weight").interleaved_rope);
}

}  // namespace
}  // namespace dsrasq::checkpoint
