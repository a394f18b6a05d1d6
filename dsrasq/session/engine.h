#pragma once

// A model ready to serve sequences: weights, tokenizer and adapter, loaded once and shared.

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "dsrasq/model/transformer.h"
#include "dsrasq/policy/factory.h"
#include "dsrasq/retriever/adapter.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::session {

struct EngineOptions {
  std::string model = "models/SmolLM2-135M-Instruct.Q4_1.gguf";
  std::string adapter = "auto";  ///< a file, "none", or "auto": found by the model's fingerprint
  std::string lora = "auto";     ///< when the adapter's low-rank additions are applied
  std::string device = "cpu";
  int64_t threads = 0;            ///< 0: all cores
  std::string products = "fp32";  ///< kernels::Products of the linear layers on the CPU
  bool dense = false;             ///< weights as plain tensors, as training on the CPU wants them

  template <class Visit>
  void visit(Visit&& visit) {
    visit(model, "model", "a GGUF file or a Hugging Face folder");
    visit(adapter, "adapter", "an adapter file, none, or auto: found by the model's fingerprint");
    visit(lora, "lora",
          "the adapter's changes to the weights: auto (not with full, window and the baselines), "
          "always, never");
    visit(device, "device", "cpu or cuda");
    visit(threads, "threads", "CPU threads; 0: all cores");
    visit(products, "products",
          "what the linear layers multiply on the CPU: int8 (quantised weights with activations in "
          "8 bits) or fp32 (exact, slower)");
  }
};

/// The device of that name, with this process's threads set. Throws kUnavailable when it is not
/// there, kInvalidArgument for another name or number of threads.
at::Device ready_device(const std::string& device, int64_t threads);

/// Where adapters of a model are looked for: in its own folder, in `adapters/` in the working
/// folder and beside the program (in a checkout, or PREFIX/share/dsrasq/adapters when installed).
std::vector<std::filesystem::path> adapter_folders(const std::filesystem::path& model);

class Engine {
 public:
  /// Throws kBadInput for unreadable files or an adapter of another model (both named),
  /// kUnavailable for a device that is not there.
  explicit Engine(const EngineOptions& options);

  /// As it was pre-trained.
  const model::Transformer& model() const { return *model_; }
  /// With the adapter's low-rank additions, unless the policy is one that shows the untouched model
  /// (`full`, `window`, the baselines) or `--lora` says otherwise.
  const model::Transformer& model_for(const policy::PolicyOptions& options) const;
  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  /// Null when there is none.
  const retriever::Adapter* adapter() const { return adapter_ ? &*adapter_ : nullptr; }
  const std::string& adapter_path() const { return adapter_path_; }
  /// Of the model's weights, and of the adapter's file (empty when there is none).
  const std::string& fingerprint() const { return fingerprint_; }
  const std::string& adapter_fingerprint() const { return adapter_fingerprint_; }
  const EngineOptions& options() const { return options_; }

  /// The first of `razor` lets the model read a probe for its retrieval heads, which takes as long
  /// as reading a text of its trained context (at most 10,001 tokens).
  std::unique_ptr<policy::Policy> make_policy(const policy::PolicyOptions& options) const;

 private:
  /// Retrieval heads of the model that `razor` runs on, found when they are first asked for.
  struct Probed {
    std::mutex mutex;
    std::optional<policy::RetrievalHeads> heads;
  };
  const policy::RetrievalHeads& retrieval_heads(const model::Transformer& model) const;

  EngineOptions options_;
  std::string fingerprint_, adapter_path_, adapter_fingerprint_;
  std::unique_ptr<model::Transformer> model_;
  std::optional<model::Transformer> adapted_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::optional<retriever::Adapter> adapter_;
  std::unique_ptr<Probed> probed_ = std::make_unique<Probed>();
};

}  // namespace dsrasq::session
