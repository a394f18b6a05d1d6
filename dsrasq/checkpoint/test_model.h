#pragma once

// Tiny models on disk, for tests: every weight has a value of its own.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "dsrasq/checkpoint/model_config.h"
#include "dsrasq/checkpoint/tensor_names.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/formats/safetensors.h"
#include "dsrasq/formats/test_gguf.h"

namespace dsrasq::checkpoint {

/// 2 layers, E 8, F 16, H 2, Hkv 1, D 4, 10 tokens.
inline ModelConfig tiny_config(Architecture architecture) {
  ModelConfig config = family_config(architecture);
  config.n_layers = 2;
  config.n_embd = 8;
  config.n_ff = 16;
  config.n_heads = 2;
  config.n_kv_heads = 1;
  config.head_dim = 4;
  config.vocab_size = 10;
  config.context_length = 64;
  config.tied_embeddings = true;
  return config;
}

inline int64_t n_weights_of(const WantedTensor& tensor) {
  int64_t n = 1;
  for (const int64_t dim : tensor.shape) n *= dim;
  return n;
}

/// Weight i of tensor number t is t + i / 1024.
inline std::vector<float> tiny_weights(size_t tensor, int64_t n) {
  std::vector<float> weights;
  for (int64_t i = 0; i < n; ++i) {
    weights.push_back(static_cast<float>(tensor) + static_cast<float>(i) / 1024.0f);
  }
  return weights;
}

inline std::string bytes_of(const std::vector<float>& weights) {
  return {reinterpret_cast<const char*>(weights.data()), weights.size() * sizeof(float)};
}

/// The keys of a GGUF file of that model; tensors come with `add_tiny_tensors`.
inline formats::TestGguf tiny_keys(const ModelConfig& config) {
  const std::string name = architecture_name(config.architecture);
  const auto size = [](int64_t value) { return static_cast<uint32_t>(value); };
  formats::TestGguf file;
  file.set("general.architecture", name.c_str()).set("general.name", "Tiny");
  file.set(name + ".block_count", size(config.n_layers));
  file.set(name + ".embedding_length", size(config.n_embd));
  file.set(name + ".feed_forward_length", size(config.n_ff));
  file.set(name + ".attention.head_count", size(config.n_heads));
  file.set(name + ".attention.head_count_kv", size(config.n_kv_heads));
  file.set(name + ".attention.layer_norm_rms_epsilon", 1e-5f);
  file.set(name + ".context_length", size(config.context_length));
  if (config.architecture == Architecture::kGemma3) {
    file.set(name + ".attention.sliding_window", 16u);
  }
  return file;
}

/// `change` may rename, reshape or (name empty) drop a tensor.
inline formats::TestGguf& add_tiny_tensors(
    formats::TestGguf& file, const ModelConfig& config,
    const std::function<void(WantedTensor&)>& change = [](WantedTensor&) {}) {
  auto wanted = wanted_tensors(config);
  for (size_t i = 0; i < wanted.size(); ++i) {
    change(wanted[i]);
    if (wanted[i].name.empty()) continue;
    file.tensor(wanted[i].name, formats::GgmlType::kF32, wanted[i].shape,
                bytes_of(tiny_weights(i, n_weights_of(wanted[i]))));
  }
  return file;
}

/// The same as a Hugging Face folder in `n_files` files.
inline void write_tiny_folder(
    const std::filesystem::path& folder, const ModelConfig& config, const std::string& json,
    size_t n_files = 1, const std::function<void(WantedTensor&)>& change = [](WantedTensor&) {}) {
  write_file(folder / "config.json", json);
  auto wanted = wanted_tensors(config);
  std::vector<std::string> bytes(wanted.size());
  std::vector<std::vector<formats::NamedTensor>> files(n_files);
  for (size_t i = 0; i < wanted.size(); ++i) {
    wanted[i].name = hugging_face_name(wanted[i].name, config.architecture, "model.");
    change(wanted[i]);
    if (wanted[i].name.empty()) continue;
    bytes[i] = bytes_of(tiny_weights(i, n_weights_of(wanted[i])));
    files[i % n_files].push_back({wanted[i].name, formats::Dtype::kF32, wanted[i].shape,
                                  std::as_bytes(std::span(bytes[i].data(), bytes[i].size()))});
  }
  std::string map;
  for (size_t f = 0; f < n_files; ++f) {
    const std::string name =
        n_files == 1 ? "model.safetensors" : concat("model-", f, ".safetensors");
    formats::write_safetensors(folder / name, files[f]);
    for (const auto& tensor : files[f]) {
      map += concat(map.empty() ? "" : ",", '"', tensor.name, "\":\"", name, '"');
    }
  }
  if (n_files > 1) {
    write_file(folder / "model.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
  }
}

}  // namespace dsrasq::checkpoint
