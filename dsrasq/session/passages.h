#pragma once

// From the tokens that an answer read to the passages of the files they came from.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "dsrasq/policy/policy.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::session {

struct Passage {
  std::string file;
  uint64_t start = 0, end = 0;  ///< byte offsets in the file
  double weight = 0;            ///< share of the ranking's weight
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

/// How the weights with which layers read tokens become one ranking of the tokens. A layer counts
/// by its recall share (retriever::Adapter::recall; all alike where none was measured), since most
/// layers read what has just left the window, whatever is asked. And a weight counts by the square
/// root of its distance, because attention falls with distance even where it goes back to a
/// detail ([decision](docs/decisions/passage-ranking.md)).
class PassageRanking {
 public:
  /// Of a recording that ended at `position`.
  PassageRanking(const std::vector<policy::RetrievedToken>& retrieved,
                 const std::map<int64_t, float>& recall, int64_t position);

  /// Of a token, all of them summing to 1; 0 for one that was not read.
  double weight(int64_t position) const;
  bool empty() const { return weights_.empty(); }

 private:
  std::unordered_map<int64_t, double> weights_;
};

/// The passages with the most weight, best first, not overlapping.
std::vector<Passage> find_passages(const PassageRanking& ranking, std::span<const ReadText> texts,
                                   const PassageOptions& options);

}  // namespace dsrasq::session
