#pragma once

// How a model attends and what it keeps: the one interface between the layers of a model and every
// method of this project, dense or sparse. Nothing above it knows which policy runs.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dsrasq/formats/chunk_file.h"
#include "dsrasq/ops/rope.h"

namespace dsrasq::policy {

/// What attention needs to know of the model: sizes of one layer and what differs between layers.
struct AttentionShape {
  int64_t n_layers = 0;
  int64_t n_embd = 0;      ///< E
  int64_t n_heads = 0;     ///< H
  int64_t n_kv_heads = 0;  ///< Hkv
  int64_t head_dim = 0;    ///< D
  int64_t context = 0;     ///< tokens that the model was trained for
  double logit_softcap = 0;
  struct Layer {
    int64_t sliding_window = 0;  ///< 0: attends to everything
    double scale = 0;            ///< of the logits
    ops::Rope rope;
  };
  std::vector<Layer> layers;
};

/// One layer's share of a call: T new tokens of one sequence at consecutive positions.
struct LayerInput {
  int64_t layer = 0;
  at::Tensor x;  ///< `[T, E]` the layer's normalised input
  at::Tensor q;  ///< `[T, H, D]` before RoPE
  at::Tensor k;  ///< `[T, Hkv, D]` before RoPE
  at::Tensor v;  ///< `[T, Hkv, D]`
};

/// How much of a token one layer read while retrieval was being recorded.
struct RetrievedToken {
  int64_t layer = 0;
  int64_t position = 0;
  float weight = 0;  ///< attention weight, summed over heads and queries
};

/// The attention state of one sequence.
class Policy {
 public:
  virtual ~Policy() = default;

  virtual std::string name() const = 0;
  /// How many of `n_tokens` waiting tokens the next call may take: calls must not cross the
  /// positions at which the memory changes.
  virtual int64_t admit(int64_t n_tokens) const = 0;
  /// Starts a call of T tokens at `position()`, before any layer.
  virtual void begin(int64_t n_tokens) = 0;
  /// Adds the layer's keys and values and returns what its queries read: `[T, H, D]`.
  virtual at::Tensor attend(const LayerInput& input) = 0;
  /// Ends the call, after the last layer.
  virtual void end() = 0;

  /// Tokens read so far: the position of the next one.
  virtual int64_t position() const = 0;
  /// Bytes of this sequence's memory. Fixed-size policies return what they reserved.
  virtual size_t bytes() const = 0;
  /// Mean number of tokens retrieved per query and retrieving layer so far; 0 where nothing is.
  virtual double mean_retrieved() const { return 0; }

  /// The tokens read from here on (until the next call with false) are the question: what they
  /// retrieve decides what stays in a full pool, where the retention is `question`.
  virtual void set_probing(bool) {}

  /// What was read so far is the prompt. Policies that look at its end to choose what stays
  /// (snapkv, pyramidkv) drop nothing before and choose now; only the first call counts.
  virtual void prompt_ended() {}

  /// Retrieval recording: between start and take, the weight with which pool tokens were read, by
  /// layer and position.
  virtual void start_recording() {}
  virtual std::vector<RetrievedToken> take_recording() { return {}; }

  /// The whole state, for a session file, and back. Sizes depend on the configuration alone.
  virtual void save(formats::ChunkFileWriter& out) const = 0;
  virtual void load(const formats::ChunkFile& in) = 0;
};

}  // namespace dsrasq::policy
