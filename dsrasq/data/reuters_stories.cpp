// Reuters-21578, Distribution 1.0 (Lewis 1997): SGML by its own rules, which no parser of HTML or
// XML knows: latin-1, control characters as entities, elements that are not always there.

#include <algorithm>
#include <charconv>
#include <vector>

#include "dsrasq/core/error.h"
#include "dsrasq/core/log.h"
#include "dsrasq/data/corpus_formats.h"
#include "dsrasq/data/tar_reader.h"
#include "dsrasq/data/task_formats.h"
#include "dsrasq/data/time_stamp.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::data {
namespace {

using View = std::string_view;

constexpr const char* kInReuters = "data.reuters_stories";

// What stands between "<TAG...>" and "</TAG>"; nothing when either is missing.
std::optional<View> element(View story, View tag) {
  const size_t open = story.find(concat('<', tag));
  const size_t begin = open == View::npos ? open : story.find('>', open);
  const size_t end = begin == View::npos ? begin : story.find(concat("</", tag, '>'), begin);
  if (end == View::npos) return std::nullopt;
  return story.substr(begin + 1, end - begin - 1);
}

View attribute(View tag, View name) {
  const size_t at = tag.find(concat(' ', name, "=\""));
  if (at == View::npos) return {};
  const View value = tag.substr(at + name.size() + 3);
  return value.substr(0, value.find('"'));
}

std::string without_tags(View text) {
  std::string out;
  while (!text.empty()) {
    const size_t open = std::min(text.find('<'), text.size());
    out += text.substr(0, open);
    const size_t close = text.find('>', open);
    text.remove_prefix(close == View::npos ? text.size() : close + 1);
    if (close != View::npos) out += '\n';
  }
  return out;
}

// The character of an entity without "&" and ";"; nothing for what is to be left out.
std::optional<char32_t> entity(View name) {
  if (name == "lt") return U'<';
  if (name == "gt") return U'>';
  if (name == "amp") return U'&';
  uint32_t code = 0;
  if (name.starts_with('#')) std::from_chars(name.data() + 1, name.data() + name.size(), code);
  const bool is_seen = code >= 0x20 && code < 0x7F;
  return is_seen ? std::optional<char32_t>(code) : std::nullopt;
}

// Latin-1 with entities as UTF-8 without control characters.
std::string decoded(View text) {
  constexpr size_t kLongestEntity = 8;
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t end = byte == '&' ? text.substr(i, kLongestEntity).find(';') : View::npos;
    if (end != View::npos) {
      if (const auto character = entity(text.substr(i + 1, end - 1)))
        text::append_utf8(out, *character);
      i += end;
    } else if ((byte >= 0x20 && byte != 0x7F) || byte == '\n' || byte == '\t') {
      text::append_utf8(out, byte);
    }
  }
  return out;
}

// Without white space at the end and empty lines at the start.
std::string tidied(std::string text) {
  text.resize(text.find_last_not_of(" \t\r\n") + 1);
  const size_t first = text.find_first_not_of(" \t\r\n");
  const size_t line = first == std::string::npos ? first : text.rfind('\n', first);
  return line == std::string::npos ? text : text.substr(line + 1);
}

class ReutersStories : public RecordSource {
 public:
  ReutersStories(const std::filesystem::path& path, const ReadOptions& options) {
    if (TarReader::is_one(path)) {
      TarReader archive(path, options);
      while (auto member = archive.next())
        if (member->name.ends_with(".sgm"))
          files_.push_back({concat(path.string(), ": ", member->name), std::move(member->bytes)});
      DSRASQ_CHECK(
          !files_.empty(), kBadInput, kInReuters, path.string(),
          " holds no .sgm file (other archives than those of Reuters-21578 have to be unpacked)");
      std::sort(files_.begin(), files_.end(),
                [](const TarMember& a, const TarMember& b) { return a.name < b.name; });
    } else {
      files_.push_back({path.string(), read_bytes(path, options)});
    }
  }

  std::optional<CorpusRecord> next() override {
    constexpr View kOpen = "<REUTERS", kClose = "</REUTERS>";
    while (i_file_ < files_.size()) {
      const View all = files_[i_file_].bytes;
      const size_t begin = all.find(kOpen, at_);
      check(begin != View::npos || at_ > 0, "no <REUTERS> begins here");
      if (begin == View::npos) {
        ++i_file_, at_ = 0, line_ = 1;
        continue;
      }
      go_to(begin);
      const size_t end = all.find(kClose, begin);
      check(end != View::npos && all.substr(begin + 1, end - begin).find(kOpen) == View::npos,
            "the story that begins here has no </REUTERS>");
      std::optional<CorpusRecord> record = story(all.substr(begin, end - begin));
      go_to(end + kClose.size());
      if (record) return record;
    }
    return std::nullopt;
  }

 private:
  static std::string read_bytes(const std::filesystem::path& path, const ReadOptions& options) {
    ByteStream stream(path, options.max_bytes);
    std::string bytes, part(1 << 16, '\0');
    while (const size_t n = stream.read(part)) bytes.append(part, 0, n);
    return bytes;
  }

  void go_to(size_t at) {
    const std::string& all = files_[i_file_].bytes;
    line_ += std::count(all.begin() + static_cast<ptrdiff_t>(at_),
                        all.begin() + static_cast<ptrdiff_t>(at), '\n');
    at_ = at;
  }

  std::string place() const { return concat(files_[i_file_].name, " line ", line_); }

  template <class... Parts>
  void check(bool holds, const Parts&... parts) const {
    DSRASQ_CHECK(holds, kBadInput, kInReuters, place(), ": ", parts...);
  }

  // Nothing of a story without text: the official files have one.
  std::optional<CorpusRecord> story(View bytes) const {
    CorpusRecord record{std::string(attribute(bytes.substr(0, bytes.find('>')), "NEWID"))};
    check(!record.id.empty(), "the story has no NEWID");
    const auto date = element(bytes, "DATE");
    check(date.has_value(), "story ", record.id, " has no DATE");
    const auto time = parse_news_time(*date);
    check(time.has_value(), "the DATE of story ", record.id, " is \"", decoded(*date),
          "\", want a day as 26-FEB-1987");
    if (!time->is_whole)
      log(LogLevel::kWarn, concat(place(), ": the clock of story ", record.id, " is \"",
                                  decoded(*date), "\"; only its day counts"));
    record.time_ms = time->ms;
    const auto text = element(bytes, "TEXT");
    check(text.has_value(), "story ", record.id, " has no TEXT");
    record.title = tidied(decoded(element(*text, "TITLE").value_or("")));
    const auto body = element(*text, "BODY");
    record.text =
        body ? concat(record.title, record.title.empty() ? "" : "\n", tidied(decoded(*body)))
             : tidied(decoded(without_tags(*text)));
    if (!is_blank(record.text)) return record;
    log(LogLevel::kWarn,
        concat(place(), ": the TEXT of story ", record.id, " is empty; it is left out"));
    return std::nullopt;
  }

  std::vector<TarMember> files_;
  size_t i_file_ = 0, at_ = 0;
  int64_t line_ = 1;  // of at_
};

}  // namespace

std::unique_ptr<RecordSource> read_reuters(const std::filesystem::path& path,
                                           const ReadOptions& options) {
  return std::make_unique<ReutersStories>(path, options);
}

}  // namespace dsrasq::data
