#pragma once

// What `score` compares: predictions with their references, from text or .jsonl files.

#include <string>
#include <vector>

namespace dsrasq::cli {

struct ScoreSample {
  std::string prediction;
  std::vector<std::string> references;
  std::string question;  ///< only when it was asked for, as `task`
  int task = 0;          ///< of bAbI, from 1
};

struct ScoreFiles {
  std::string predictions;
  std::vector<std::string> references;  ///< none: the predictions' records have them
  bool reads_newlines = false;          ///< in text files "\n" stands for a line end
  bool needs_task = false;              ///< records must have `question` and `task`
  bool needs_reference_text = true;     ///< a sample whose references are all empty is refused
};

/// Reads the n-th text of every file into the n-th sample. A .jsonl file has one record a line with
/// a string `prediction` or a list of strings `references`; every other file one text a line.
/// Throws kBadInput naming the file, and the line and field or both numbers of texts, when a file
/// is empty, a field is missing or of another type, a sample has no reference, or files differ in
/// length.
std::vector<ScoreSample> read_score_samples(const ScoreFiles& files);

}  // namespace dsrasq::cli
