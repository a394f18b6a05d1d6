#include "dsrasq/sweep/table.h"

#include <algorithm>

#include "dsrasq/sweep/point_folder.h"
#include "dsrasq/text/json_view.h"

namespace dsrasq::sweep {
namespace {

using text::JsonView;

struct Column {
  const char* from;  // in a result
  const char* name;  // in a row
};

void copy(const JsonView& from, std::initializer_list<Column> columns, Json& row) {
  for (const Column& column : columns) row[column.name] = from.at(column.from).value();
}

void add_perplexity(const JsonView& result, Json& row) {
  const JsonView rows = result.at("rows");
  if (rows.size() != 2) rows.fail("are not two: of full attention and of dsrasq");
  copy(rows[1], {{"perplexity", "perplexity"}}, row);
  copy(rows[0], {{"perplexity", "full_perplexity"}}, row);
  copy(rows[1],
       {{"change_percent", "change_percent"},
        {"change_interval", "change_interval"},
        {"kl", "kl"},
        {"mean_retrieved", "mean_retrieved"},
        {"cache_bytes", "cache_bytes"},
        {"tokens_per_s", "tokens_per_s"}},
       row);
  copy(rows[0], {{"tokens_per_s", "full_tokens_per_s"}}, row);
  copy(result, {{"length", "length"}}, row);
}

void add_needle(const JsonView& result, Json& row) {
  copy(result.at("rows")[0],
       {{"accuracy", "needle_accuracy"},
        {"accuracy_interval", "needle_interval"},
        {"samples", "needle_samples"}},
       row);
}

void add_train(const JsonView& result, Json& row) {
  copy(result,
       {{"tokens_per_s", "train_tokens_per_s"}, {"steps", "steps"}, {"seconds", "train_seconds"}},
       row);
}

Json row_of(const std::filesystem::path& folder, const Point& point) {
  const PointFolder files(folder, point);
  Json row{{"point", point.name}};
  for (const auto& [option, value] : point.values.items()) {
    std::string key = option;
    std::replace(key.begin(), key.end(), '-', '_');
    row[key] = value;
  }
  const auto failure = files.failure();
  row["state"] = files.is_finished() ? "finished" : failure ? "failed" : "open";
  if (failure) row["message"] = *failure;
  if (row["state"] != "finished") return row;
  const auto add = [&](const char* stage, void (*to_row)(const JsonView&, Json&)) {
    const std::string path = (point_folder(folder, point.name) / stage).string() + ".json";
    if (const auto result = files.result(stage)) to_row(JsonView(*result, path), row);
  };
  add("perplexity", add_perplexity);
  add("needle", add_needle);
  add("train", add_train);
  return row;
}

}  // namespace

Json sweep_table(const std::filesystem::path& folder, const std::vector<Point>& points) {
  Json rows = Json::array();
  for (const Point& point : points) rows.push_back(row_of(folder, point));
  const auto count = [&](const char* state) {
    return std::count_if(rows.begin(), rows.end(),
                         [&](const Json& row) { return row["state"] == state; });
  };
  Json table{
      {"points", points.size()}, {"finished", count("finished")}, {"failed", count("failed")}};
  table["rows"] = std::move(rows);
  return table;
}

}  // namespace dsrasq::sweep
