#pragma once

// A pre-trained model on disk, whatever its format: its configuration and its weights under one set
// of names, memory-mapped.

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/checkpoint/model_config.h"
#include "dsrasq/checkpoint/tensor_ref.h"

namespace dsrasq::formats {
class GgufFile;
}  // namespace dsrasq::formats

namespace dsrasq::checkpoint {

class GgufParts;
class HuggingFaceFolder;
struct WantedTensor;

/// An open model. Every tensor that the configuration asks for is there and has the right shape and
/// a supported type. Const calls may run on several threads.
///
/// Names are those of GGUF: token_embd.weight, output_norm.weight, output.weight (unless tied), and
/// of each layer N `blk.N.` + attn_norm, attn_q, attn_k, attn_v, attn_output, attn_q_norm,
/// attn_k_norm, post_attention_norm, ffn_norm, ffn_gate, ffn_up, ffn_down, post_ffw_norm +
/// `.weight`, and attn_q, attn_k, attn_v + `.bias`.
class Checkpoint {
 public:
  /// A .gguf file (of a split model: its first part), or a Hugging Face folder with config.json and
  /// model.safetensors or model.safetensors.index.json. Throws kBadInput naming the file and the
  /// key or tensor that is missing, wrong or not supported.
  static std::unique_ptr<Checkpoint> open(const std::filesystem::path& path);
  ~Checkpoint();
  Checkpoint(const Checkpoint&) = delete;
  Checkpoint& operator=(const Checkpoint&) = delete;

  const std::filesystem::path& path() const { return path_; }
  bool is_gguf() const { return gguf_ != nullptr; }
  /// The open GGUF file (the tokenizer is in it too); null for a Hugging Face folder.
  const formats::GgufFile* gguf() const;

  const ModelConfig& config() const { return config_; }
  /// Null when there is none of that name. Lives as long as the checkpoint.
  const TensorRef* find(std::string_view name) const;
  /// Throws kBadInput naming the file and the tensor when there is none of that name.
  const TensorRef& require(std::string_view name) const;
  /// The weights in use, sorted by name.
  std::vector<const TensorRef*> tensors() const;
  int64_t n_weights() const;
  int64_t size_bytes() const;

  /// 16 hex digits that tell this model from another: of the configuration (not the model's name),
  /// of every tensor's name, type and shape, and of samples of its bytes.
  std::string fingerprint() const;
  /// One line for people: name, family, sizes, types.
  std::string describe() const;

  /// Lets the kernel take back the pages read so far.
  void release_pages() const;

 private:
  struct Stored;

  Checkpoint();
  std::optional<Stored> locate(const std::string& name) const;
  void add(const WantedTensor& wanted);

  std::filesystem::path path_;
  std::unique_ptr<GgufParts> gguf_;  // one of these two
  std::unique_ptr<HuggingFaceFolder> folder_;
  ModelConfig config_;
  std::map<std::string, TensorRef, std::less<>> tensors_;
};

}  // namespace dsrasq::checkpoint
