#include "dsrasq/checkpoint/hf_config.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "dsrasq/checkpoint/model_config.h"
#include "dsrasq/formats/test_folder.h"

namespace dsrasq::checkpoint {
namespace {

using nlohmann::json;

class HuggingFaceConfigTest : public FolderTest {
 protected:
  ModelConfig read(const json& config, bool has_output = false) {
    return read_hugging_face_config(write("config.json", config.dump()), has_output);
  }
  std::string refusal(const json& config) {
    const std::string text = error_text([&] { read(config); });
    EXPECT_HAS(text, "config.json: ");
    return text;
  }
  static json llama() {
    return {{"model_type", "llama"},    {"hidden_size", 64},
            {"intermediate_size", 128}, {"num_hidden_layers", 4},
            {"num_attention_heads", 8}, {"num_key_value_heads", 2},
            {"vocab_size", 100},        {"max_position_embeddings", 8192}};
  }
  std::string refusal_with(const char* key, const json& value) {
    json config = llama();
    config[key] = value;
    return refusal(config);
  }
};

// The golden file: tools/make_golden_formats.py.
TEST_F(HuggingFaceConfigTest, RopeAndWindowsAreThoseOfTransformers) {
  const json golden = json::parse(read_file("tests/golden/hf_configs.json"));
  ASSERT_EQ(golden.size(), 10u);
  for (const auto& [name, entry] : golden.items()) {
    const ModelConfig config = read(entry["config"]);
    EXPECT_EQ(json(config.sliding_window), entry["windows"]) << name;
    for (const bool is_sliding : {false, true}) {
      const std::string kind = is_sliding ? "sliding" : "full";
      const RopeTable table = rope_table(config, is_sliding);
      EXPECT_DOUBLE_EQ(table.attention_factor, entry[kind + "_factor"]) << name << ' ' << kind;
      const auto want = entry[kind + "_frequencies"].get<std::vector<double>>();
      ASSERT_EQ(table.inverse_frequencies.size(), want.size()) << name;
      for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_NEAR(table.inverse_frequencies[i] / want[i], 1, 1e-6) << name << ' ' << kind << i;
      }
    }
  }
}

TEST_F(HuggingFaceConfigTest, TheFamiliesDiffer) {
  const json golden = json::parse(read_file("tests/golden/hf_configs.json"));
  const auto config = [&](const char* name) { return read(golden[name]["config"]); };
  EXPECT_TRUE(config("llama").tied_embeddings);
  EXPECT_EQ(config("llama").rms_norm_eps, 1e-5);
  EXPECT_FALSE(config("llama3").tied_embeddings);
  EXPECT_EQ(config("llama3").attention_scale, 0.25);
  EXPECT_EQ(config("mistral").architecture, Architecture::kMistral);
  EXPECT_TRUE(config("qwen2").has_qkv_bias);
  EXPECT_TRUE(config("qwen3_yarn").has_qk_norm);
  EXPECT_DOUBLE_EQ(config("gemma2").attention_scale, 1 / 12.0);
  EXPECT_EQ(config("gemma2").attention_logit_softcap, 50);
  EXPECT_EQ(config("gemma2").final_logit_softcap, 30);
  EXPECT_EQ(config("gemma3").attention_logit_softcap, 0);
  EXPECT_EQ(config("gemma3").final_logit_softcap, 0);
  EXPECT_TRUE(config("gemma3").norm_weight_is_offset);
  EXPECT_DOUBLE_EQ(config("gemma3").embedding_scale, std::sqrt(96.0));
  EXPECT_FALSE(config("llama").norm_weight_is_offset);
}

TEST_F(HuggingFaceConfigTest, FoldersOfTransformers4AreRead) {
  json config = llama();
  config["rope_theta"] = 500000;
  config["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", 8.0},
                            {"low_freq_factor", 1.0},
                            {"high_freq_factor", 4.0},
                            {"original_max_position_embeddings", 8192}};
  const ModelConfig read_config = read(config, true);
  EXPECT_EQ(read_config.rope_theta, 500000);
  EXPECT_EQ(read_config.rope_scaling.kind, RopeScaling::Kind::kLlama3);
  EXPECT_FALSE(read_config.tied_embeddings);
  EXPECT_TRUE(read(config, false).tied_embeddings);

  json old = llama();
  old["rope_scaling"] = {{"type", "linear"}, {"factor", 2}};
  EXPECT_EQ(read(old).rope_scaling.kind, RopeScaling::Kind::kLinear);
}

TEST_F(HuggingFaceConfigTest, Gemma3OfTransformers4IsRead) {
  json config = llama();
  config["model_type"] = "gemma3_text";
  config["rope_theta"] = 1000000;
  config["rope_local_base_freq"] = 20000;
  config["sliding_window"] = 512;
  config["sliding_window_pattern"] = 3;
  config["head_dim"] = nullptr;
  const ModelConfig read_config = read(config);
  EXPECT_EQ(read_config.rope_local_theta, 20000);
  EXPECT_EQ(read_config.sliding_window, (std::vector<int64_t>{512, 512, 0, 512}));
  EXPECT_EQ(read_config.head_dim, 256);
}

TEST_F(HuggingFaceConfigTest, Gemma3ThatAlsoReadsImagesIsReadByItsTextPart) {
  const json config{{"model_type", "gemma3"},
                    {"text_config",
                     {{"model_type", "gemma3_text"},
                      {"hidden_size", 2560},
                      {"intermediate_size", 10240},
                      {"num_hidden_layers", 34},
                      {"rope_scaling", {{"factor", 8.0}, {"rope_type", "linear"}}},
                      {"sliding_window", 1024}}}};
  const ModelConfig read_config = read(config);
  EXPECT_EQ(read_config.n_heads, 8);
  EXPECT_EQ(read_config.n_kv_heads, 4);
  EXPECT_EQ(read_config.vocab_size, 262208);
  EXPECT_EQ(read_config.rope_theta, 1e6);
  EXPECT_EQ(read_config.rope_scaling.factor, 8);
  EXPECT_EQ(read_config.sliding_window[5], 0);
  EXPECT_EQ(read_config.sliding_window[4], 1024);
}

TEST_F(HuggingFaceConfigTest, WhatIsNotSupportedIsRefusedByName) {
  EXPECT_HAS(refusal_with("model_type", "gpt2"),
             "model_type \"gpt2\" is not supported; supported are llama, mistral, qwen2, qwen3, "
             "gemma2, gemma3_text, gemma3");
  EXPECT_HAS(refusal_with("quantization_config", {{"quant_method", "gptq"}}),
             "is quantised (\"gptq\"); Hugging Face folders are read in F32, F16 and BF16");
  EXPECT_HAS(refusal_with("attention_bias", true), "\"attention_bias\" is not supported");
  EXPECT_HAS(refusal_with("mlp_bias", true), "\"mlp_bias\" is not supported");
  EXPECT_HAS(refusal_with("hidden_act", "gelu"),
             "\"hidden_act\" \"gelu\" is not supported, want \"silu\"");
  EXPECT_HAS(
      refusal_with("rope_scaling", {{"rope_type", "longrope"}, {"factor", 2}}),
      "RoPE of type \"longrope\" is not supported; supported are default, linear, llama3, yarn");
  EXPECT_HAS(refusal_with("partial_rotary_factor", 0.5), "\"partial_rotary_factor\" is not");
  json config = llama();
  config["model_type"] = "mistral";
  config["layer_types"] = {"linear_attention", "full_attention", "full_attention",
                           "full_attention"};
  EXPECT_HAS(refusal(config), "\"layer_types\" of layer 0 is neither \"full_attention\" nor");
  config["layer_types"] = {"full_attention"};
  EXPECT_HAS(refusal(config), "\"layer_types\" is no list of 4 layers");
}

TEST_F(HuggingFaceConfigTest, WrongTypesAndAbsurdValuesAreRefused) {
  EXPECT_HAS(refusal_with("hidden_size", "64"), "\"hidden_size\" is no integer");
  EXPECT_HAS(refusal_with("hidden_size", 64.5), "\"hidden_size\" is no integer");
  EXPECT_HAS(refusal_with("hidden_size", nullptr), "has no \"hidden_size\"");
  EXPECT_HAS(refusal_with("hidden_size", 1ull << 60), "which no model has");
  EXPECT_HAS(refusal_with("num_attention_heads", 0), "\"num_attention_heads\" is 0");
  EXPECT_HAS(refusal_with("num_hidden_layers", -1), "has a layer count of -1, want 1 to 1000");
  EXPECT_HAS(refusal_with("rms_norm_eps", "x"), "\"rms_norm_eps\" is no number");
  EXPECT_HAS(refusal_with("rms_norm_eps", -1), "has an RMS norm epsilon of -1, want 0 to 1");
  EXPECT_HAS(refusal_with("tie_word_embeddings", 1), "\"tie_word_embeddings\" is neither true nor");
  EXPECT_HAS(refusal_with("rope_scaling", "x"), "\"rope_scaling\" is no object");
  EXPECT_HAS(refusal_with("rope_scaling", {{"type", "linear"}}), "\"linear\" has no \"factor\"");
  EXPECT_HAS(refusal_with("rope_scaling", {{"type", "linear"}, {"factor", 0}}),
             "has a RoPE scaling factor of 0");
  EXPECT_HAS(
      refusal_with("rope_scaling", {{"type", "llama3"}, {"factor", 8}, {"high_freq_factor", 1}}),
      "has a RoPE high_freq_factor of 1, want more than the low_freq_factor of 1");
  EXPECT_HAS(error_text([&] { read_hugging_face_config(write("config.json", "{"), true); }),
             "config.json: is no JSON object");
  EXPECT_HAS(error_text([&] { read_hugging_face_config(write("config.json", "[1]"), true); }),
             "config.json: is no JSON object");
}

}  // namespace
}  // namespace dsrasq::checkpoint
