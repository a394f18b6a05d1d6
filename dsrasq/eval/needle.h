#pragma once

// One sentence with a number hidden in a long text, and the question for it: RULER's niah_single_2
// (Hsieh et al. 2024; NVIDIA/RULER scripts/data/synthetic/niah.py), with books in the place of
// essays.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/eval/policy_list.h"
#include "dsrasq/session/engine.h"

namespace dsrasq::eval {

struct NeedleOptions {
  std::vector<std::string> text{};  ///< files that the haystack is made of
  std::vector<int64_t> length{8000};
  int64_t samples = 40;
  int64_t max_tokens = 32;
  int64_t at_once = 1;
  uint64_t seed = 42;
  bool question_agnostic = false;
  std::string shard{};
  std::vector<std::string> merge{};

  template <class Visit>
  void visit(Visit&& visit) {
    visit(text, "text", "files to hide the needle in: .txt, .md or .jsonl(.xz)");
    visit(length, "length", "tokens of the whole prompt; several by commas");
    visit(samples, "samples", "prompts of each length, the needle at depths from 0 to 100 %");
    visit(max_tokens, "max-tokens", "most tokens of an answer");
    visit(at_once, "at-once", "answers that are worked on at the same time, for a GPU");
    visit(seed, "seed", "of keys, numbers and places in the text");
    visit(question_agnostic, "question-agnostic",
          "what is kept of the text is chosen before the question is read (snapkv, pyramidkv)");
    visit(shard, "shard", "I/N: only every N-th prompt, from the I-th; results can be merged");
    visit(merge, "merge", "results of shards (JSON files) to put together, instead of running");
  }
};

/// A prompt of exactly the wanted number of tokens, and its answer.
struct NeedlePrompt {
  double depth = 0;   ///< in percent of the haystack's sentences
  std::string key;    ///< adjective-noun
  std::string value;  ///< seven digits
  std::vector<int32_t> ids;
  size_t question_at = 0;  ///< ids from here on are the question
};

/// Prompt number `sample` of `n_samples`; the same seed always gives the same one, whatever else is
/// asked for. Throws kInvalidArgument when `length` leaves no room for a haystack.
NeedlePrompt make_needle(const text::Tokenizer& tokenizer, const std::vector<std::string>& texts,
                         int64_t length, int64_t sample, int64_t n_samples, uint64_t seed);

/// RULER's string match: all digits of `value` in a row somewhere in the answer.
bool needle_found(std::string_view answer, std::string_view value);
/// Share of the value's leading digits that the first number of the answer has right; 1 when found.
double digit_accuracy(std::string_view answer, std::string_view value);

/// `eval needle`: runs and summarises. `base.name` lists the policies (parse_policies). The result
/// has `accuracy, digit_accuracy, policy, length, mean_retrieved, cache_bytes` of the first row,
/// then `rows` (a line per length and policy, with 95 % intervals, and from the second policy of
/// a length on the differences to the first over the same samples) and `samples`.
nlohmann::ordered_json run_needle(const session::Engine& engine, const policy::PolicyOptions& base,
                                  const NeedleOptions& options, const Progress& progress = nullptr);

/// The result that the shards in `files` would have given in one run. Throws kBadInput naming the
/// file that is no such result or repeats a sample.
nlohmann::ordered_json merge_needle(const std::vector<std::string>& files);

}  // namespace dsrasq::eval
