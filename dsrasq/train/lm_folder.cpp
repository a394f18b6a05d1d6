#include "dsrasq/train/lm_folder.h"

#include <ATen/Functions.h>

#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/checkpoint/hf_config.h"
#include "dsrasq/checkpoint/hf_writer.h"
#include "dsrasq/core/error.h"
#include "dsrasq/text/tokenizer_files.h"
#include "dsrasq/train/gca_folder.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInLmFolder = "train.lm";

}  // namespace

fs::path adapter_in(const fs::path& folder) { return folder / "adapter.safetensors"; }

void check_model_folder(const fs::path& folder, const LmModel& model) {
  const checkpoint::ModelConfig& config = model.config();
  std::error_code error;
  if (!fs::exists(folder, error)) return;
  DSRASQ_CHECK(fs::is_directory(folder, error), kInvalidArgument, kInLmFolder, folder.string(),
               " is no folder; --output names the one to write the model to");
  const fs::path file = folder / "config.json";
  if (!fs::exists(file, error)) return;
  DSRASQ_CHECK(is_gca_folder(folder) == (model.gca_config() != nullptr), kInvalidArgument,
               kInLmFolder, folder.string(),
               " holds a model with another attention; choose another --output");
  if (model.gca_config() != nullptr) return check_same_gca(folder, *model.gca_config());
  const auto there = checkpoint::config_fields(
      checkpoint::read_hugging_face_config(file, !config.tied_embeddings));
  const auto wanted = checkpoint::config_fields(config);
  for (size_t i = 0; i < wanted.size(); ++i)
    DSRASQ_CHECK(wanted[i].first == "name" || there[i] == wanted[i], kInvalidArgument, kInLmFolder,
                 folder.string(), " holds a model whose ", wanted[i].first, " is ", there[i].second,
                 ", not ", wanted[i].second, "; choose another --output");
}

std::string write_model_folder(const fs::path& folder, const LmModel& model,
                               const std::string& dtype, const text::Tokenizer& tokenizer,
                               const fs::path& tokenizer_source) {
  std::error_code error;  // writing says what is wrong
  fs::create_directories(folder, error);
  const bool is_half = dtype == "bf16";
  std::vector<at::Tensor> values;
  std::vector<formats::NamedTensor> tensors;
  for (const auto& [name, weight] : model.weights()) {
    values.push_back(weight.to(at::kCPU, is_half ? at::kBFloat16 : at::kFloat).contiguous());
    tensors.push_back({name, is_half ? formats::Dtype::kBF16 : formats::Dtype::kF32,
                       values.back().sizes().vec(),
                       std::span(static_cast<const std::byte*>(values.back().const_data_ptr()),
                                 values.back().nbytes())});
  }
  text::copy_tokenizer(tokenizer_source, folder);
  if (model.gca_config() != nullptr) {
    write_gca_folder(folder, *model.gca_config(), tensors);
    return {};
  }
  checkpoint::write_hugging_face_folder(folder, model.config(), {tokenizer.bos(), tokenizer.eos()},
                                        tensors);
  return checkpoint::Checkpoint::open(folder)->fingerprint();
}

}  // namespace dsrasq::train
