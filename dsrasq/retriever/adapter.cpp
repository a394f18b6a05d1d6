#include "dsrasq/retriever/adapter.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <system_error>

#include "dsrasq/core/error.h"
#include "dsrasq/formats/safetensors.h"
#include "dsrasq/retriever/adapter_slots.h"

namespace dsrasq::retriever {
namespace {

namespace fs = std::filesystem;
using formats::Dtype;
using nlohmann::json;

constexpr const char* kWhere = "retriever.adapter";
constexpr const char* kFormat = "dsrasq-adapter";
constexpr const char* kVersion = "1";
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

std::string shape_text(std::span<const int64_t> shape) {
  std::string text = "[";
  for (int64_t n : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + "]";
}

const std::string& require_metadata(const formats::SafetensorsFile& file, const char* key) {
  const auto found = file.metadata().find(key);
  DSRASQ_CHECK(found != file.metadata().end(), kBadInput, kWhere, file.path().string(),
               ": no adapter, its metadata lacks \"", key, "\"");
  return found->second;
}

// Counts in the configuration, checked before anything is computed from them.
class Config {
 public:
  Config(const formats::SafetensorsFile& file)
      : path_(file.path().string()),
        value_(json::parse(require_metadata(file, "config"), nullptr, false)) {
    DSRASQ_CHECK(value_.is_object(), kBadInput, kWhere, path_, ": its config is no JSON object");
  }

  int64_t count(const char* key, int64_t most) const {
    const auto found = value_.find(key);
    DSRASQ_CHECK(
        found != value_.end() && found->is_number_integer() && *found >= 1 && *found <= most,
        kBadInput, kWhere, path_, ": config.", key, " is not an integer from 1 to ", most);
    return found->get<int64_t>();
  }

  std::set<int64_t> layers() const {
    const auto found = value_.find("layers");
    DSRASQ_CHECK(found != value_.end() && found->is_array() && !found->empty(), kBadInput, kWhere,
                 path_, ": config.layers is not a list of layers");
    std::set<int64_t> layers;
    for (const json& entry : *found) {
      DSRASQ_CHECK(entry.is_number_integer() && entry >= 0 && entry < kMaxLayers &&
                       layers.insert(entry.get<int64_t>()).second,
                   kBadInput, kWhere, path_, ": config.layers holds ", entry.dump(),
                   ", which is no layer or there twice");
    }
    return layers;
  }

 private:
  std::string path_;
  json value_;
};

at::Tensor read_tensor(const formats::SafetensorsFile& file, const std::string& name,
                       const std::vector<int64_t>& shape) {
  const formats::NamedTensor& stored = file.require(name);
  DSRASQ_CHECK(stored.shape == shape, kBadInput, kWhere, file.path().string(), ": ", name, " is ",
               shape_text(stored.shape), ", want ", shape_text(shape));
  DSRASQ_CHECK(stored.dtype == Dtype::kF16 || stored.dtype == Dtype::kF32, kBadInput, kWhere,
               file.path().string(), ": ", name, " is ", formats::dtype_name(stored.dtype),
               ", want F16 or F32");
  // Copied first: bytes in the file have no alignment.
  at::Tensor raw = at::empty(shape, stored.dtype == Dtype::kF16 ? at::kHalf : at::kFloat);
  std::memcpy(raw.mutable_data_ptr(), stored.bytes.data(), stored.bytes.size());
  at::Tensor values = raw.to(at::kFloat);
  DSRASQ_CHECK(values.isfinite().all().item<bool>(), kBadInput, kWhere, file.path().string(), ": ",
               name, " holds a NaN or an infinity");
  return values;
}

}  // namespace

Adapter Adapter::load(const fs::path& path) {
  const formats::SafetensorsFile file(path);
  DSRASQ_CHECK(require_metadata(file, "format") == kFormat, kBadInput, kWhere, path.string(),
               ": its format is \"", file.metadata().at("format"), "\", want \"", kFormat, "\"");
  DSRASQ_CHECK(require_metadata(file, "version") == kVersion, kBadInput, kWhere, path.string(),
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
  for (int64_t layer : config.layers())
    adapter.indexers[layer].visit([&](const char* name, at::Tensor& tensor) {
      tensor = read_tensor(file, tensor_name(layer, name), shape_of(name, adapter));
    });
  adapter.slots = read_slots(file, kMaxLayers);
  return adapter;
}

void Adapter::save(const fs::path& path) const {
  json layers = json::array();
  std::vector<at::Tensor> halves;  // keeps the bytes alive until they are written
  std::vector<formats::NamedTensor> tensors = slot_tensors(slots);
  for (auto [layer, indexer] : indexers) {
    layers.push_back(layer);
    indexer.visit([&, layer = layer](const char* name, const at::Tensor& tensor) {
      halves.push_back(tensor.detach().to(at::kCPU, at::kHalf).contiguous());
      const std::string full_name = tensor_name(layer, name);
      DSRASQ_CHECK(halves.back().isfinite().all().item<bool>(), kInvalidArgument, kWhere,
                   path.string(), ": ", full_name, " holds a value that fp16 cannot");
      tensors.push_back({full_name, Dtype::kF16, halves.back().sizes().vec(),
                         std::span(static_cast<const std::byte*>(halves.back().const_data_ptr()),
                                   halves.back().nbytes())});
    });
  }
  const json config = {{"n_embd", n_embd},
                       {"n_heads", n_heads},
                       {"head_dim", head_dim},
                       {"d_max", d_max},
                       {"layers", layers}};
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
