#include "dsrasq/checkpoint/gguf_config.h"

#include <cmath>

#include "dsrasq/checkpoint/gguf_parts.h"
#include "dsrasq/checkpoint/test_model.h"
#include "dsrasq/formats/test_folder.h"

namespace dsrasq::checkpoint {
namespace {

using formats::GgmlType;
using formats::TestGguf;

class GgufConfigTest : public FolderTest {
 protected:
  ModelConfig read(const TestGguf& file) {
    return read_gguf_config(GgufParts(write("m.gguf", file.build())));
  }
  std::string refusal(const TestGguf& file) {
    const std::string text = error_text([&] { read(file); });
    EXPECT_HAS(text, "m.gguf: ");
    return text;
  }
  /// The keys of a tiny model with its embeddings.
  static TestGguf keys(Architecture architecture, int64_t n_layers = 2) {
    ModelConfig config = tiny_config(architecture);
    config.n_layers = n_layers;
    TestGguf file = tiny_keys(config);
    return file.tensor("token_embd.weight", GgmlType::kF32, {10, 8}, std::string(320, '\0'));
  }
};

TEST_F(GgufConfigTest, LlamaHasTheFamilysDefaults) {
  const ModelConfig config = read(keys(Architecture::kLlama));
  EXPECT_EQ(config.architecture, Architecture::kLlama);
  EXPECT_EQ(config.name, "Tiny");
  EXPECT_EQ(config.n_layers, 2);
  EXPECT_EQ(config.n_embd, 8);
  EXPECT_EQ(config.n_ff, 16);
  EXPECT_EQ(config.n_heads, 2);
  EXPECT_EQ(config.n_kv_heads, 1);
  EXPECT_EQ(config.n_rep(), 2);
  EXPECT_EQ(config.head_dim, 4);
  EXPECT_EQ(config.vocab_size, 10);
  EXPECT_EQ(config.context_length, 64);
  EXPECT_FLOAT_EQ(static_cast<float>(config.rms_norm_eps), 1e-5f);
  EXPECT_EQ(config.rope_theta, 10000);
  EXPECT_EQ(config.attention_scale, 0.5);
  EXPECT_EQ(config.embedding_scale, 1);
  EXPECT_EQ(config.sliding_window, (std::vector<int64_t>{0, 0}));
  EXPECT_TRUE(config.tied_embeddings);
  EXPECT_FALSE(config.norm_weight_is_offset);
  EXPECT_FALSE(config.has_qkv_bias);
  EXPECT_EQ(config.activation, Activation::kSilu);
}

TEST_F(GgufConfigTest, KvHeadsDefaultToHeads) {
  TestGguf file;
  file.set("general.architecture", "llama").set("llama.block_count", 1u);
  file.set("llama.embedding_length", 8u).set("llama.feed_forward_length", 16u);
  file.set("llama.attention.head_count", 2u).set("llama.context_length", 64u);
  file.tensor("token_embd.weight", GgmlType::kF32, {10, 8}, std::string(320, '\0'));
  file.tensor("output.weight", GgmlType::kF32, {10, 8}, std::string(320, '\0'));
  const ModelConfig config = read(file);
  EXPECT_EQ(config.n_kv_heads, 2);
  EXPECT_FALSE(config.tied_embeddings);
}

TEST_F(GgufConfigTest, QwenHasItsBiasAndNorms) {
  EXPECT_TRUE(read(keys(Architecture::kQwen2)).has_qkv_bias);
  EXPECT_FALSE(read(keys(Architecture::kQwen2)).has_qk_norm);
  EXPECT_FALSE(read(keys(Architecture::kQwen3)).has_qkv_bias);
  EXPECT_TRUE(read(keys(Architecture::kQwen3)).has_qk_norm);
  TestGguf file = keys(Architecture::kQwen2);
  file.set("qwen2.attention.sliding_window", 32u);
  EXPECT_EQ(read(file).sliding_window, (std::vector<int64_t>{0, 0}));
}

TEST_F(GgufConfigTest, Gemma2AlternatesAndCapsItsLogits) {
  const ModelConfig config = read(keys(Architecture::kGemma2, 4));
  EXPECT_EQ(config.sliding_window, (std::vector<int64_t>{4096, 0, 4096, 0}));
  EXPECT_EQ(config.attention_logit_softcap, 50);
  EXPECT_EQ(config.final_logit_softcap, 30);
  EXPECT_DOUBLE_EQ(config.embedding_scale, std::sqrt(8.0));
  EXPECT_EQ(config.activation, Activation::kGeluTanh);
  EXPECT_TRUE(config.has_post_norms);
  EXPECT_FALSE(config.has_qk_norm);
  EXPECT_EQ(config.rope_local_theta, 10000);
}

TEST_F(GgufConfigTest, Gemma3HasFiveSlidingLayersToOneFull) {
  const ModelConfig config = read(keys(Architecture::kGemma3, 7));
  EXPECT_EQ(config.sliding_window, (std::vector<int64_t>{16, 16, 16, 16, 16, 0, 16}));
  EXPECT_EQ(config.rope_theta, 1e6);
  EXPECT_EQ(config.rope_local_theta, 1e4);
  EXPECT_EQ(config.attention_logit_softcap, 0);
  EXPECT_TRUE(config.has_qk_norm);
  TestGguf other = keys(Architecture::kGemma3, 3);
  other.set("gemma3.attention.sliding_window_pattern", 2u);
  EXPECT_EQ(read(other).sliding_window, (std::vector<int64_t>{16, 0, 16}));
  TestGguf flags = keys(Architecture::kGemma3, 3);
  flags.array("gemma3.attention.sliding_window_pattern", TestGguf::kBool, 3,
              std::string("\0\1\1", 3));
  EXPECT_EQ(read(flags).sliding_window, (std::vector<int64_t>{0, 16, 16}));
}

TEST_F(GgufConfigTest, GemmaOf27BScalesByItsWidth) {
  TestGguf small = keys(Architecture::kGemma3, 34), large = keys(Architecture::kGemma3, 62);
  EXPECT_DOUBLE_EQ(
      read(small.set("gemma3.attention.key_length", 2u).set("gemma3.attention.value_length", 2u))
          .attention_scale,
      1 / std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(
      read(large.set("gemma3.attention.key_length", 2u).set("gemma3.attention.value_length", 2u))
          .attention_scale,
      0.5);
}

TEST_F(GgufConfigTest, RopeScalingIsRead) {
  TestGguf linear = keys(Architecture::kGemma3);
  linear.set("gemma3.rope.scaling.type", "linear").set("gemma3.rope.scaling.factor", 8.0f);
  const ModelConfig gemma = read(linear);
  EXPECT_EQ(gemma.rope_scaling.kind, RopeScaling::Kind::kLinear);
  EXPECT_DOUBLE_EQ(rope_table(gemma, false).inverse_frequencies[1], 1 / 1000.0 / 8);
  EXPECT_DOUBLE_EQ(rope_table(gemma, true).inverse_frequencies[1], 1 / 100.0);
  TestGguf yarn = keys(Architecture::kQwen3);
  yarn.set("qwen3.rope.scaling.type", "yarn").set("qwen3.rope.scaling.factor", 4.0f);
  yarn.set("qwen3.rope.scaling.original_context_length", 16u);
  const ModelConfig qwen = read(yarn);
  EXPECT_EQ(qwen.rope_scaling.kind, RopeScaling::Kind::kYarn);
  EXPECT_EQ(qwen.rope_scaling.original_context, 16);
  EXPECT_NEAR(qwen.rope_scaling.attention_factor, 1 + 0.1 * std::log(4), 1e-12);
  TestGguf llama_3 = keys(Architecture::kLlama);
  const float divisors[] = {1, 8};
  llama_3.tensor("rope_freqs.weight", GgmlType::kF32, {2},
                 {reinterpret_cast<const char*>(divisors), sizeof(divisors)});
  EXPECT_DOUBLE_EQ(rope_table(read(llama_3), false).inverse_frequencies[1], 1 / 100.0 / 8);
}

TEST_F(GgufConfigTest, WhatIsNotSupportedIsRefusedByName) {
  EXPECT_HAS(refusal(TestGguf()), "has no key general.architecture");
  EXPECT_HAS(refusal(TestGguf().set("general.architecture", "mamba")),
             "architecture \"mamba\" is not supported; supported are llama, qwen2, qwen3, gemma2, "
             "gemma3");
  const auto with = [&](const char* key, auto value) {
    return refusal(keys(Architecture::kLlama).set(key, value));
  };
  EXPECT_HAS(with("llama.expert_count", 8u), "is a mixture of experts, which is not supported");
  EXPECT_HAS(with("llama.attention.value_length", 2u), "has values of size 2 and keys of size 4");
  EXPECT_HAS(with("llama.rope.dimension_count", 2u), "rotates 2 of 4 dimensions");
  EXPECT_HAS(with("llama.rope.scaling.type", "longrope"), "RoPE scaling \"longrope\" is not");
  EXPECT_HAS(refusal(TestGguf().set("general.architecture", "llama")),
             "has no key llama.block_count");
}

TEST_F(GgufConfigTest, AbsurdValuesAreRefused) {
  const auto broken = [&](const char* what, auto change) {
    ModelConfig config = tiny_config(Architecture::kLlama);
    change(config);
    TestGguf file = tiny_keys(config);
    file.tensor("token_embd.weight", GgmlType::kF32, {10, 8}, std::string(320, '\0'));
    EXPECT_HAS(refusal(file), what);
  };
  broken("has a layer count of 0, want 1 to 1000", [](auto& c) { c.n_layers = 0; });
  broken("has a layer count of 1001, want 1 to", [](auto& c) { c.n_layers = 1001; });
  broken("key llama.block_count is 4294967295, which no model has",
         [](auto& c) { c.n_layers = -1; });
  broken("has a width of 2000000", [](auto& c) { c.n_embd = 2000000; });
  broken("has a head count of 0", [](auto& c) { c.n_heads = 0; });
  broken("has a KV head count of 0", [](auto& c) { c.n_kv_heads = 0; });
  broken("has 2 heads, which is no multiple of its 3 KV heads", [](auto& c) { c.n_kv_heads = 3; });
  broken("has a head size of 3, want an even one", [](auto& c) { c.n_embd = 6; });
  broken("has a head size of 1024, want 1 to 512", [](auto& c) { c.n_embd = 2048; });
  broken("has a context length of 0", [](auto& c) { c.context_length = 0; });
  const auto with = [&](const char* key, auto value) {
    return refusal(keys(Architecture::kLlama).set(key, value));
  };
  EXPECT_HAS(with("llama.rope.freq_base", 0.0f), "has a RoPE base of 0, want 1.001 to");
  EXPECT_HAS(with("llama.rope.freq_base", std::nanf("")), "has a RoPE base of nan");
  EXPECT_HAS(with("llama.rope.freq_base", 7u), "key \"llama.rope.freq_base\" is a u32, want a");
  TestGguf uneven = keys(Architecture::kLlama);
  uneven.array("llama.expert_count", TestGguf::kU32, 2, TestGguf::raw(1u) + TestGguf::raw(2u));
  EXPECT_HAS(refusal(uneven), "key llama.expert_count differs between layers");
}

}  // namespace
}  // namespace dsrasq::checkpoint
