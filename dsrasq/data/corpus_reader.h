#pragma once

// Corpora in their official file formats: which file is in which, and their texts as records.

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "dsrasq/data/corpus_record.h"
#include "dsrasq/data/text_reader.h"

namespace dsrasq::data {

/// All formats by name, for --help: those of corpora, then those of task_reader.h.
std::string corpus_format_names();

/// What files hold.
struct CorpusFiles {
  std::vector<std::filesystem::path> paths;
  std::string format;  ///< one of the names
  /// Whether the format is one that TaskReader reads, not CorpusReader.
  bool holds_samples = false;
};

/// The files that `inputs` name, and their format. A folder stands for the files below it, in the
/// order of their paths: its `.sgm` files if it has some, else its `.json` and `.jsonl`, its `.csv`
/// and `.tsv`, or its `.txt` and `.md` files (all also `.xz`, `.gz`). `format` is a name or "auto":
/// found from the files' content. Throws kInvalidArgument for no input, an unknown format, standard
/// input, a file that is named twice, and files of several formats; kBadInput naming a file that
/// cannot be read or is in no known format, and a folder that holds none or several of these kinds.
CorpusFiles find_corpus_files(const std::vector<std::string>& inputs, const std::string& format);

class RecordSource;

/// Reads files in order, one record at a time.
class CorpusReader {
 public:
  explicit CorpusReader(CorpusFiles files, const ReadOptions& options = {});
  ~CorpusReader();

  /// The next record; nothing at the end. Throws kBadInput naming the file, the line or record, and
  /// the field that is wrong; a record without text; one that is there twice; a file without any.
  [[nodiscard]] std::optional<CorpusRecord> next();

 private:
  CorpusFiles files_;
  ReadOptions options_;
  size_t n_opened_ = 0;
  std::unique_ptr<RecordSource> source_;  ///< of file n_opened_ - 1
  int64_t n_records_ = 0;                 ///< of that file
  std::set<std::string> seen_;            ///< ids
};

}  // namespace dsrasq::data
