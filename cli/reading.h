#pragma once

// Texts on their way into a session, and passages of them on the way out.

#include <cstdint>
#include <string>
#include <vector>

#include "cli/console.h"
#include "dsrasq/session/passages.h"
#include "dsrasq/session/session.h"

namespace dsrasq::cli {

/// A file's text and its tokens.
struct TextFile {
  std::string path;
  std::string text;
  std::vector<int32_t> ids;
};

/// Reads and encodes files; `-` is standard input; of a .jsonl file the texts of all records, with
/// blank lines between. Throws kBadInput naming the file, and kResourceExhausted before any is read
/// when the free memory cannot hold them all.
std::vector<TextFile> load_texts(const text::Tokenizer& tokenizer,
                                 const std::vector<std::string>& paths);
int64_t count_tokens(const std::vector<TextFile>& files);

struct ReadSpeed {
  int64_t tokens = 0;
  double seconds = 0;
  double tokens_per_s() const { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }
};

/// Reads the files one after another with a progress bar, and notes them as the session's sources.
ReadSpeed read_texts(session::Session& session, const std::vector<TextFile>& files,
                     const Console& console);

/// The passages of the session's sources that `retrieved` points to, best first, at most
/// `n_passages`. Files that `files` does not hold are read again; one that is gone or has changed
/// is left out, with a warning.
std::vector<session::Passage> passages_of(session::Session& session,
                                          const std::vector<policy::RetrievedToken>& retrieved,
                                          std::vector<TextFile> files, int64_t n_passages,
                                          const Console& console);

}  // namespace dsrasq::cli
