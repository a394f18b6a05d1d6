#pragma once

// Questions behind contexts that are grown with the passages of other questions, so that an answer
// has to be found in a long text whose other parts look alike.

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "dsrasq/data/task_prompt.h"
#include "dsrasq/text/tokenizer.h"
#include "dsrasq/train/counter_rng.h"
#include "dsrasq/train/recall_text.h"

namespace dsrasq::prepare {

struct QuestionOptions {
  int64_t length = 0;  ///< most tokens of context, question and answer; 0: as the data has them
  uint64_t seed = 0;   ///< of the passages drawn, their places, and an answer among several
  bool needs_gold = false;  ///< refuse questions whose passages are all unmarked
};

/// How texts become tokens.
struct TextEncoder {
  std::function<std::vector<text::TokenSpan>(std::string_view text)> encode;
  std::optional<int32_t> end{};  ///< what ends an answer; nothing: a line's end
};

/// The prompt of a sample (data/task_prompt.h) as tokens, and its answer behind it. Ranges count
/// from the first of `ids`.
struct QuestionText {
  std::vector<int32_t> ids;
  train::TokenRange question, answer;
  std::vector<train::TokenRange> gold;  ///< of each passage that the answer stands in
  std::vector<std::string> gold_titles;
  data::TaskAnswer said;
  int64_t n_passages = 0;
};

/// All samples of a data set. Const calls may run on several threads.
class QuestionContexts {
 public:
  /// Throws kInvalidArgument where a format without passages is to be grown; kBadInput where all
  /// passages together are shorter than `length`, and where a sample has no gold passage.
  QuestionContexts(std::vector<data::TaskSample> samples, TextEncoder encoder,
                   const QuestionOptions& options);

  size_t size() const { return samples_.size(); }
  int64_t length() const { return options_.length; }
  const data::TaskSample& sample(size_t index) const { return samples_[index]; }

  /// A pure function of the samples, the options and `index`. A grown context has the sample's own
  /// passages in their order, those that are not gold as far as they fit, and others drawn without
  /// return among them, until no more fits; none of them has the text of a passage that is there or
  /// the title of a gold one. Throws kBadInput naming the sample when its gold passages are longer
  /// than `length`, or the others too few.
  QuestionText make(size_t index) const;

 private:
  struct Passage {
    const data::TaskDocument* document;
    int64_t tokens;  ///< in a context, at most
  };
  class Growth;

  void collect_passages();
  void mark_gold(data::TaskSample& sample) const;
  int64_t passage_tokens(const data::TaskDocument& document) const;
  data::TaskPrompt wording(const data::TaskSample& sample) const;
  QuestionText encode(const data::TaskSample& sample, const data::TaskAnswer& answer) const;

  std::vector<data::TaskSample> samples_;
  TextEncoder encoder_;
  QuestionOptions options_;
  std::vector<Passage> passages_;  ///< of all samples, different texts
  int64_t longest_ = 0;            ///< of them, tokens
};

}  // namespace dsrasq::prepare
