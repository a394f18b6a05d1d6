#include "dsrasq/data/task_reader.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <deque>
#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/data/json_records.h"
#include "dsrasq/data/task_formats.h"

namespace dsrasq::data {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kInTaskReader = "data.task_reader";
constexpr uint64_t kMaxRecordBytes = 128ull << 20;  // a record takes some times that in memory

struct FormatInfo {
  TaskFormat format;
  std::string_view name;
  RecordParser parse;  // null: not JSON
};
constexpr std::array<FormatInfo, 14> kFormats{{
    {TaskFormat::kHotpotQa, "hotpotqa", parse_hotpotqa},
    {TaskFormat::kMusique, "musique", parse_musique},
    {TaskFormat::kMultiRc, "multirc", parse_multirc},
    {TaskFormat::kNqOpen, "nq", parse_nq_open},
    {TaskFormat::kSquad, "squad", parse_squad},
    {TaskFormat::kSummary, "summary", parse_summary},
    {TaskFormat::kQmsum, "qmsum", parse_qmsum},
    {TaskFormat::kLongBench, "longbench", parse_longbench},
    {TaskFormat::kRuler, "ruler", parse_ruler},
    {TaskFormat::kKeyValue, "kv", parse_key_value},
    {TaskFormat::kInstruction, "instruction", parse_instruction},
    {TaskFormat::kDialogue, "dialogue", parse_dialogue},
    {TaskFormat::kBabi, "babi", nullptr},
    {TaskFormat::kParallel, "parallel", nullptr},
}};

const FormatInfo& info_of(TaskFormat format) {
  return *std::find_if(kFormats.begin(), kFormats.end(),
                       [&](const FormatInfo& info) { return info.format == format; });
}

}  // namespace

bool is_babi(std::string_view text) {
  return text.starts_with("1 ") && text.find('\t') != std::string_view::npos;
}

// Which fields tell a format from all others that are looked at after it.
std::optional<TaskFormat> task_format_of(const Json& record) {
  const auto has = [&](const char* key) { return record.contains(key); };
  if (has("ordered_kv_records")) return TaskFormat::kKeyValue;
  if (has("meeting_transcripts")) return TaskFormat::kQmsum;
  if (has("passage")) return TaskFormat::kMultiRc;
  if (has("ctxs")) return TaskFormat::kNqOpen;
  if (has("data")) return TaskFormat::kSquad;
  if (has("paragraphs") && has("question")) return TaskFormat::kMusique;
  if (has("context") && has("question")) return TaskFormat::kHotpotQa;
  if (has("context") && has("input")) return TaskFormat::kLongBench;
  if (has("input") && has("outputs")) return TaskFormat::kRuler;
  if ((has("prompt") && has("completion")) || (has("inputs") && has("targets")))
    return TaskFormat::kInstruction;
  if (has("turns")) return TaskFormat::kDialogue;
  if (has("document") || has("article") || has("dialogue")) return TaskFormat::kSummary;
  return std::nullopt;
}

namespace {

std::string key_list(const Json& record) {
  constexpr size_t kShown = 10;
  std::string keys;
  size_t n_keys = 0;
  for (const auto& [key, value] : record.items())
    if (n_keys++ < kShown) keys += concat(n_keys > 1 ? ", " : "", key.substr(0, 40));
  return n_keys == 0 ? "no fields" : n_keys > kShown ? keys + ", ..." : keys;
}

std::string stem_of(const fs::path& path) {
  fs::path name = unpacked_name(path);
  for (const char* ending : {".jsonl", ".json", ".txt"})
    if (name.extension() == ending) name.replace_extension();
  return name.filename().string();
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const fs::path ending = unpacked_name(entry.path()).extension();
    if (ending == ".json" || ending == ".jsonl") files.push_back(entry.path());
  }
  DSRASQ_CHECK(!error, kBadInput, kInTaskReader, folder.string(),
               " cannot be read: ", error.message());
  std::sort(files.begin(), files.end());
  DSRASQ_CHECK(!files.empty(), kBadInput, kInTaskReader, folder.string(),
               " holds no .json or .jsonl file");
  return files;
}

// "qa1_single-supporting-fact_train.txt" is task qa1.
std::string babi_task(const std::string& stem) {
  const auto is_digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
  if (!stem.starts_with("qa")) return stem;
  const auto end = std::find_if_not(stem.begin() + 2, stem.end(), is_digit);
  const bool is_task = end != stem.begin() + 2 && (end == stem.end() || *end == '_');
  return is_task ? std::string(stem.begin(), end) : stem;
}

std::string task_of(const fs::path& path, TaskFormat format) {
  constexpr std::array kParts{"test", "validation", "valid", "val", "dev", "train"};
  const std::string stem = stem_of(path);
  if (format == TaskFormat::kBabi) return babi_task(stem);
  const bool is_part = std::find(kParts.begin(), kParts.end(), stem) != kParts.end();
  const std::string folder = path.parent_path().filename().string();
  return is_part && !folder.empty() ? folder : stem;
}

class JsonSource : public SampleSource {
 public:
  JsonSource(const fs::path& path, RecordParser parse, const ReadOptions& options)
      : reader_(path, options), parse_(parse) {}

  std::optional<TaskSample> next() override {
    while (samples_.empty()) {
      const auto record = reader_.next();
      if (!record) return std::nullopt;
      ++n_records_;
      const Json value = text::parse_json(record->text, record->place);
      for (TaskSample& sample : parse_(text::JsonView(value, record->place))) {
        if (sample.id.empty()) sample.id = std::to_string(n_records_);
        samples_.push_back(std::move(sample));
      }
    }
    TaskSample sample = std::move(samples_.front());
    samples_.pop_front();
    return sample;
  }

 private:
  JsonRecordReader reader_;
  RecordParser parse_;
  std::deque<TaskSample> samples_;
  int64_t n_records_ = 0;
};

}  // namespace

std::string_view task_format_name(TaskFormat format) { return info_of(format).name; }

std::string task_format_names() {
  std::string names;
  for (const FormatInfo& info : kFormats) names += concat(names.empty() ? "" : ", ", info.name);
  return names;
}

bool is_task_format(std::string_view name) {
  return std::any_of(kFormats.begin(), kFormats.end(),
                     [&](const FormatInfo& info) { return info.name == name; });
}

TaskFormat parse_task_format(std::string_view name) {
  for (const FormatInfo& info : kFormats)
    if (info.name == name) return info.format;
  throw Error(ErrorCode::kInvalidArgument, kInTaskReader,
              concat("format is \"", name, "\", want auto, ", task_format_names()));
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

const std::string& filled_string(const text::JsonView& value) {
  const std::string& text = value.string();
  if (is_blank(text)) value.fail("is empty");
  return text;
}

std::vector<std::string> filled_strings(const text::JsonView& value) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < value.size(); ++i) texts.push_back(filled_string(value[i]));
  if (texts.empty()) value.fail("is empty");
  return texts;
}

std::string id_of(const std::optional<text::JsonView>& value) {
  if (!value) return "";
  if (value->is_string()) return filled_string(*value);
  return std::to_string(value->integer(0, INT64_MAX));
}

TaskFormat detect_task_format(const fs::path& path) {
  TextReader text(path);
  const std::string_view block = text.next_block();
  const size_t first = block.find_first_not_of(" \t\r\n");
  DSRASQ_CHECK(first != std::string_view::npos, kBadInput, kInTaskReader, path.string(),
               " begins with nothing but white space");
  if (block[first] == '{' || block[first] == '[') {
    ReadOptions options;
    options.max_record_bytes = kMaxRecordBytes;
    const auto record = JsonRecordReader(path, options).next();
    const Json value = record ? text::parse_json(record->text, record->place) : Json();
    if (const auto format = task_format_of(value)) return *format;
    throw Error(ErrorCode::kBadInput, kInTaskReader,
                concat(path.string(), " is in no known format: its first record has ",
                       key_list(value), "; --format names one of ", task_format_names()));
  }
  DSRASQ_CHECK(is_babi(block.substr(first)), kBadInput, kInTaskReader, path.string(),
               " is in no known format: it is neither JSON nor bAbI's numbered lines (--format: ",
               task_format_names(), ")");
  return TaskFormat::kBabi;
}

TaskReader::TaskReader(const std::vector<std::string>& paths, const std::string& format,
                       const ReadOptions& options)
    : options_(options) {
  DSRASQ_CHECK(!paths.empty(), kInvalidArgument, kInTaskReader, "no data file was named");
  options_.max_record_bytes = std::min(options_.max_record_bytes, kMaxRecordBytes);
  std::vector<fs::path> all;
  for (const std::string& path : paths) {
    std::error_code ignored;  // what cannot be looked at cannot be opened later either
    const bool is_folder = fs::is_directory(path, ignored);
    const std::vector<fs::path> found = is_folder ? files_in(path) : std::vector<fs::path>{path};
    all.insert(all.end(), found.begin(), found.end());
  }
  if (format == task_format_name(TaskFormat::kParallel)) {
    files_ = {{all, TaskFormat::kParallel}};
    return;
  }
  for (const fs::path& path : all)
    files_.push_back(
        {{path}, format == "auto" ? detect_task_format(path) : parse_task_format(format)});
}

TaskReader::~TaskReader() = default;

void TaskReader::open_next() {
  const File& file = files_[n_opened_++];
  n_samples_ = 0;
  if (file.format == TaskFormat::kParallel)
    source_ = read_parallel(file.paths, options_);
  else if (file.format == TaskFormat::kBabi)
    source_ = read_babi(file.paths[0], options_);
  else
    source_ = std::make_unique<JsonSource>(file.paths[0], info_of(file.format).parse, options_);
}

void TaskReader::complete(TaskSample& sample) {
  const File& file = files_[n_opened_ - 1];
  const std::string name = file.paths[0].string();
  if (sample.task.empty()) sample.task = task_of(file.paths[0], file.format);
  // Meetings have no ids: their queries are told apart by the file.
  if (file.format == TaskFormat::kQmsum) sample.id = concat(stem_of(file.paths[0]), '/', sample.id);
  const auto check = [&](bool holds, const char* what) {
    DSRASQ_CHECK(holds, kBadInput, kInTaskReader, name, ": sample ", sample.id, ' ', what);
  };
  check(std::any_of(sample.documents.begin(), sample.documents.end(),
                    [](const TaskDocument& document) { return !is_blank(document.text); }),
        "has no text to read");
  check(!sample.references.empty() || !sample.options.empty(), "has no answer to score against");
  check(std::none_of(sample.references.begin(), sample.references.end(), is_blank),
        "has an empty reference");
  check(seen_.emplace(sample.task, sample.id).second, "is there twice");
}

std::optional<TaskSample> TaskReader::next() {
  while (true) {
    if (source_) {
      if (std::optional<TaskSample> sample = source_->next()) {
        complete(*sample);
        ++n_samples_;
        return sample;
      }
      DSRASQ_CHECK(n_samples_ > 0, kBadInput, kInTaskReader,
                   files_[n_opened_ - 1].paths[0].string(), " holds no question");
      source_.reset();
    }
    if (n_opened_ == files_.size()) return std::nullopt;
    open_next();
  }
}

}  // namespace dsrasq::data
