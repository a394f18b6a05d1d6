#include "dsrasq/train/training_checkpoint.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <system_error>
#include <vector>

#include "dsrasq/core/error.h"
#include "dsrasq/core/log.h"
#include "dsrasq/formats/safetensors.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kInTrainingCheckpoint = "train.checkpoint";
constexpr const char* kFormat = "dsrasq-retriever-training";

// What is no UTF-8 (a file's name need not be) becomes U+FFFD.
std::string as_text(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

at::Tensor read_matrix(const formats::SafetensorsFile& file, const char* name) {
  const formats::NamedTensor& stored = file.require(name);
  DSRASQ_CHECK(stored.dtype == formats::Dtype::kF32 && stored.shape.size() == 2, kBadInput,
               kInTrainingCheckpoint, file.path().string(), ": ", name, " is not a matrix of F32");
  at::Tensor values = at::empty(stored.shape, at::kFloat);
  std::memcpy(values.mutable_data_ptr(), stored.bytes.data(), stored.bytes.size());
  return values;
}

json parse_state(const formats::SafetensorsFile& file) {
  const auto format = file.metadata().find("format");
  const auto state = file.metadata().find("state");
  DSRASQ_CHECK(format != file.metadata().end() && format->second == kFormat &&
                   state != file.metadata().end(),
               kBadInput, kInTrainingCheckpoint, file.path().string(),
               ": no checkpoint of a retriever's training");
  return json::parse(state->second, nullptr, false);
}

TrainingState read_state(const fs::path& path) {
  const formats::SafetensorsFile file(path);
  const json stored = parse_state(file);
  TrainingState state;
  try {
    state.step = stored.at("step").get<int64_t>();
    state.steps = stored.at("steps").get<int64_t>();
    state.seconds = stored.at("seconds").get<double>();
    state.loss = stored.at("loss").get<double>();
    state.identity = stored.at("identity").get<std::string>();
    state.options = stored.at("options").get<std::map<std::string, std::string>>();
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kBadInput, kInTrainingCheckpoint,
                concat(path.string(), ": its state cannot be read: ", error.what()));
  }
  state.parameters = read_matrix(file, "parameters");
  state.first = read_matrix(file, "first");
  state.second = read_matrix(file, "second");
  return state;
}

}  // namespace

std::vector<fs::path> CheckpointFolder::files() const {
  std::error_code error;
  std::vector<fs::path> paths;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with("checkpoint-") && name.ends_with(".safetensors"))
      paths.push_back(it->path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

void CheckpointFolder::save(const TrainingState& state) const {
  std::error_code error;
  fs::create_directories(folder_, error);
  char name[64];
  std::snprintf(name, sizeof(name), "checkpoint-%08lld.safetensors",
                static_cast<long long>(state.step));
  const std::vector<std::pair<const char*, at::Tensor>> matrices{
      {"parameters", state.parameters.to(at::kCPU).contiguous()},
      {"first", state.first.to(at::kCPU).contiguous()},
      {"second", state.second.to(at::kCPU).contiguous()}};
  std::vector<formats::NamedTensor> tensors;
  for (const auto& [tensor_name, values] : matrices)
    tensors.push_back(
        {tensor_name, formats::Dtype::kF32, values.sizes().vec(),
         std::span(static_cast<const std::byte*>(values.const_data_ptr()), values.nbytes())});
  const json stored = {{"step", state.step},         {"steps", state.steps},
                       {"seconds", state.seconds},   {"loss", state.loss},
                       {"identity", state.identity}, {"options", state.options}};
  formats::write_safetensors(folder_ / name, tensors,
                             {{"format", kFormat}, {"state", as_text(stored)}});
  std::vector<fs::path> old = files();
  for (size_t i = 0; i + static_cast<size_t>(keep_) < old.size(); ++i) fs::remove(old[i], error);
}

std::optional<TrainingState> CheckpointFolder::load() const {
  std::vector<fs::path> paths = files();
  for (auto path = paths.rbegin(); path != paths.rend(); ++path) {
    try {
      return read_state(*path);
    } catch (const Error& error) {
      log(LogLevel::kWarn, concat("passed over a checkpoint: ", error.what()));
    }
  }
  return std::nullopt;
}

void check_same_run(const TrainingState& stored, const TrainingState& wanted,
                    const fs::path& folder) {
  constexpr const char* kAdvice = "; choose another --run-dir, or start over with --resume false";
  DSRASQ_CHECK(stored.identity == wanted.identity, kInvalidArgument, kInTrainingCheckpoint,
               folder.string(), " holds a training of another model or of other data", kAdvice);
  for (const auto& [name, value] : wanted.options) {
    const auto found = stored.options.find(name);
    const std::string was = found == stored.options.end() ? "(not there)" : found->second;
    DSRASQ_CHECK(as_text(was) == as_text(value), kInvalidArgument, kInTrainingCheckpoint,
                 folder.string(), " was started with --", name, " ", was, ", not ", value, kAdvice);
  }
  DSRASQ_CHECK(stored.parameters.sizes() == wanted.parameters.sizes(), kBadInput,
               kInTrainingCheckpoint, folder.string(), " holds parameters of another shape");
}

}  // namespace dsrasq::train
