#include "dsrasq/data/dialogues.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "dsrasq/core/error.h"
#include "dsrasq/data/json_records.h"
#include "dsrasq/data/task_formats.h"

namespace dsrasq::data {
namespace {

using text::JsonView;
using View = std::string_view;

constexpr const char* kInDialogues = "data.dialogues";
constexpr View kEndOfTurn = "__eou__";

// Without white space around it, and on one line: a turn is a line of the joined text.
std::string one_line(View words) {
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

class DialogueList {
 public:
  void begin(std::string id) {
    ++n_read_;
    now_ = {id.empty() ? std::to_string(n_read_) : std::move(id), {}};
  }
  // A turn without words is no turn.
  void add(const std::string& speaker, View words) {
    if (!is_blank(words)) now_.turns.push_back({speaker, one_line(words)});
  }
  void end() {
    if (now_.turns.size() >= 2) dialogues_.push_back(std::move(now_));
  }
  std::vector<Dialogue>& dialogues() { return dialogues_; }

 private:
  Dialogue now_;
  int64_t n_read_ = 0;
  std::vector<Dialogue> dialogues_;
};

void add_turns(DialogueList& list, const JsonView& turns, const char* speaker, const char* words) {
  for (size_t i = 0; i < turns.size(); ++i)
    list.add(one_line(filled_string(turns[i].at(speaker))), turns[i].at(words).string());
}

// One dialogue, or all of Topical-Chat.
void add_record(DialogueList& list, const JsonView& record) {
  if (const auto turns = record.find("turns")) {
    list.begin(id_of(record.find("dialogue_id")));
    add_turns(list, *turns, "speaker", "utterance");
    list.end();
    return;
  }
  for (const auto& [id, conversation] : record.value().items()) {
    if (!conversation.is_object() || !conversation.contains("content"))
      record.fail(concat("lacks \"turns\", and its \"", id.substr(0, 40),
                         "\" is no conversation with \"content\""));
    list.begin(id);
    add_turns(list, record.at(id.c_str()).at("content"), "agent", "message");
    list.end();
  }
}

void add_daily_dialog(DialogueList& list, TextReader& reader) {
  for (std::string line; reader.next_line(line);) {
    if (is_blank(line)) continue;
    View rest = View(line).substr(0, line.find('\t'));
    DSRASQ_CHECK(rest.find(kEndOfTurn) != View::npos, kBadInput, kInDialogues, reader.name(),
                 " line ", reader.line_number(), " has no ", kEndOfTurn,
                 ", and is neither DailyDialog nor JSON");
    list.begin("");
    for (bool is_first = true; !is_blank(rest); is_first = !is_first) {
      const size_t end = std::min(rest.find(kEndOfTurn), rest.size());
      list.add(is_first ? "A" : "B", rest.substr(0, end));
      rest.remove_prefix(std::min(end + kEndOfTurn.size(), rest.size()));
    }
    list.end();
  }
}

bool is_json(const std::filesystem::path& path, const ReadOptions& options) {
  TextReader reader(path, options);
  const View block = reader.next_block();
  const size_t first = block.find_first_not_of(" \t\r\n");
  return first != View::npos && (block[first] == '{' || block[first] == '[');
}

}  // namespace

std::vector<Dialogue> read_dialogues(const std::filesystem::path& path,
                                     const ReadOptions& options) {
  DialogueList list;
  if (is_json(path, options)) {
    JsonRecordReader reader(path, options);
    while (const auto record = reader.next()) {
      const nlohmann::json value = text::parse_json(record->text, record->place);
      add_record(list, JsonView(value, record->place));
    }
  } else {
    TextReader reader(path, options);
    add_daily_dialog(list, reader);
  }
  DSRASQ_CHECK(!list.dialogues().empty(), kBadInput, kInDialogues, path.string(),
               " holds no dialogue of two turns");
  return std::move(list.dialogues());
}

}  // namespace dsrasq::data
