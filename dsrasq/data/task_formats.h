#pragma once

// The readers of the single formats; task_reader.h chooses among them. What they leave out - an id,
// a task - is filled in there, and what holds for all samples is checked there.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dsrasq/data/task_sample.h"
#include "dsrasq/data/text_reader.h"
#include "dsrasq/text/json_view.h"

namespace dsrasq::data {

/// The samples of one record. Throws kBadInput naming the file, the record and the field that is
/// missing, empty or of another kind.
using RecordParser = std::vector<TaskSample> (*)(const text::JsonView& record);

std::vector<TaskSample> parse_hotpotqa(const text::JsonView& record);
std::vector<TaskSample> parse_musique(const text::JsonView& record);
std::vector<TaskSample> parse_nq_open(const text::JsonView& record);
std::vector<TaskSample> parse_multirc(const text::JsonView& record);
std::vector<TaskSample> parse_squad(const text::JsonView& record);
std::vector<TaskSample> parse_summary(const text::JsonView& record);
std::vector<TaskSample> parse_qmsum(const text::JsonView& record);
std::vector<TaskSample> parse_longbench(const text::JsonView& record);
std::vector<TaskSample> parse_ruler(const text::JsonView& record);
std::vector<TaskSample> parse_key_value(const text::JsonView& record);
std::vector<TaskSample> parse_instruction(const text::JsonView& record);
std::vector<TaskSample> parse_dialogue(const text::JsonView& record);

/// The format that a record's fields are of; nothing where they are of none.
std::optional<TaskFormat> task_format_of(const nlohmann::json& record);

/// Whether a text begins as a story of numbered lines does, with a question among the first.
bool is_babi(std::string_view text);

/// Samples one after another, in constant memory but for one record.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  [[nodiscard]] virtual std::optional<TaskSample> next() = 0;
};

/// Stories of numbered lines. A question's documents are the statements before it in its story; its
/// id is the numbers of story and line. `task` is left empty.
std::unique_ptr<SampleSource> read_babi(const std::filesystem::path& path,
                                        const ReadOptions& options);

/// Lines of the first file with those of the others as references. Languages are the files' endings
/// (`.en`, `.de.gz`). Throws kBadInput naming the files when they have different numbers of lines,
/// kInvalidArgument when there is only one.
std::unique_ptr<SampleSource> read_parallel(const std::vector<std::filesystem::path>& paths,
                                            const ReadOptions& options);

// Shared by the parsers.

/// A string with something to see in it.
const std::string& filled_string(const text::JsonView& value);
/// The strings of an array that is not empty, each with something to see in it.
std::vector<std::string> filled_strings(const text::JsonView& value);
/// A string, or a whole number as its digits; empty when there is none.
std::string id_of(const std::optional<text::JsonView>& value);
bool is_blank(std::string_view text);
/// Of a Schema-Guided Dialogue: who says what, two turns at least.
std::vector<TaskDocument> turns_of(const text::JsonView& record);

}  // namespace dsrasq::data
