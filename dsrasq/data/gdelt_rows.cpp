// GDELT 2.0: rows of tab separated columns without a header, as its code books of 2015 list them.

#include <vector>

#include "dsrasq/core/error.h"
#include "dsrasq/data/corpus_formats.h"
#include "dsrasq/data/task_formats.h"
#include "dsrasq/data/time_stamp.h"

namespace dsrasq::data {
namespace {

using View = std::string_view;
using Columns = std::vector<View>;

constexpr const char* kInGdelt = "data.gdelt_rows";

/// What a row's reader needs to know of a kind of rows: numbers of columns count from 0.
struct Table {
  size_t n_columns, id, time;
  const char *id_name, *time_name;
  std::string (*text)(const Columns& columns);
};

Columns split(View text, char separator) {
  Columns parts;
  while (true) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == View::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

void add_line(std::string& text, View label, View value) {
  if (!is_blank(value)) text += concat(label, ": ", value, '\n');
}

// "TAX_FNCACT;ECON_STOCKMARKET;" as "TAX_FNCACT, ECON_STOCKMARKET".
std::string listed(View list) {
  std::string out;
  for (const View item : split(list, ';'))
    if (!is_blank(item)) out += concat(out.empty() ? "" : ", ", item);
  return out;
}

// Of places, "1#Germany#GM#GM#51#9#GM;", the names.
std::string place_names(View places) {
  std::string names;
  for (const View place : split(places, ';')) {
    const Columns fields = split(place, '#');
    if (fields.size() > 1 && names.find(fields[1]) == std::string::npos)
      names += concat(names.empty() ? "" : "; ", fields[1]);
  }
  return names;
}

std::string page_title(View extras) {
  constexpr View kOpen = "<PAGE_TITLE>";
  const size_t at = extras.find(kOpen);
  if (at == View::npos) return "";
  const View title = extras.substr(at + kOpen.size());
  return std::string(title.substr(0, title.find("</PAGE_TITLE>")));
}

// Actor1Name, EventCode, ... by the Event Codebook V2.0.
std::string event_text(const Columns& columns) {
  std::string text = concat("Event ", columns[26], " (CAMEO), ", columns[1], '\n');
  add_line(text, "Actor", columns[6]);
  add_line(text, "Other actor", columns[16]);
  add_line(text, "Place", columns[52]);
  add_line(text, "Goldstein scale", columns[30]);
  add_line(text, "Mentions", columns[31]);
  add_line(text, "Tone", columns[34]);
  add_line(text, "Source", columns[60]);
  return text;
}

// V1THEMES, V1LOCATIONS, ... by the Global Knowledge Graph Codebook V2.1.
std::string knowledge_text(const Columns& columns) {
  std::string text;
  add_line(text, "Title", page_title(columns[26]));
  add_line(text, "Source", columns[3]);
  add_line(text, "Document", columns[4]);
  add_line(text, "Themes", listed(columns[7]));
  add_line(text, "Places", place_names(columns[9]));
  add_line(text, "Persons", listed(columns[11]));
  add_line(text, "Organizations", listed(columns[13]));
  add_line(text, "Tone", split(columns[15], ',')[0]);
  return text;
}

constexpr Table kEvents{61, 0, 59, "GlobalEventID", "DATEADDED", event_text};
constexpr Table kKnowledge{27, 0, 1, "GKGRECORDID", "V2.1DATE", knowledge_text};

class GdeltRows : public RecordSource {
 public:
  GdeltRows(const std::filesystem::path& path, const ReadOptions& options, const Table& table)
      : reader_(path, options), table_(table) {}

  std::optional<CorpusRecord> next() override {
    do {
      if (!reader_.next_line(line_)) return std::nullopt;
    } while (is_blank(line_));
    const Columns columns = split(line_, '\t');
    check(columns.size() == table_.n_columns, "has ", columns.size(),
          " tab separated columns, want ", table_.n_columns);
    CorpusRecord record{std::string(columns[table_.id])};
    check(!is_blank(record.id), "column 1, ", table_.id_name, ", is empty");
    const auto time = parse_digits_time(columns[table_.time]);
    check(time.has_value(), "column ", table_.time + 1, ", ", table_.time_name, ", is \"",
          columns[table_.time].substr(0, 40), "\", want 14 digits as 20150218230000");
    record.time_ms = time->ms;
    record.text = table_.text(columns);
    return record;
  }

 private:
  template <class... Parts>
  void check(bool holds, const Parts&... parts) const {
    DSRASQ_CHECK(holds, kBadInput, kInGdelt, reader_.name(), " line ", reader_.line_number(), ' ',
                 parts...);
  }

  TextReader reader_;
  const Table& table_;
  std::string line_;
};

}  // namespace

std::unique_ptr<RecordSource> read_gdelt_events(const std::filesystem::path& path,
                                                const ReadOptions& options) {
  return std::make_unique<GdeltRows>(path, options, kEvents);
}

std::unique_ptr<RecordSource> read_gdelt_gkg(const std::filesystem::path& path,
                                             const ReadOptions& options) {
  return std::make_unique<GdeltRows>(path, options, kKnowledge);
}

}  // namespace dsrasq::data
