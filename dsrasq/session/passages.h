#pragma once

// From the tokens that an answer read to the passages of the files they came from.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "dsrasq/policy/policy.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::session {

struct Passage {
  std::string file;
  uint64_t start = 0, end = 0;  ///< byte offsets in the file
  double weight = 0;            ///< share of all retrieval weight of the answer
  std::string text;
};

/// A file's text with the tokens that the session read of it, in order.
struct ReadText {
  std::string file;
  std::string text;
  std::vector<text::TokenSpan> tokens;
  int64_t first_token = 0;  ///< position of tokens[0] in the sequence
};

struct PassageOptions {
  int64_t n_passages = 3;
  int64_t passage_tokens = 96;
};

/// The passages with the most retrieval weight, best first, not overlapping. Weights are compared
/// with what each token's neighbourhood gets anyway: `background` may hold the recording of a
/// neutral read of the same memory and is subtracted, or be empty.
std::vector<Passage> find_passages(const std::vector<policy::RetrievedToken>& retrieved,
                                   const std::vector<policy::RetrievedToken>& background,
                                   std::span<const ReadText> texts, const PassageOptions& options);

}  // namespace dsrasq::session
