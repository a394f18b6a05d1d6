#pragma once

// One sequence in progress: reads tokens into a policy's memory, generates, is saved and restored.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/model/sampler.h"
#include "dsrasq/session/engine.h"

namespace dsrasq::session {

/// The kind and the newest version of session files (formats/chunk_file.h).
inline constexpr const char* kSessionKind = "dsrasq session";
inline constexpr uint32_t kSessionVersion = 1;

/// A text that was read: which tokens of the sequence are its, so that a passage can be shown
/// again.
struct Source {
  std::string path;
  uint64_t bytes = 0;
  std::string fingerprint;  ///< of the text
  int64_t first_token = 0;  ///< position of its first token
  int64_t n_tokens = 0;
};

/// Throws kInvalidArgument for `oracle`, which keeps every key of the sequence beside its memory,
/// and for the baselines.
void check_can_be_saved(const policy::PolicyOptions& options);

struct GenerateOptions {
  int64_t max_tokens = 256;
  std::vector<std::string> stop;  ///< strings that end the answer and are not part of it
  model::SamplingConfig sampling;
};

struct GenerateResult {
  std::string text;
  int64_t n_tokens = 0;
  std::string finish_reason;  ///< stop, length or interrupted
  double first_token_ms = 0;
  double decode_tokens_per_s = 0;
};

/// Called after each block with the tokens read so far by this call and in all.
using ReadProgress = std::function<void(int64_t done, int64_t total)>;

class Session {
 public:
  Session(const Engine& engine, const policy::PolicyOptions& options);

  /// Reads tokens. Ctrl-C stops between blocks with kInterrupted; what was read stays read. Here
  /// and below kBadInput where NaN or infinity comes out: damaged weights.
  void read(std::span<const int32_t> ids, const ReadProgress& progress = nullptr);
  /// Reads tokens and returns their final states `[T, E]`, on the model's device.
  at::Tensor read_states(std::span<const int32_t> ids);
  /// What was read so far is the prompt (Policy::prompt_ended): `generate` says so by itself;
  /// called earlier, a policy chooses what to keep without having seen what comes after, as a
  /// question.
  void prompt_ended() { policy_->prompt_ended(); }
  /// Fp32 logits `[V]` for the next token. Throws kInvalidArgument before anything was read.
  at::Tensor next_logits() const;
  /// Generates from here; `on_text` gets whole UTF-8 characters as they come and may be null.
  GenerateResult generate(const GenerateOptions& options,
                          const std::function<void(std::string_view)>& on_text = nullptr);

  int64_t position() const { return policy_->position(); }
  policy::Policy& policy() { return *policy_; }
  const policy::Policy& policy() const { return *policy_; }
  const policy::PolicyOptions& options() const { return options_; }
  const Engine& engine() const { return engine_; }
  std::vector<Source>& sources() { return sources_; }

  /// Everything needed to go on, in a file whose size the configuration sets. Atomic. Throws
  /// kInvalidArgument where `check_can_be_saved` does.
  void save(const std::filesystem::path& path) const;
  /// Throws kBadInput naming the file when it is damaged, of another version, or of another model
  /// or adapter.
  static std::unique_ptr<Session> load(const Engine& engine, const std::filesystem::path& path);

 private:
  // Reads ids block by block; `on_states(first, states)` gets the final states of ids[first, ...).
  template <class OnStates>
  void read_blocks(std::span<const int32_t> ids, const ReadProgress& progress,
                   const OnStates& on_states);

  const Engine& engine_;
  policy::PolicyOptions options_;
  std::unique_ptr<policy::Policy> policy_;
  at::Tensor last_state_;  // [1, E] of the last token read
  std::vector<Source> sources_;
  model::SamplingConfig sampling_;
  model::Sampler sampler_{sampling_};
};

}  // namespace dsrasq::session
