#include "dsrasq/retriever/adapter.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "dsrasq/core/error.h"
#include "dsrasq/formats/safetensors.h"
#include "dsrasq/retriever/adapter_slots.h"
#include "dsrasq/retriever/adapter_tensors.h"

namespace dsrasq::retriever {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kInAdapter = "retriever.adapter";
constexpr const char* kFormat = "dsrasq-adapter";
constexpr const char* kVersion = "1";
constexpr const char* kThreshold = "threshold";
constexpr const char* kRecall = "recall";
constexpr const char* kSlotMode = "slot_mode";
constexpr int64_t kMaxLayers = 4096;
// Log of the tokens that a fresh indexer's far sum stands for, so that p starts near the truth.
constexpr float kLocalBias = 9;

std::string tensor_name(int64_t layer, const char* name) {
  return concat("retriever.", layer, ".", name);
}

std::vector<int64_t> shape_of(const std::string& name, const Adapter& a) {
  if (name == "query") return {a.n_heads * a.head_dim, a.n_embd};
  if (name == "key") return {a.head_dim, a.n_embd};
  if (name == "norm_weight" || name == "norm_bias") return {a.head_dim};
  if (name == "head_weight") return {a.n_heads, a.n_embd};
  if (name == "head_bias") return {a.n_heads};
  if (name == "local") return {1, a.n_embd};
  return {1};  // local_bias
}

const std::string& require_metadata(const formats::SafetensorsFile& file, const char* key) {
  const auto found = file.metadata().find(key);
  DSRASQ_CHECK(found != file.metadata().end(), kBadInput, kInAdapter, file.path().string(),
               ": no adapter, its metadata lacks \"", key, "\"");
  return found->second;
}

// The scalars that layers may have beside their indexers.
std::map<int64_t, float> read_scalars(const formats::SafetensorsFile& file,
                                      const std::map<int64_t, IndexerParameters>& indexers,
                                      const char* name) {
  std::map<int64_t, float> values;
  for (const auto& [layer, indexer] : indexers)
    if (const std::string full = tensor_name(layer, name); file.find(full) != nullptr)
      values[layer] = read_tensor(file, full, {1}).item<float>();
  return values;
}

void add_scalar(const std::map<int64_t, float>& values, int64_t layer, const char* name,
                const fs::path& path, HalfTensors& halves) {
  const auto found = values.find(layer);
  if (found != values.end())
    halves.add(tensor_name(layer, name), at::full({1}, found->second), path);
}

// Counts in the configuration, checked before anything is computed from them.
class Config {
 public:
  Config(const formats::SafetensorsFile& file)
      : path_(file.path().string()),
        value_(json::parse(require_metadata(file, "config"), nullptr, false)) {
    DSRASQ_CHECK(value_.is_object(), kBadInput, kInAdapter, path_,
                 ": its config is no JSON object");
  }

  int64_t count(const char* key, int64_t most) const {
    const auto found = value_.find(key);
    DSRASQ_CHECK(
        found != value_.end() && found->is_number_integer() && *found >= 1 && *found <= most,
        kBadInput, kInAdapter, path_, ": config.", key, " is not an integer from 1 to ", most);
    return found->get<int64_t>();
  }

  std::set<int64_t> layers() const {
    const auto found = value_.find("layers");
    DSRASQ_CHECK(found != value_.end() && found->is_array() && !found->empty(), kBadInput,
                 kInAdapter, path_, ": config.layers is not a list of layers");
    std::set<int64_t> layers;
    for (const json& entry : *found) {
      DSRASQ_CHECK(entry.is_number_integer() && entry >= 0 && entry < kMaxLayers &&
                       layers.insert(entry.get<int64_t>()).second,
                   kBadInput, kInAdapter, path_, ": config.layers holds ", entry.dump(),
                   ", which is no layer or there twice");
    }
    return layers;
  }

  // Adapters from before there were others have none and are of the content mode.
  memory::SlotMode slot_mode() const {
    const auto found = value_.find(kSlotMode);
    if (found == value_.end()) return memory::SlotMode::kContent;
    const auto mode = found->is_string()
                          ? memory::find_slot_mode(found->get_ref<const std::string&>())
                          : std::nullopt;
    DSRASQ_CHECK(mode.has_value(), kBadInput, kInAdapter, path_, ": config.", kSlotMode, " is ",
                 found->dump(), ", want content, position or rotate");
    return *mode;
  }

 private:
  std::string path_;
  json value_;
};

}  // namespace

Adapter Adapter::load(const fs::path& path) {
  const formats::SafetensorsFile file(path);
  DSRASQ_CHECK(require_metadata(file, "format") == kFormat, kBadInput, kInAdapter, path.string(),
               ": its format is \"", file.metadata().at("format"), "\", want \"", kFormat, "\"");
  DSRASQ_CHECK(require_metadata(file, "version") == kVersion, kBadInput, kInAdapter, path.string(),
               ": version ", file.metadata().at("version"), " of the format, want ", kVersion);
  const Config config(file);
  Adapter adapter{.base_fingerprint = require_metadata(file, "base_fingerprint"),
                  .base_name = require_metadata(file, "base_name"),
                  .n_embd = config.count("n_embd", 1 << 20),
                  .n_heads = config.count("n_heads", 256),
                  .head_dim = config.count("head_dim", 1024),
                  .d_max = config.count("d_max", int64_t{1} << 31),
                  .indexers = {},
                  .record = require_metadata(file, "record")};
  const std::set<int64_t> layers = config.layers();
  for (int64_t layer : layers)
    adapter.indexers[layer].visit([&](const char* name, at::Tensor& tensor) {
      tensor = read_tensor(file, tensor_name(layer, name), shape_of(name, adapter));
    });
  adapter.thresholds = read_scalars(file, adapter.indexers, kThreshold);
  adapter.recall = read_scalars(file, adapter.indexers, kRecall);
  for (const auto& [layer, share] : adapter.recall)
    DSRASQ_CHECK(share >= 0 && share <= 1, kBadInput, kInAdapter, path.string(), ": ",
                 tensor_name(layer, kRecall), " is ", share, ", want a share from 0 to 1");
  adapter.budgets = read_budgets(file, layers, adapter.n_embd);
  adapter.lora = read_lora(file, kMaxLayers, adapter.n_embd);
  adapter.slots = read_slots(file, kMaxLayers, config.slot_mode());
  return adapter;
}

std::optional<memory::SlotMode> Adapter::slot_mode() const {
  if (slots.empty()) return std::nullopt;
  return slots.begin()->second.mode;
}

void Adapter::save(const fs::path& path) const {
  json layers = json::array();
  HalfTensors halves;  // keeps the bytes alive until they are written
  for (auto [layer, indexer] : indexers) {
    layers.push_back(layer);
    indexer.visit([&, layer = layer](const char* name, const at::Tensor& tensor) {
      halves.add(tensor_name(layer, name), tensor, path);
    });
    add_scalar(thresholds, layer, kThreshold, path, halves);
    add_scalar(recall, layer, kRecall, path, halves);
  }
  add_budgets(budgets, path, halves);
  add_lora(lora, path, halves);
  add_slots(slots, path, halves);
  std::vector<formats::NamedTensor> tensors = slot_rates(slots);
  tensors.insert(tensors.end(), halves.tensors().begin(), halves.tensors().end());
  json config = {{"n_embd", n_embd},
                 {"n_heads", n_heads},
                 {"head_dim", head_dim},
                 {"d_max", d_max},
                 {"layers", layers}};
  if (const auto mode = slot_mode()) config[kSlotMode] = memory::slot_mode_name(*mode);
  formats::write_safetensors(path, tensors,
                             {{"format", kFormat},
                              {"version", kVersion},
                              {"base_fingerprint", base_fingerprint},
                              {"base_name", base_name},
                              {"config", config.dump()},
                              {"record", record}});
}

IndexerParameters Adapter::random(int64_t n_embd, int64_t n_heads, int64_t head_dim,
                                  uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  const auto projection = [&](int64_t rows) {
    const double deviation = 1 / std::sqrt(static_cast<double>(n_embd));
    return at::randn({rows, n_embd}, generator, at::kFloat).mul_(deviation);
  };
  IndexerParameters p;
  p.query = projection(n_heads * head_dim);
  p.key = projection(head_dim);
  p.norm_weight = at::ones({head_dim});
  p.norm_bias = at::zeros({head_dim});
  p.head_weight = projection(n_heads);
  p.head_bias = at::zeros({n_heads});
  p.local = at::zeros({1, n_embd});
  p.local_bias = at::full({1}, kLocalBias);
  return p;
}

std::optional<fs::path> find_adapter(const std::string& base_fingerprint,
                                     const std::vector<fs::path>& folders) {
  for (const fs::path& folder : folders) {
    std::error_code error;
    std::vector<fs::path> paths;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
      if (it->path().extension() == ".safetensors") paths.push_back(it->path());
    std::sort(paths.begin(), paths.end());
    for (const fs::path& path : paths) {
      try {
        const formats::SafetensorsFile file(path);
        const auto format = file.metadata().find("format");
        const auto base = file.metadata().find("base_fingerprint");
        if (format != file.metadata().end() && format->second == kFormat &&
            base != file.metadata().end() && base->second == base_fingerprint)
          return path;
      } catch (const Error&) {
        continue;  // another program's file, or a damaged one: not what is looked for
      }
    }
  }
  return std::nullopt;
}

}  // namespace dsrasq::retriever
