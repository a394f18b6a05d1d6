#pragma once

// Questions, instructions and dialogues as stretches to train on: texts to read, far behind them
// the question, and an answer whose tokens alone count in the task's loss.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dsrasq/data/task_prompt.h"
#include "dsrasq/train/counter_rng.h"
#include "dsrasq/train/recall_text.h"

namespace dsrasq::train {

struct TaskTextOptions {
  int64_t length = 0;          ///< tokens of the shortest stretch that has to hold a sample
  int64_t prefix = 0;          ///< of them, those that every stretch begins with
  std::optional<int32_t> end;  ///< what ends an answer; nothing: a line's end
};

/// Training samples in their official formats (data/task_reader.h), all held in memory. Const calls
/// may run on several threads.
class TaskTexts {
 public:
  /// Reads files and folders. Samples that are too long are left out. Throws as TaskReader does,
  /// and kBadInput naming the file where none is left, for an answer that is as long as a stretch
  /// and for formats that only evaluate (LongBench, RULER, key-value pairs).
  TaskTexts(const std::vector<std::string>& paths, Encode encode, const TaskTextOptions& options);

  /// Of all samples, 16 hex digits.
  const std::string& fingerprint() const { return fingerprint_; }

  /// A sample, each file's as often, in the place of parts of `text`, which has at least `length`
  /// tokens and goes on around it; as many tokens. Passages stand among passages of other samples,
  /// the sample's own in their order; the answer ends the stretch. Of several right answers one is
  /// drawn; an option to be judged is answered with yes or no.
  RecallStretch training(const std::vector<int32_t>& text, CounterRng& rng) const;
  /// The same of samples that are never trained on: of every file each 32nd (of fewer, the last).
  RecallStretch held_out(const std::vector<int32_t>& text, CounterRng& rng) const;
  /// False where no file has two samples.
  bool has_held_out() const { return !held_out_.empty(); }

 private:
  /// A prompt as tokens, in the parts that other text may come between.
  struct Parts {
    std::vector<int32_t> documents, question, answer;
    TokenRange source;  ///< in `documents`: where the answer stands
    int64_t size() const;
  };
  /// False where the sample is too long.
  bool add(data::TaskSample sample, const std::string& path);
  void split(size_t first);
  /// Each file is as likely as any other, then each of its samples.
  static size_t draw(const std::vector<std::vector<size_t>>& files, CounterRng& rng);
  Parts encode(const data::TaskSample& sample, const data::TaskAnswer& answer) const;
  Parts encode_padded(const data::TaskSample& sample, const data::TaskAnswer& answer, int64_t room,
                      CounterRng& rng) const;
  void add_distractors(data::TaskSample& sample, int64_t room, CounterRng& rng) const;
  int64_t passage_tokens(const data::TaskDocument& document) const;
  RecallStretch stretch(size_t index, const std::vector<int32_t>& text, CounterRng& rng) const;

  Encode encode_;
  TaskTextOptions options_;
  std::vector<int32_t> gap_;  // between a text and what is put into it
  std::vector<data::TaskSample> samples_;
  std::vector<size_t> with_passages_;  // samples whose documents can stand among others
  std::vector<std::vector<size_t>> training_, held_out_;  // by file, none of them empty
  std::string fingerprint_;
};

}  // namespace dsrasq::train
