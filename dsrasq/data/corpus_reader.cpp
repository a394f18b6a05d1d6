#include "dsrasq/data/corpus_reader.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/data/corpus_formats.h"
#include "dsrasq/data/documents.h"
#include "dsrasq/data/json_records.h"
#include "dsrasq/data/tar_reader.h"
#include "dsrasq/data/task_formats.h"
#include "dsrasq/data/task_reader.h"

namespace dsrasq::data {
namespace {

namespace fs = std::filesystem;
using View = std::string_view;

constexpr const char* kInCorpusReader = "data.corpus_reader";
constexpr uint64_t kMaxRecordBytes = 128ull << 20;  // a JSON record takes some times that in memory
constexpr size_t kEventColumns = 61, kKnowledgeColumns = 27;
constexpr size_t kTableColumns = 20;  // no text has so many tabs in a line

struct FormatInfo {
  View name;
  OpenRecords open;
};
constexpr std::array<FormatInfo, 7> kFormats{{
    {"text", read_texts},
    {"reuters", read_reuters},
    {"gdelt-events", read_gdelt_events},
    {"gdelt-gkg", read_gdelt_gkg},
    {"dialogue", read_service_dialogues},
    {"topical-chat", read_topical_chat},
    {"dailydialog", read_daily_dialog},
}};

const FormatInfo* find_format(View name) {
  const auto found = std::find_if(kFormats.begin(), kFormats.end(),
                                  [&](const FormatInfo& info) { return info.name == name; });
  return found == kFormats.end() ? nullptr : found;
}

bool is_topical_chat(const nlohmann::json& record) {
  if (!record.is_object() || record.empty()) return false;
  const nlohmann::json& first = record.begin().value();
  return first.is_object() && first.contains("content") && first.contains("article_url");
}

std::string json_format(const fs::path& path, const ReadOptions& options) {
  const auto record = JsonRecordReader(path, options).next();
  const auto value = record ? text::parse_json(record->text, record->place) : nlohmann::json();
  if (is_topical_chat(value)) return "topical-chat";
  if (const auto format = task_format_of(value)) return std::string(task_format_name(*format));
  if (value.contains("text") && names_jsonl(path)) return "text";
  return std::string(task_format_name(detect_task_format(path)));  // which says what is wrong
}

std::string table_format(const fs::path& path, size_t n_columns) {
  if (n_columns == kEventColumns) return "gdelt-events";
  if (n_columns == kKnowledgeColumns) return "gdelt-gkg";
  throw Error(ErrorCode::kBadInput, kInCorpusReader,
              concat(path.string(), " is in no known format: its first line has ", n_columns,
                     " tab separated columns; GDELT 2.0 has ", kEventColumns, " (events) or ",
                     kKnowledgeColumns, " (GKG)"));
}

std::string format_of(const fs::path& path, const ReadOptions& options) {
  if (TarReader::is_one(path)) return "reuters";
  TextReader reader(path, options);
  View text = reader.next_block();
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  const View line = text.substr(0, text.find('\n'));
  if (text.starts_with("<!DOCTYPE lewis") || text.starts_with("<REUTERS")) return "reuters";
  if (text.starts_with('{') || text.starts_with('[')) return json_format(path, options);
  if (line.find("__eou__") != View::npos) return "dailydialog";
  const auto n_columns = static_cast<size_t>(std::count(line.begin(), line.end(), '\t')) + 1;
  if (n_columns >= kTableColumns) return table_format(path, n_columns);
  return is_babi(text) ? "babi" : "text";
}

std::vector<fs::path> files_below(const fs::path& folder) {
  constexpr std::array<std::array<const char*, 3>, 4> kGroups{{{".sgm", ".sgm", ".sgm"},
                                                               {".json", ".jsonl", ".jsonl"},
                                                               {".csv", ".CSV", ".tsv"},
                                                               {".txt", ".md", ".markdown"}}};
  std::array<std::vector<fs::path>, kGroups.size()> found;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    const std::string ending = unpacked_name(at->path()).extension().string();
    for (size_t i = 0; i < kGroups.size(); ++i)
      if (std::find(kGroups[i].begin(), kGroups[i].end(), ending) != kGroups[i].end())
        found[i].push_back(at->path());
  }
  DSRASQ_CHECK(!error, kBadInput, kInCorpusReader, folder.string(),
               " cannot be read: ", error.message());
  if (!found[0].empty()) found[1] = found[2] = found[3] = {};  // texts about the collection
  const auto is_there = [](const auto& files) { return !files.empty(); };
  const auto n_kinds = std::count_if(found.begin(), found.end(), is_there);
  DSRASQ_CHECK(n_kinds > 0, kBadInput, kInCorpusReader, folder.string(),
               " holds no .sgm, .json, .jsonl, .csv, .tsv, .txt or .md file");
  DSRASQ_CHECK(n_kinds == 1, kBadInput, kInCorpusReader, folder.string(),
               " holds files of several kinds (JSON, tables, texts): name those that are meant");
  auto& files = *std::find_if(found.begin(), found.end(), is_there);
  std::sort(files.begin(), files.end());
  return files;
}

void check_named_once(std::vector<fs::path> paths) {
  for (fs::path& path : paths) path = path.lexically_normal();
  std::sort(paths.begin(), paths.end());
  const auto twice = std::adjacent_find(paths.begin(), paths.end());
  if (twice == paths.end()) return;
  throw Error(ErrorCode::kInvalidArgument, kInCorpusReader,
              concat(twice->string(), " is named twice"));
}

}  // namespace

std::string corpus_format_names() {
  std::string names;
  for (const FormatInfo& info : kFormats)
    if (info.name != task_format_name(TaskFormat::kDialogue)) names += concat(info.name, ", ");
  return names + task_format_names();
}

CorpusFiles find_corpus_files(const std::vector<std::string>& inputs, const std::string& format) {
  DSRASQ_CHECK(!inputs.empty(), kInvalidArgument, kInCorpusReader, "no data file was named");
  CorpusFiles files{.paths = {}, .format = format};
  DSRASQ_CHECK(format == "auto" || find_format(format) != nullptr || is_task_format(format),
               kInvalidArgument, kInCorpusReader, "--format is \"", format, "\", want auto, ",
               corpus_format_names());
  for (const std::string& input : inputs) {
    DSRASQ_CHECK(input != "-", kInvalidArgument, kInCorpusReader,
                 "standard input cannot be prepared, want files: they are read twice");
    std::error_code ignored;  // what cannot be looked at cannot be opened later either
    const auto found =
        fs::is_directory(input, ignored) ? files_below(input) : std::vector<fs::path>{input};
    files.paths.insert(files.paths.end(), found.begin(), found.end());
  }
  check_named_once(files.paths);
  ReadOptions options;
  options.max_record_bytes = kMaxRecordBytes;
  for (const fs::path& path : files.paths) {
    if (format != "auto") break;
    const std::string found = format_of(path, options);
    DSRASQ_CHECK(files.format == "auto" || files.format == found, kInvalidArgument, kInCorpusReader,
                 files.paths[0].string(), " is ", files.format, " data and ", path.string(), " is ",
                 found, " data: prepare each in a folder of its own");
    files.format = found;
  }
  files.holds_samples = find_format(files.format) == nullptr;
  return files;
}

CorpusReader::CorpusReader(CorpusFiles files, const ReadOptions& options)
    : files_(std::move(files)), options_(options) {
  options_.max_record_bytes = std::min(options_.max_record_bytes, kMaxRecordBytes);
  DSRASQ_CHECK(!files_.holds_samples, kInternal, kInCorpusReader, files_.format,
               " is read by TaskReader");
}

CorpusReader::~CorpusReader() = default;

std::optional<CorpusRecord> CorpusReader::next() {
  while (true) {
    check_interrupt();
    if (auto record = source_ ? source_->next() : std::nullopt) {
      const std::string& name = files_.paths[n_opened_ - 1].string();
      DSRASQ_CHECK(!is_blank(record->text), kBadInput, kInCorpusReader, name, ": record ",
                   record->id, " has no text");
      DSRASQ_CHECK(seen_.insert(record->id).second, kBadInput, kInCorpusReader, name, ": record ",
                   record->id, " is there twice");
      ++n_records_;
      return record;
    }
    DSRASQ_CHECK(!source_ || n_records_ > 0, kBadInput, kInCorpusReader,
                 files_.paths[n_opened_ - 1].string(), " holds no record");
    if (n_opened_ == files_.paths.size()) return std::nullopt;
    source_ = find_format(files_.format)->open(files_.paths[n_opened_++], options_);
    n_records_ = 0;
  }
}

}  // namespace dsrasq::data
