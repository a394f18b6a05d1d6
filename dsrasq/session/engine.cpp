#include "dsrasq/session/engine.h"

#include <c10/core/Device.h>
#include <unistd.h>

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <vector>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/core/hash.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/core/process.h"
#include "dsrasq/policy/baselines.h"

namespace dsrasq::session {
namespace {

namespace fs = std::filesystem;
constexpr const char* kInEngine = "session.engine";
constexpr int64_t kMaxThreads = 1024;

void check_lora_option(const std::string& name) {
  DSRASQ_CHECK(name == "auto" || name == "always" || name == "never", kInvalidArgument, kInEngine,
               "--lora is '", name, "', want auto, always or never");
}

kernels::Products parse_products(const std::string& name) {
  DSRASQ_CHECK(name == "int8" || name == "fp32", kInvalidArgument, kInEngine, "--products is ",
               name, ", want int8 or fp32");
  return name == "int8" ? kernels::Products::kInt8 : kernels::Products::kFp32;
}

at::Device parse_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  DSRASQ_CHECK(name == "cuda" || name.starts_with("cuda:"), kInvalidArgument, kInEngine,
               "--device is '", name, "', want cpu or cuda");
  DSRASQ_CHECK(at::hasCUDA(), kUnavailable, kInEngine,
               "no CUDA device here (or a LibTorch without CUDA); use --device cpu");
  return at::Device(name);
}

}  // namespace

at::Device ready_device(const std::string& device, int64_t threads) {
  DSRASQ_CHECK(threads >= 0 && threads <= kMaxThreads, kInvalidArgument, kInEngine, "--threads is ",
               threads, ", want 0 to ", kMaxThreads);
  const at::Device parsed = parse_device(device);
  if (threads > 0) set_num_threads(static_cast<int>(threads));
  at::set_num_threads(num_threads());
  return parsed;
}

std::vector<fs::path> adapter_folders(const fs::path& model) {
  std::vector<fs::path> folders{"adapters"};
  if (std::error_code error; fs::is_directory(model, error)) folders.insert(folders.begin(), model);
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    const fs::path bin = program.parent_path();
    folders.push_back(bin / "../../../adapters");
    folders.push_back(bin / "../share/dsrasq/adapters");
  }
  return folders;
}

Engine::Engine(const EngineOptions& options) : options_(options) {
  check_lora_option(options.lora);
  const at::Device device = ready_device(options.device, options.threads);

  const auto checkpoint = checkpoint::Checkpoint::open(options.model);
  fingerprint_ = checkpoint->fingerprint();
  const auto dtype = device.is_cpu() ? at::kFloat : at::kBFloat16;
  model_ = std::make_unique<model::Transformer>(
      *checkpoint, model::LoadOptions{.device = device,
                                      .dtype = dtype,
                                      .packed = !options.dense,
                                      .products = parse_products(options.products)});
  checkpoint->release_pages();
  tokenizer_ = text::load_tokenizer(options.model);
  DSRASQ_CHECK(tokenizer_->vocab_size() <= model_->config().vocab_size, kBadInput, kInEngine,
               options.model, ": the tokenizer has ", tokenizer_->vocab_size(),
               " tokens, the model ", model_->config().vocab_size);

  if (options.adapter == "none") return;
  adapter_path_ = options.adapter;
  if (options.adapter == "auto") {
    const auto found = retriever::find_adapter(fingerprint_, adapter_folders(options.model));
    adapter_path_ = found ? found->string() : "";
  }
  if (adapter_path_.empty()) return;
  adapter_ = retriever::Adapter::load(adapter_path_);
  Fingerprint hash;
  hash.add(MappedFile(adapter_path_).bytes());
  adapter_fingerprint_ = hash.hex();
  DSRASQ_CHECK(adapter_->base_fingerprint == fingerprint_, kBadInput, kInEngine, adapter_path_,
               " is for ", adapter_->base_name, " (", adapter_->base_fingerprint, "), not for ",
               options.model, " (", fingerprint_, ")");
  if (adapter_->lora.empty()) return;
  // What a session holds depends on the weights that read it.
  if (options.lora != "auto") adapter_fingerprint_ += "/lora-" + options.lora;
  if (options.lora == "never") return;
  adapted_ = model_->adapted(adapter_->lora);
}

const model::Transformer& Engine::model_for(const policy::PolicyOptions& options) const {
  const bool untouched =
      options_.lora == "auto" &&
      (options.name == "full" || options.name == "window" || policy::is_baseline(options.name));
  return adapted_ && !untouched ? *adapted_ : *model_;
}

std::unique_ptr<policy::Policy> Engine::make_policy(const policy::PolicyOptions& options) const {
  DSRASQ_CHECK(options.name != "dsrasq" || adapter() != nullptr, kInvalidArgument, kInEngine,
               "--policy dsrasq needs an adapter trained for ", options_.model, " (fingerprint ",
               fingerprint_, "); train one with `dsrasq train retriever` or choose another policy");
  policy::check_options(options);  // before the probe
  const policy::RetrievalHeads* heads =
      options.name == "razor" ? &retrieval_heads(model_for(options)) : nullptr;
  return policy::make_policy(options, model_->shape(), adapter(), model_->device(), heads);
}

const policy::RetrievalHeads& Engine::retrieval_heads(const model::Transformer& model) const {
  const std::lock_guard lock(probed_->mutex);
  if (probed_->heads) return *probed_->heads;
  policy::RetrievalProbe probe(model.shape(), model.device(), tokenizer_->vocab_size(),
                               tokenizer_->bos());
  const at::Tensor ids = at::tensor(probe.ids(), at::kInt).to(at::kLong);
  for (int64_t done = 0; done < ids.size(0);) {
    check_interrupt();
    const int64_t n = probe.policy().admit(ids.size(0) - done);
    model.forward(ids.narrow(0, done, n), probe.policy());
    done += n;
  }
  return probed_->heads.emplace(probe.heads());
}

}  // namespace dsrasq::session
