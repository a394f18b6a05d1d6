#include "cli/reading.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>

#include "cli/progress.h"
#include "cli/session_setup.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/hash.h"
#include "dsrasq/data/documents.h"
#include "dsrasq/data/text_memory.h"

namespace dsrasq::cli {
namespace {

constexpr int64_t kShownFrom = 512;  // tokens: shorter reads are over before a bar is of use

std::string load_text(const std::string& path) {
  std::string text;
  data::DocumentReader reader(path);
  while (const auto document = reader.next()) {
    if (!text.empty()) text += "\n\n";
    text += document->text;
  }
  return text;
}

std::string fingerprint_of(const std::string& text) {
  Fingerprint hash;
  hash.add(text);
  return hash.hex();
}

// The text that was read as `source`, if it can still be had.
std::optional<std::string> text_of(const session::Source& source, std::vector<TextFile>& files,
                                   const Console& console) {
  std::string text;
  const auto held = std::find_if(files.begin(), files.end(),
                                 [&](const TextFile& file) { return file.path == source.path; });
  if (held != files.end()) {
    text = std::move(held->text);
    files.erase(held);
  } else {
    try {
      text = load_text(source.path);
    } catch (const Error& e) {
      console.warn(concat("no passages of ", source.path, ": ", split_message(e.what()).sentence));
      return std::nullopt;
    }
  }
  if (fingerprint_of(text) == source.fingerprint) return text;
  console.warn(concat("no passages of ", source.path, ": it changed since it was read"));
  return std::nullopt;
}

}  // namespace

std::vector<TextFile> load_texts(const text::Tokenizer& tokenizer,
                                 const std::vector<std::string>& paths) {
  uint64_t needed = 0;
  for (const std::string& path : paths) {
    const data::TextMemory memory = data::text_memory(path);
    needed += memory.all_texts + memory.tokens;
  }
  if (!paths.empty())
    data::check_free_memory(needed, paths.front() + (paths.size() > 1 ? " with the others" : ""));
  std::vector<TextFile> files;
  for (const std::string& path : paths) {
    TextFile file{path, load_text(path), {}};
    file.ids = tokenizer.encode(file.text);
    files.push_back(std::move(file));
  }
  return files;
}

int64_t count_tokens(const std::vector<TextFile>& files) {
  int64_t n_tokens = 0;
  for (const TextFile& file : files) n_tokens += static_cast<int64_t>(file.ids.size());
  return n_tokens;
}

ReadSpeed read_texts(session::Session& session, const std::vector<TextFile>& files,
                     const Console& console) {
  ReadSpeed speed;
  const int64_t total = count_tokens(files);
  const uint64_t memory = is_fixed(session.policy()) ? session.policy().bytes() : 0;
  Progress bar({.label = "reading", .memory_bytes = memory},
               !console.quiet() && total >= kShownFrom);
  const auto start = std::chrono::steady_clock::now();
  for (const TextFile& file : files) {
    // Noted first: what an interrupt leaves of it is in the memory too.
    const auto n_tokens = static_cast<int64_t>(file.ids.size());
    session.sources().push_back(
        {file.path, file.text.size(), fingerprint_of(file.text), session.position(), n_tokens});
    session.read(file.ids, [&](int64_t done, int64_t) { bar.update(speed.tokens + done, total); });
    speed.tokens += n_tokens;
  }
  speed.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return speed;
}

std::vector<session::Passage> passages_of(session::Session& session,
                                          const std::vector<policy::RetrievedToken>& retrieved,
                                          std::vector<TextFile> files, int64_t n_passages,
                                          const Console& console) {
  const retriever::Adapter* adapter = session.engine().adapter();
  const session::PassageRanking ranking(
      retrieved, adapter ? adapter->recall : std::map<int64_t, float>{}, session.position());
  if (ranking.empty()) return {};
  std::vector<session::ReadText> texts;
  for (const session::Source& source : session.sources()) {
    auto text = text_of(source, files, console);
    if (!text) continue;
    auto tokens = session.engine().tokenizer().encode_with_offsets(*text);
    texts.push_back({source.path, std::move(*text), std::move(tokens), source.first_token});
  }
  return session::find_passages(ranking, texts, {.n_passages = n_passages});
}

}  // namespace dsrasq::cli
