#pragma once

// One question of a benchmark, whatever file format it came in.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dsrasq::data {

/// The official file formats that can be read.
enum class TaskFormat : uint8_t {
  kHotpotQa,     ///< JSON array: question, answer, context of titled paragraphs, supporting_facts
  kMusique,      ///< JSON Lines: question, answer, answer_aliases, paragraphs
  kMultiRc,      ///< JSON Lines (SuperGLUE): a passage with questions, each with options
  kNqOpen,       ///< JSON Lines: question, answers, ctxs of titled passages
  kSquad,        ///< one JSON object (SQuAD 1.1): articles, paragraphs, questions
  kSummary,      ///< JSON Lines: a document (or article, dialogue) and its summary (or highlights)
  kQmsum,        ///< one JSON object a meeting: transcript, general and specific queries
  kLongBench,    ///< JSON Lines: context, input, answers, dataset
  kRuler,        ///< JSON Lines: input, outputs
  kKeyValue,     ///< JSON Lines (Liu et al. 2024): ordered_kv_records, key, value
  kBabi,         ///< numbered lines; a question has its answer behind a tab
  kInstruction,  ///< JSON Lines: prompt and completion, or inputs and targets (P3, FLAN)
  kDialogue,     ///< JSON Lines (Schema-Guided Dialogue): turns, each with speaker and utterance
  kParallel,     ///< two or more text files, line by line translations of each other
};

/// What `--format` calls it, e.g. "hotpotqa".
std::string_view task_format_name(TaskFormat format);

struct TaskDocument {
  std::string title;  ///< may be empty; the speaker of a turn, the key of a record
  std::string text;
  bool is_supporting = false;  ///< the data set says that the answer stands here
};

/// An answer to be judged right or wrong, or a class to be chosen.
struct TaskOption {
  std::string text;
  bool is_right = false;
};

struct TaskSample {
  TaskFormat format{};
  std::string task;  ///< whose figures it counts for: a data set, or a part of one
  std::string id;    ///< unique within its task
  std::vector<TaskDocument> documents{};  ///< what is read, in this order
  std::string question{};                 ///< asked after the documents; empty where they ask it
  std::string answer_start{};             ///< how the prompt begins the answer
  std::vector<std::string> references{};  ///< right answers, any of which will do (RULER wants all)
  std::vector<TaskOption> options{};
  std::string from_language{}, to_language{};  ///< of a translation, e.g. "en"
};

}  // namespace dsrasq::data
