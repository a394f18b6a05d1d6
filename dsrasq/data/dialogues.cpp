#include "dsrasq/data/dialogues.h"

#include <string_view>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/data/corpus_reader.h"

namespace dsrasq::data {
namespace {

constexpr const char* kInDialogues = "data.dialogues";

// Without white space around it, and on one line: a turn is a line of the joined text.
std::string one_line(std::string_view words) {
  std::string line;
  for (const char c : words) {
    const bool is_space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (!is_space)
      line += c;
    else if (!line.empty() && line.back() != ' ')
      line += ' ';
  }
  if (line.ends_with(' ')) line.pop_back();
  return line;
}

}  // namespace

std::vector<Dialogue> read_dialogues(const std::filesystem::path& path) {
  CorpusFiles files = find_corpus_files({path.string()}, "auto");
  const std::string format = files.format;
  const auto fail = [&] {
    throw Error(ErrorCode::kBadInput, kInDialogues,
                concat(path.string(), " is ", format, " data and holds no dialogue of two turns"));
  };
  if (files.holds_samples) fail();
  CorpusReader reader(std::move(files));
  std::vector<Dialogue> dialogues;
  while (const auto record = reader.next()) {
    Dialogue dialogue{record->id, {}};
    for (const TaskDocument& turn : record->turns)
      if (std::string words = one_line(turn.text); !words.empty())
        dialogue.turns.push_back({one_line(turn.title), std::move(words)});
    if (dialogue.turns.size() >= 2) dialogues.push_back(std::move(dialogue));
  }
  if (dialogues.empty()) fail();
  return dialogues;
}

}  // namespace dsrasq::data
