#include "dsrasq/train/gca_folder.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <system_error>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kInGcaFolder = "train.gca_folder";
constexpr const char* kModelType = "gca";
constexpr uint64_t kMostBytes = 1 << 20;

fs::path config_file(const fs::path& folder) { return folder / "config.json"; }

Json json_of(GcaConfig config) {
  Json out{{"architectures", {"GroupedCrossAttention"}}, {"model_type", kModelType}};
  config.visit([&](const auto& field, const char* name) { out[name] = field; });
  return out;
}

at::ScalarType stored_type(const formats::NamedTensor& tensor, const std::string& file) {
  if (tensor.dtype == formats::Dtype::kBF16) return at::kBFloat16;
  DSRASQ_CHECK(tensor.dtype == formats::Dtype::kF32, kBadInput, kInGcaFolder, file, ": tensor ",
               tensor.name, " is stored as ", formats::dtype_name(tensor.dtype),
               ", want F32 or BF16");
  return at::kFloat;
}

}  // namespace

bool is_gca_folder(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_regular_file(config_file(folder), error)) return false;
  const Json json = Json::parse(read_file(config_file(folder), kMostBytes), nullptr, false);
  return json.is_object() && json.contains("model_type") && json["model_type"] == kModelType;
}

GcaConfig read_gca_config(const fs::path& folder) {
  const std::string file = config_file(folder).string();
  const Json json = Json::parse(read_file(config_file(folder), kMostBytes), nullptr, false);
  DSRASQ_CHECK(json.is_object() && json.value("model_type", Json()) == kModelType, kBadInput,
               kInGcaFolder, file, ": is not that of a model with grouped cross attention");
  GcaConfig config{.decoder = checkpoint::family_config(checkpoint::Architecture::kLlama)};
  config.visit([&](auto& field, const char* name) {
    try {
      json.at(name).get_to(field);
    } catch (const nlohmann::json::exception&) {
      throw Error(ErrorCode::kBadInput, kInGcaFolder,
                  concat(file, ": has no \"", name, "\" of its kind"));
    }
  });
  checkpoint::ModelConfig& decoder = config.decoder;
  DSRASQ_CHECK(decoder.n_heads > 0, kBadInput, kInGcaFolder, file, ": has ", decoder.n_heads,
               " heads");
  decoder.head_dim = decoder.n_embd / decoder.n_heads;
  checkpoint::check_sizes(decoder, file);
  decoder.rope_local_theta = decoder.rope_theta;
  decoder.attention_scale = 1 / std::sqrt(static_cast<double>(decoder.head_dim));
  decoder.sliding_window.assign(static_cast<size_t>(decoder.n_layers), 0);
  check_gca_config(config, file);
  return config;
}

model::WeightsByName read_gca_weights(const fs::path& folder, const GcaConfig& config,
                                      at::Device device, at::ScalarType dtype) {
  const formats::SafetensorsFile file(folder / "model.safetensors");
  model::WeightsByName weights;
  for (const checkpoint::WantedTensor& wanted : gca_tensors(config)) {
    const formats::NamedTensor& stored = file.require(wanted.name);
    DSRASQ_CHECK(stored.shape == wanted.shape, kBadInput, kInGcaFolder, file.path().string(),
                 ": tensor ", wanted.name, " has another shape than the configuration says");
    at::Tensor values = at::empty(stored.shape, stored_type(stored, file.path().string()));
    std::copy(stored.bytes.begin(), stored.bytes.end(),
              static_cast<std::byte*>(values.mutable_data_ptr()));
    weights[wanted.name] = values.to(device, wanted.shape.size() == 1 ? at::kFloat : dtype);
  }
  return weights;
}

void check_same_gca(const fs::path& folder, const GcaConfig& config) {
  const Json there = json_of(read_gca_config(folder)), wanted = json_of(config);
  for (const auto& [name, value] : wanted.items())
    DSRASQ_CHECK(there[name] == value, kInvalidArgument, kInGcaFolder, folder.string(),
                 " holds a model whose ", name, " is ", there[name].dump(), ", not ", value.dump(),
                 "; choose another --output");
}

void write_gca_folder(const fs::path& folder, const GcaConfig& config,
                      std::span<const formats::NamedTensor> tensors) {
  formats::write_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}});
  write_file(config_file(folder), json_of(config).dump(2) + '\n');
}

}  // namespace dsrasq::train
