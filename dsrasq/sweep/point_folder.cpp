#include "dsrasq/sweep/point_folder.h"

#include <algorithm>
#include <system_error>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/text/json_view.h"

namespace dsrasq::sweep {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInPointFolder = "sweep.point_folder";
constexpr const char* kFailure = "failed.json";
constexpr uint64_t kMostResultBytes = 1 << 28;

// Nothing when the file is not there or holds no JSON object.
nlohmann::json object_in(const fs::path& path) {
  if (std::error_code error; !fs::is_regular_file(path, error)) return nullptr;
  nlohmann::json object = nlohmann::json::parse(read_file(path, kMostResultBytes), nullptr, false);
  return object.is_object() ? object : nlohmann::json();
}

}  // namespace

PointFolder::PointFolder(const fs::path& sweep_folder, const Point& point)
    : folder_(point_folder(sweep_folder, point.name)), point_(point) {}

size_t PointFolder::next_stage() const {
  const std::vector<Stage>& stages = point_.stages;
  const auto open = std::find_if(stages.begin(), stages.end(), [&](const Stage& stage) {
    return !fs::exists(result_path(stage.name));
  });
  if (open == stages.end()) return stages.size();
  const auto lost = std::find_if(stages.begin(), open, [&](const Stage& stage) {
    return std::any_of(stage.makes.begin(), stage.makes.end(),
                       [&](const std::string& file) { return !fs::exists(path(file)); });
  });
  return static_cast<size_t>(lost - stages.begin());
}

std::optional<nlohmann::json> PointFolder::result(const std::string& stage) const {
  const fs::path path = result_path(stage);
  if (!fs::exists(path)) return std::nullopt;
  return text::parse_json(read_file(path, kMostResultBytes), path.string());
}

std::optional<std::string> PointFolder::failure() const {
  const nlohmann::json record = object_in(path(kFailure));
  if (!record.is_object()) return std::nullopt;
  return record.value("message", "");
}

void PointFolder::begin(size_t stage) const {
  std::error_code error;
  fs::create_directories(folder_, error);
  DSRASQ_CHECK(!error, kOutput, kInPointFolder, folder_.string(),
               ": the folder cannot be made: ", error.message());
  fs::remove(path(kFailure), error);
  for (; stage < point_.stages.size(); ++stage)
    fs::remove(result_path(point_.stages[stage].name), error);
}

bool PointFolder::keep(const Stage& stage, int exit_status) const {
  const nlohmann::json printed = object_in(output(stage));
  const bool is_done =
      exit_status == 0 && printed.is_object() && printed.value("status", "") == "ok";
  if (is_done) {
    write_file(result_path(stage.name), read_file(output(stage), kMostResultBytes));
  } else {
    const Json record{{"stage", stage.name},
                      {"exit_status", exit_status},
                      {"message", failure_of(stage, exit_status)}};
    write_file(path(kFailure), record.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  }
  std::error_code error;
  fs::remove(output(stage), error);
  return is_done;
}

std::string PointFolder::failure_of(const Stage& stage, int exit_status) const {
  constexpr int kSignals = 128;
  const nlohmann::json printed = object_in(output(stage));
  if (printed.is_object() && printed.value("status", "") == "error" &&
      printed.contains("message") && printed["message"].is_string())
    return concat(stage.name, ": ", printed["message"].get<std::string>());
  const std::string how = exit_status > kSignals
                              ? concat("was ended by signal ", exit_status - kSignals)
                              : concat("ended with status ", exit_status);
  return concat(stage.name, " ", how, " and without a result; see ", log(stage).string());
}

void PointFolder::clear_scratch() const {
  std::error_code error;  // what stays is in nobody's way
  for (const std::string& name : point_.scratch) fs::remove_all(path(name), error);
}

}  // namespace dsrasq::sweep
