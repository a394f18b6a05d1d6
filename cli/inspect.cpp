// dsrasq inspect: what a model, an adapter or a session file holds.

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/formats/chunk_file.h"
#include "dsrasq/formats/safetensors.h"
#include "dsrasq/retriever/adapter.h"
#include "dsrasq/session/engine.h"
#include "dsrasq/session/session.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct InspectConfig {
  std::string file;
  bool tensors = false;

  template <class V>
  void visit(V&& v) {
    v(file, "FILE",
      "a model (.gguf or folder), an adapter (.safetensors) or a session file (.dsr)");
    v(tensors, "tensors", "list every tensor of a model");
  }
};

// The file's first bytes; a folder has none.
std::string magic_of(const fs::path& path) {
  DSRASQ_CHECK(fs::exists(path), kBadInput, "cli.inspect", path.string(),
               ": there is no such file");
  if (fs::is_directory(path)) return "";
  const MappedFile file(path);
  const auto bytes = file.bytes().first(std::min<size_t>(8, file.bytes().size()));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Json tensor_json(const checkpoint::TensorRef& tensor) {
  return {{"name", tensor.name},
          {"type", formats::ggml_type_name(tensor.type)},
          {"shape", {tensor.rows, tensor.cols}},
          {"bytes", tensor.size_bytes()}};
}

Json tokenizer_json(const text::Tokenizer& tokenizer) {
  return {{"vocab_size", tokenizer.vocab_size()},
          {"bos", tokenizer.bos() ? Json(*tokenizer.bos()) : Json()},
          {"eos", tokenizer.eos() ? Json(*tokenizer.eos()) : Json()},
          {"adds_bos", tokenizer.adds_bos()},
          {"chat_template", !tokenizer.chat_template_source().empty()},
          {"fingerprint", tokenizer.fingerprint()}};
}

Json model_json(const InspectConfig& config) {
  const auto model = checkpoint::Checkpoint::open(config.file);
  struct Group {
    int64_t tensors = 0, weights = 0, bytes = 0;
  };
  std::map<std::string, Group> groups;
  for (const checkpoint::TensorRef* tensor : model->tensors()) {
    Group& group = groups[formats::ggml_type_name(tensor->type)];
    ++group.tensors;
    group.weights += tensor->n_weights();
    group.bytes += tensor->size_bytes();
  }
  Json types = Json::array();
  for (const auto& [name, group] : groups)
    types.push_back({{"type", name},
                     {"tensors", group.tensors},
                     {"weights", group.weights},
                     {"bytes", group.bytes}});
  Json settings = Json::object();
  for (const auto& [name, value] : checkpoint::config_fields(model->config()))
    settings[name] = value;
  const std::string fingerprint = model->fingerprint();
  const auto adapter = retriever::find_adapter(fingerprint, session::adapter_folders(config.file));
  Json result{{"kind", "model"},
              {"file", config.file},
              {"description", model->describe()},
              {"fingerprint", fingerprint},
              {"weights", model->n_weights()},
              {"bytes", model->size_bytes()},
              {"model", settings},
              {"types", types},
              {"tokenizer", tokenizer_json(*text::load_tokenizer(config.file))},
              {"adapter", adapter ? Json(adapter->string()) : Json()}};
  if (config.tensors) {
    result["tensors"] = Json::array();
    for (const checkpoint::TensorRef* tensor : model->tensors())
      result["tensors"].push_back(tensor_json(*tensor));
  }
  return result;
}

Json adapter_json(const std::string& path) {
  const retriever::Adapter adapter = retriever::Adapter::load(path);
  Json layers = Json::array();
  for (const auto& [layer, parameters] : adapter.indexers) layers.push_back(layer);
  int64_t lora_rank = 0, n_slots = 0;
  for (auto [layer, part] : adapter.lora)
    part.visit([&](const char*, const retriever::LowRank& low_rank) {
      if (low_rank.defined()) lora_rank = std::max(lora_rank, low_rank.a.size(0));
    });
  for (const auto& [layer, slots] : adapter.slots) n_slots = std::max(n_slots, slots.n_slots);
  const Json record = Json::parse(adapter.record, nullptr, false);
  return {{"kind", "adapter"},
          {"file", path},
          {"bytes", fs::file_size(path)},
          {"base_name", adapter.base_name},
          {"base_fingerprint", adapter.base_fingerprint},
          {"index_heads", adapter.n_heads},
          {"index_dim", adapter.head_dim},
          {"max_distance", adapter.d_max},
          {"retriever_layers", layers},
          {"thresholds", adapter.thresholds.size()},
          {"budget_heads", adapter.budgets.size()},
          {"lora_layers", adapter.lora.size()},
          {"lora_rank", lora_rank},
          {"slots", n_slots},
          {"slot_mode",
           adapter.slots.empty() ? Json() : Json(memory::slot_mode_name(*adapter.slot_mode()))},
          {"record", record.is_discarded() ? Json(adapter.record) : record}};
}

Json session_json(const std::string& path) {
  const formats::ChunkFile file(path, session::kSessionKind, session::kSessionVersion);
  const auto section = [&](const char* name) {
    const auto bytes = file.require(name);
    const auto* text = reinterpret_cast<const char*>(bytes.data());
    Json parsed = Json::parse(text, text + bytes.size(), nullptr, false);
    DSRASQ_CHECK(!parsed.is_discarded(), kBadInput, "cli.inspect", path, ": section ", name,
                 " is not JSON");
    return parsed;
  };
  return {{"kind", "session"},
          {"file", path},
          {"session_bytes", file.size_bytes()},
          {"sections", file.names().size()},
          {"state", section("state")},
          {"sources", section("sources")}};
}

Json inspect(const InspectConfig& config, const Console& console) {
  DSRASQ_CHECK(!config.file.empty(), kInvalidArgument, "cli.inspect", "want a FILE to look into");
  const std::string magic = magic_of(config.file);
  Json result;
  if (magic == "DSRCHUNK")
    result = session_json(config.file);
  else if (config.file.ends_with(".safetensors"))
    result = adapter_json(config.file);
  else
    result = model_json(config);
  console.result_lines(result);
  return result;
}

}  // namespace

Command inspect_command() {
  return make_command<InspectConfig>({"inspect", "what a model, an adapter or a session file holds",
                                      "  dsrasq inspect models/SmolLM2-135M-Instruct.Q4_1.gguf\n"
                                      "  dsrasq inspect book.dsr --json\n"},
                                     inspect);
}

}  // namespace dsrasq::cli
