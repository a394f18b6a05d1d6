#pragma once

// The readers of the single corpus formats; corpus_reader.h chooses among them. Each throws
// kBadInput naming the file, the line or record, and the field that is missing or wrong.

#include <filesystem>
#include <memory>
#include <optional>

#include "dsrasq/data/corpus_record.h"
#include "dsrasq/data/text_reader.h"

namespace dsrasq::data {

/// Records one after another. What corpus_reader.h checks for all formats is not checked here.
class RecordSource {
 public:
  virtual ~RecordSource() = default;
  [[nodiscard]] virtual std::optional<CorpusRecord> next() = 0;
};

using OpenRecords = std::unique_ptr<RecordSource> (*)(const std::filesystem::path& path,
                                                      const ReadOptions& options);

/// Plain text or Markdown, a record a file; of .jsonl, a record a line (documents.h).
std::unique_ptr<RecordSource> read_texts(const std::filesystem::path& path,
                                         const ReadOptions& options);

/// Reuters-21578 (Lewis 1997): a `.sgm` file, or a tar archive with such files, taken in the order
/// of their names. Latin-1 becomes UTF-8.
std::unique_ptr<RecordSource> read_reuters(const std::filesystem::path& path,
                                           const ReadOptions& options);

/// GDELT 2.0 (Leetaru and Schrodt 2013): rows of 61 columns (events) or 27 (the Global Knowledge
/// Graph), dated by when GDELT added them. A record's text says the row's facts in lines.
std::unique_ptr<RecordSource> read_gdelt_events(const std::filesystem::path& path,
                                                const ReadOptions& options);
std::unique_ptr<RecordSource> read_gdelt_gkg(const std::filesystem::path& path,
                                             const ReadOptions& options);

/// Schema-Guided Dialogue (Rastogi et al. 2020). The stream is the dialogue's first service.
std::unique_ptr<RecordSource> read_service_dialogues(const std::filesystem::path& path,
                                                     const ReadOptions& options);

/// Topical-Chat (Gopalakrishnan et al. 2019): one object of conversations by their ids, taken in
/// the order of the ids. The stream is the article that two people talk about.
std::unique_ptr<RecordSource> read_topical_chat(const std::filesystem::path& path,
                                                const ReadOptions& options);

/// DailyDialog (Li et al. 2017): a dialogue a line, `__eou__` behind every turn; where a tab and
/// the number of a topic follow, the stream is the topic.
std::unique_ptr<RecordSource> read_daily_dialog(const std::filesystem::path& path,
                                                const ReadOptions& options);

}  // namespace dsrasq::data
