// Conversations as texts of "speaker: words" lines: Schema-Guided Dialogue, Topical-Chat,
// DailyDialog. That every turn is there is checked; what was said is left as it is.

#include <nlohmann/json.hpp>
#include <vector>

#include "dsrasq/core/error.h"
#include "dsrasq/data/corpus_formats.h"
#include "dsrasq/data/json_records.h"
#include "dsrasq/data/task_formats.h"
#include "dsrasq/data/task_prompt.h"

namespace dsrasq::data {
namespace {

using text::JsonView;

constexpr const char* kInConversations = "data.conversation_records";

std::string shown_turns(const std::vector<TaskDocument>& turns) {
  std::string text;
  for (const TaskDocument& turn : turns) text += shown_document(DocumentLayout::kTurns, turn, 1);
  return text;
}

class ServiceDialogues : public RecordSource {
 public:
  ServiceDialogues(const std::filesystem::path& path, const ReadOptions& options)
      : reader_(path, options) {}

  std::optional<CorpusRecord> next() override {
    const auto record = reader_.next();
    if (!record) return std::nullopt;
    const nlohmann::json value = text::parse_json(record->text, record->place);
    const JsonView view(value, record->place);
    std::vector<TaskDocument> turns = turns_of(view);
    return CorpusRecord{.id = filled_string(view.at("dialogue_id")),
                        .text = shown_turns(turns),
                        .stream = filled_string(view.at("services")[0]),
                        .turns = std::move(turns)};
  }

 private:
  JsonRecordReader reader_;
};

class TopicalChat : public RecordSource {
 public:
  TopicalChat(const std::filesystem::path& path, const ReadOptions& options) {
    const auto record = JsonRecordReader(path, options).next();
    place_ = path.string();
    if (record) chats_ = text::parse_json(record->text, place_);
    at_ = chats_.begin();
  }

  std::optional<CorpusRecord> next() override {
    if (at_ == chats_.end()) return std::nullopt;
    const JsonView chat(at_.value(), concat(place_, ": conversation ", at_.key()));
    std::vector<TaskDocument> turns;
    const JsonView content = chat.at("content");
    for (size_t i = 0; i < content.size(); ++i)
      turns.push_back({filled_string(content[i].at("agent")), content[i].at("message").string()});
    if (turns.empty()) content.fail("is empty");
    CorpusRecord out{.id = at_.key(),
                     .text = shown_turns(turns),
                     .stream = filled_string(chat.at("article_url")),
                     .turns = std::move(turns)};
    ++at_;
    return out;
  }

 private:
  std::string place_;
  nlohmann::json chats_ = nlohmann::json::object();
  nlohmann::json::const_iterator at_;
};

// "words __eou__ words __eou__<TAB>topic<TAB>acts<TAB>emotions"
class DailyDialog : public RecordSource {
 public:
  DailyDialog(const std::filesystem::path& path, const ReadOptions& options)
      : reader_(path, options), name_(unpacked_name(path).stem().string()) {}

  std::optional<CorpusRecord> next() override {
    std::string line;
    do {
      if (!reader_.next_line(line)) return std::nullopt;
    } while (is_blank(line));
    const size_t tab = line.find('\t');
    std::vector<TaskDocument> said = turns(std::string_view(line).substr(0, tab));
    CorpusRecord record{.id = concat(name_, '/', reader_.line_number()),
                        .text = shown_turns(said),
                        .turns = std::move(said)};
    if (tab != std::string::npos) {
      const std::string rest = line.substr(tab + 1);
      record.stream = rest.substr(0, rest.find('\t'));
      check(!is_blank(record.stream), "there is no topic behind the tab");
    }
    return record;
  }

 private:
  template <class... Parts>
  void check(bool holds, const Parts&... parts) const {
    DSRASQ_CHECK(holds, kBadInput, kInConversations, reader_.name(), " line ",
                 reader_.line_number(), ": ", parts...);
  }

  std::vector<TaskDocument> turns(std::string_view text) const {
    constexpr std::string_view kEnd = "__eou__", kSpace = " \r";
    std::vector<TaskDocument> out;
    while (!is_blank(text)) {
      const size_t end = text.find(kEnd);
      check(end != std::string_view::npos, "turn ", out.size() + 1, " has no __eou__ behind it");
      std::string_view words = text.substr(0, end);
      check(!is_blank(words), "turn ", out.size() + 1, " is empty");
      words.remove_prefix(words.find_first_not_of(kSpace));
      words = words.substr(0, words.find_last_not_of(kSpace) + 1);
      out.push_back({out.size() % 2 == 0 ? "A" : "B", std::string(words)});
      text.remove_prefix(end + kEnd.size());
    }
    check(!out.empty(), "there is no turn");
    return out;
  }

  TextReader reader_;
  std::string name_;
};

}  // namespace

std::unique_ptr<RecordSource> read_service_dialogues(const std::filesystem::path& path,
                                                     const ReadOptions& options) {
  return std::make_unique<ServiceDialogues>(path, options);
}

std::unique_ptr<RecordSource> read_topical_chat(const std::filesystem::path& path,
                                                const ReadOptions& options) {
  return std::make_unique<TopicalChat>(path, options);
}

std::unique_ptr<RecordSource> read_daily_dialog(const std::filesystem::path& path,
                                                const ReadOptions& options) {
  return std::make_unique<DailyDialog>(path, options);
}

}  // namespace dsrasq::data
