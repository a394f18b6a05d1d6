#include "cli/reread.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "cli/progress.h"

namespace dsrasq::cli {
namespace {

// A memory of blocks this small holds little beside its window.
constexpr int64_t kBlock = 64;
// Of a passage, with the line between two of them and what cutting its text anew may add.
constexpr int64_t kPassageTokens = 112;

}  // namespace

std::vector<session::Passage> find_evidence(session::Session& session,
                                            std::span<const int32_t> question, int64_t n_passages,
                                            std::vector<TextFile> files, const Console& console) {
  session.policy().start_recording();
  session.read(question);
  return passages_of(session, session.policy().take_recording(), std::move(files), n_passages,
                     console);
}

policy::PolicyOptions reread_options(int64_t n_passages) {
  policy::PolicyOptions options{.name = "window", .block = kBlock};
  options.window = std::max(options.window, n_passages * kPassageTokens);
  return options;
}

std::unique_ptr<session::Session> reread(const session::Engine& engine, const Prompt& prompt,
                                         std::vector<session::Passage> passages,
                                         const policy::PolicyOptions& options,
                                         const Console& console) {
  std::sort(passages.begin(), passages.end(), [](const auto& a, const auto& b) {
    return std::tie(a.file, a.start) < std::tie(b.file, b.start);
  });
  std::string text;
  for (const session::Passage& passage : passages)
    text += (text.empty() ? "" : "\n\n") + passage.text;
  const std::vector<int32_t> ids = engine.tokenizer().encode(text);
  auto session = std::make_unique<session::Session>(engine, options);
  console.note("passages: " + format_count(static_cast<int64_t>(ids.size())) + " tokens, " +
               memory_line(session->policy()));
  session->read(prompt.before_texts());
  session->read(ids);
  return session;
}

}  // namespace dsrasq::cli
