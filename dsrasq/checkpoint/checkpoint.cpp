#include "dsrasq/checkpoint/checkpoint.h"

#include <algorithm>
#include <set>

#include "dsrasq/checkpoint/gguf_config.h"
#include "dsrasq/checkpoint/gguf_parts.h"
#include "dsrasq/checkpoint/hf_config.h"
#include "dsrasq/checkpoint/hf_folder.h"
#include "dsrasq/checkpoint/tensor_names.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/hash.h"

namespace dsrasq::checkpoint {
namespace {

constexpr const char* kInCheckpoint = "checkpoint";

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t dim : shape) text += concat(text.size() > 1 ? ", " : "", dim);
  return text + "]";
}

/// The storage types of safetensors that ggml has too.
std::optional<formats::GgmlType> ggml_type_of(formats::Dtype dtype) {
  switch (dtype) {
    case formats::Dtype::kF32: return formats::GgmlType::kF32;
    case formats::Dtype::kF16: return formats::GgmlType::kF16;
    case formats::Dtype::kBF16: return formats::GgmlType::kBF16;
    default: return std::nullopt;
  }
}

/// q and k of llama models, which GGUF files store in the converter's order.
bool is_reordered(std::string_view name) {
  return name.find(".attn_q.") != name.npos || name.find(".attn_k.") != name.npos;
}

/// The first and last 1,024 bytes and four stretches of 256 between them.
void add_samples(Fingerprint& fingerprint, std::span<const std::byte> bytes) {
  constexpr size_t kEnd = 1024, kSample = 256, kSamples = 4;
  if (bytes.size() <= 2 * kEnd + kSamples * kSample) return fingerprint.add(bytes);
  fingerprint.add(bytes.first(kEnd));
  fingerprint.add(bytes.last(kEnd));
  for (size_t i = 1; i <= kSamples; ++i) {
    fingerprint.add(bytes.subspan(bytes.size() / (kSamples + 1) * i, kSample));
  }
}

}  // namespace

/// A tensor as its file has it.
struct Checkpoint::Stored {
  formats::GgmlType type;
  std::vector<int64_t> shape;
  const std::byte* data;
};

Checkpoint::Checkpoint() = default;
Checkpoint::~Checkpoint() = default;

std::unique_ptr<Checkpoint> Checkpoint::open(const std::filesystem::path& path) {
  std::unique_ptr<Checkpoint> checkpoint(new Checkpoint);
  checkpoint->path_ = path;
  std::error_code unreadable;  // is told by whoever opens the file
  if (std::filesystem::is_directory(path, unreadable)) {
    const auto config = path / "config.json";
    DSRASQ_CHECK(std::filesystem::exists(config, unreadable), kBadInput, kInCheckpoint,
                 path.string(), ": has no config.json; want a .gguf file or a Hugging Face folder");
    checkpoint->folder_ = std::make_unique<HuggingFaceFolder>(path);
    checkpoint->config_ = read_hugging_face_config(config, checkpoint->folder_->has_output());
  } else {
    checkpoint->gguf_ = std::make_unique<GgufParts>(path);
    checkpoint->config_ = read_gguf_config(*checkpoint->gguf_);
  }
  for (const WantedTensor& wanted : wanted_tensors(checkpoint->config_)) checkpoint->add(wanted);
  for (const std::string& name : unwanted_tensors(checkpoint->config_)) {
    DSRASQ_CHECK(!checkpoint->locate(name), kBadInput, kInCheckpoint, path.string(),
                 ": has tensor ", name, ", which is not supported in ",
                 architecture_name(checkpoint->config_.architecture), " models");
  }
  return checkpoint;
}

std::optional<Checkpoint::Stored> Checkpoint::locate(const std::string& name) const {
  if (gguf_ != nullptr) {
    const auto* tensor = gguf_->find(name);
    if (tensor == nullptr) return std::nullopt;
    return Stored{tensor->type, tensor->shape, tensor->bytes.data()};
  }
  const std::string stored = hugging_face_name(name, config_.architecture, folder_->prefix());
  const auto* tensor = folder_->find(stored);
  if (tensor == nullptr) return std::nullopt;
  const auto type = ggml_type_of(tensor->dtype);
  DSRASQ_CHECK(type, kBadInput, kInCheckpoint, path_.string(), ": tensor ", stored,
               " is stored as ", formats::dtype_name(tensor->dtype),
               "; weights are read in F32, F16 and BF16");
  return Stored{*type, tensor->shape, tensor->bytes.data()};
}

void Checkpoint::add(const WantedTensor& wanted) {
  const auto check = [&](bool ok, const auto&... parts) {
    if (ok) return;
    const std::string name =
        is_gguf() ? wanted.name
                  : hugging_face_name(wanted.name, config_.architecture, folder_->prefix());
    throw Error(ErrorCode::kBadInput, kInCheckpoint,
                concat(path_.string(), ": tensor ", name, ' ', parts...));
  };
  const auto stored = locate(wanted.name);
  check(stored.has_value(), "is missing");
  check(stored->shape == wanted.shape, "is ", shape_text(stored->shape), ", want ",
        shape_text(wanted.shape));
  const auto info = formats::ggml_type_info(stored->type);
  check(info && info->is_supported, "has quantisation ", formats::ggml_type_name(stored->type),
        ", which is not supported; supported are ", formats::supported_ggml_types());
  TensorRef tensor;
  tensor.name = wanted.name;
  tensor.type = stored->type;
  tensor.rows = wanted.shape.size() == 1 ? 1 : wanted.shape[0];
  tensor.cols = wanted.shape.back();
  tensor.data = stored->data;
  tensor.interleaved_rope =
      is_gguf() && config_.architecture == Architecture::kLlama && is_reordered(wanted.name);
  if (tensor.interleaved_rope) tensor.head_dim = config_.head_dim;
  tensors_.emplace(wanted.name, std::move(tensor));
}

const formats::GgufFile* Checkpoint::gguf() const {
  return gguf_ == nullptr ? nullptr : &gguf_->first();
}

const TensorRef* Checkpoint::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

const TensorRef& Checkpoint::require(std::string_view name) const {
  const TensorRef* tensor = find(name);
  DSRASQ_CHECK(tensor != nullptr, kBadInput, kInCheckpoint, path_.string(), ": has no tensor ",
               name);
  return *tensor;
}

std::vector<const TensorRef*> Checkpoint::tensors() const {
  std::vector<const TensorRef*> list;
  for (const auto& [name, tensor] : tensors_) list.push_back(&tensor);
  return list;
}

int64_t Checkpoint::n_weights() const {
  int64_t sum = 0;
  for (const auto& [name, tensor] : tensors_) sum += tensor.n_weights();
  return sum;
}

int64_t Checkpoint::size_bytes() const {
  int64_t sum = 0;
  for (const auto& [name, tensor] : tensors_) sum += tensor.size_bytes();
  return sum;
}

std::string Checkpoint::fingerprint() const {
  Fingerprint fingerprint;
  for (const auto& [key, value] : config_fields(config_)) {
    if (key == "name") continue;
    fingerprint.add(key);
    fingerprint.add(value);
  }
  for (const auto& [name, tensor] : tensors_) {
    fingerprint.add(name);
    fingerprint.add(formats::ggml_type_name(tensor.type));
    fingerprint.add(static_cast<uint64_t>(tensor.rows));
    fingerprint.add(static_cast<uint64_t>(tensor.cols));
    add_samples(fingerprint, {tensor.data, static_cast<size_t>(tensor.size_bytes())});
  }
  return fingerprint.hex();
}

std::string Checkpoint::describe() const {
  std::set<std::string> types;
  for (const auto& [name, tensor] : tensors_) types.insert(formats::ggml_type_name(tensor.type));
  std::string type_list;
  for (const auto& type : types) type_list += concat(type_list.empty() ? "" : ", ", type);
  const ModelConfig& c = config_;
  return concat(c.name.empty() ? path_.filename().string() : c.name, " (",
                architecture_name(c.architecture), "): ", n_weights() / 1000000, " M weights in ",
                size_bytes() / 1000000, " MB (", type_list, "), ", c.n_layers, " layers, width ",
                c.n_embd, ", ", c.n_heads, " heads of ", c.head_dim, ", ", c.n_kv_heads,
                " KV heads, feed-forward ", c.n_ff, ", vocabulary ", c.vocab_size, ", context ",
                c.context_length);
}

void Checkpoint::release_pages() const {
  if (gguf_ != nullptr) gguf_->release_pages();
  if (folder_ != nullptr) folder_->release_pages();
}

}  // namespace dsrasq::checkpoint
