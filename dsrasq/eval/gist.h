#pragma once

// What is left of a text whose tokens are gone: a model reads much of one text, then as much of
// another as a small memory holds, and is to tell which of several passages goes with the first.
// All are unread; the passage of the first text should have become likelier than the others by what
// was read of it: people, places, style.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "dsrasq/eval/policy_list.h"
#include "dsrasq/eval/stretches.h"
#include "dsrasq/session/engine.h"

namespace dsrasq::eval {

struct GistOptions {
  std::vector<std::string> text{};  ///< files
  int64_t length = 32768;
  int64_t between = 4096;
  int64_t passage = 256;
  int64_t choices = 4;
  int64_t samples = 12;
  std::string shard{};
  std::vector<std::string> merge{};

  template <class Visit>
  void visit(Visit&& visit) {
    visit(text, "text", "files of texts: .txt, .md or .jsonl(.xz) with one text a record");
    visit(length, "length", "tokens read of the first text");
    visit(between, "between", "tokens read of another text before the passages are judged");
    visit(passage, "passage", "tokens of a passage");
    visit(choices, "choices", "passages to choose among, each of another text");
    visit(samples, "samples", "texts, each once the first one");
    visit(shard, "shard", "I/N: only every N-th sample, from the I-th; results can be merged");
    visit(merge, "merge", "results of shards (JSON files) to put together, instead of running");
  }
};

/// One choice among passages; the right one is the first.
struct GistSample {
  std::vector<int32_t> read;     ///< of the first text
  std::vector<int32_t> between;  ///< of the next one
  std::vector<std::vector<int32_t>> passages;
};

/// Sample number `sample` of stretches of different texts, of `length` + `passage` tokens and a gap
/// between them that nobody reads.
GistSample make_gist(const std::vector<Stretch>& stretches, const GistOptions& options,
                     int64_t sample);

/// `eval gist`: runs and summarises. `base.name` lists the policies. `rows` has a line per policy:
/// `accuracy` with its 95 % interval; `chance`; `own_gain` and `other_gain`, nats a token by which
/// reading the first text made its own and the others' passages likelier, means; `advantage`, their
/// difference, all with intervals; and from the second policy on the differences of `accuracy` and
/// `advantage` to the first over the same samples. Then `samples` (what can be merged).
nlohmann::ordered_json run_gist(const session::Engine& engine, const policy::PolicyOptions& base,
                                const GistOptions& options, const Progress& progress = nullptr);

/// The result that the shards in `files` would have given in one run. Throws kBadInput naming the
/// file that is no such result or repeats a sample.
nlohmann::ordered_json merge_gist(const std::vector<std::string>& files);

}  // namespace dsrasq::eval
