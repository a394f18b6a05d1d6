#pragma once

// A small byte-level tokenizer and texts of its tokens, for tests of trainings from nothing.

#include <ATen/Parallel.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dsrasq/core/file.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/text/byte_alphabet.h"
#include "dsrasq/text/tokenizer.h"
#include "dsrasq/train/counter_rng.h"
#include "dsrasq/train/lm_trainer.h"
#include "dsrasq/train/token_cache.h"

namespace dsrasq::train {

class LmBench {
 public:
  explicit LmBench(const std::filesystem::path& folder) : folder_(folder) {
    // Tensors this small are done sooner by one thread.
    at::set_num_threads(1);
    set_num_threads(1);
    nlohmann::json vocabulary;
    for (int byte = 0; byte < 256; ++byte)
      vocabulary[std::string(text::byte_letter(static_cast<uint8_t>(byte)))] = byte;
    const nlohmann::json tokenizer = {
        {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
        {"decoder", {{"type", "ByteLevel"}}},
        {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", nlohmann::json::array()}}}};
    std::filesystem::create_directories(folder / "tokenizer");
    write_file(folder / "tokenizer/tokenizer.json", tokenizer.dump());
    tokenizer_ = text::load_tokenizer(folder / "tokenizer");
    // A cycle of 23 letters: whoever has read it once knows what comes next.
    std::vector<std::vector<int32_t>> cycles(3), noise(3);
    for (int32_t d = 0; d < 3; ++d) {
      CounterRng rng(static_cast<uint64_t>(d), 0, 0);
      for (int32_t i = 0; i < 400; ++i) {
        const int32_t at = i + 7 * d;
        cycles[static_cast<size_t>(d)].push_back('a' + at * at % 23);
        noise[static_cast<size_t>(d)].push_back('a' + static_cast<int32_t>(rng.below(26)));
      }
    }
    write_token_cache(folder / "cycles", tokenizer_->fingerprint(), "cycles", cycles);
    write_token_cache(folder / "noise", tokenizer_->fingerprint(), "noise", noise);
  }

  LmInput input() const {
    return {.tokenizer = *tokenizer_, .tokenizer_source = folder_ / "tokenizer"};
  }
  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  /// 24 steps of a model with two layers of width 32.
  LmTrainOptions options(const std::string& name, const std::string& attention = "dsrasq") const {
    LmTrainOptions options;
    options.data = path("cycles");
    options.output = path(name);
    options.run_dir = path(name + ".run");
    options.attention = attention;
    options.layers = 2;
    options.hidden = 32;
    options.heads = 2;
    options.kv_heads = 1;
    options.ffn = 48;
    options.steps = 24;
    options.batch = 4;
    options.length = 64;
    options.window = 12;
    options.sinks = 2;
    options.top_k = 5;
    options.rows = 16;
    options.index_heads = 2;
    options.index_dim = 16;
    options.index_stretches = 2;
    options.chunk = 7;
    options.chunk_top_k = 2;
    options.encoder_layers = 1;
    options.warmup = 4;
    options.lr = 1e-2;
    options.dtype = "f32";
    options.eval_every = 0;
    options.eval_stretches = 2;
    options.checkpoint_every = 8;
    return options;
  }

 private:
  std::filesystem::path folder_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
};

}  // namespace dsrasq::train
