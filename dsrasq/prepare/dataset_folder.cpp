#include "dsrasq/prepare/dataset_folder.h"

#include <system_error>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/core/hash.h"

namespace dsrasq::prepare {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kInDatasetFolder = "prepare.dataset_folder";
constexpr const char* kManifest = "manifest.json";
constexpr const char* kSettings = "settings.json";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

}  // namespace

Json described_file(const fs::path& path) {
  const MappedFile file(path);
  Fingerprint hash;
  hash.add(file.bytes());
  return {{"file", path.filename().string()},
          {"bytes", file.bytes().size()},
          {"fingerprint", hash.hex()}};
}

DatasetFolder::DatasetFolder(fs::path folder, Json settings)
    : folder_(std::move(folder)), settings_(std::move(settings)) {
  const fs::path begun = parts() / kSettings;
  std::error_code ignored;
  if (is_there(file(kManifest))) {
    check_same(read(file(kManifest)).value("settings", Json::object()));
  } else if (is_there(begun)) {
    if (has_parts()) check_same(read(begun));
  } else {
    const bool is_free = !fs::is_directory(folder_, ignored) || fs::is_empty(folder_, ignored);
    DSRASQ_CHECK(is_free, kInvalidArgument, kInDatasetFolder, folder_.string(),
                 " holds something that is no data set of this program; name a new folder");
  }
}

DatasetFolder::~DatasetFolder() {
  if (!has_begun_ || has_parts() || is_there(file(kManifest))) return;
  std::error_code ignored;
  fs::remove_all(parts(), ignored);
  fs::remove(folder_, ignored);  // unless there is something else in it
}

bool DatasetFolder::has_parts() const {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(parts(), error))
    if (entry.path().extension() == ".tokens") return true;
  return false;
}

void DatasetFolder::begin() {
  std::error_code error;
  fs::create_directories(parts(), error);
  DSRASQ_CHECK(!error, kOutput, kInDatasetFolder, parts().string(),
               ": the folder cannot be made: ", error.message());
  has_begun_ = true;
  write_file(parts() / kSettings, settings_.dump(2) + '\n');
}

Json DatasetFolder::read(const fs::path& path) const {
  Json value = Json::parse(read_file(path), nullptr, false);
  DSRASQ_CHECK(value.is_object(), kBadInput, kInDatasetFolder, path.string(), " is damaged");
  return value;
}

void DatasetFolder::check_same(const Json& there) const {
  for (const auto& [name, value] : settings_.items()) {
    const Json old = there.value(name, Json());
    if (old == value) continue;
    const bool is_option = value.is_number() || value.is_string();
    const std::string detail =
        is_option ? concat(": ", name, " was ", old.dump(), ", not ", value.dump()) : "";
    throw Error(ErrorCode::kInvalidArgument, kInDatasetFolder,
                concat(folder_.string(), " holds a data set made from other ",
                       is_option ? "options" : name, detail, "; name another folder"));
  }
}

std::optional<Json> DatasetFolder::finished() const {
  if (!is_there(file(kManifest))) return std::nullopt;
  Json manifest = read(file(kManifest));
  for (const Json& entry : manifest.value("files", Json::array())) {
    const fs::path path = folder_ / entry.value("file", std::string());
    if (!is_there(path) || described_file(path) != entry) return std::nullopt;
  }
  return manifest;
}

Json DatasetFolder::finish(Json facts, const std::vector<std::string>& files) const {
  facts["settings"] = settings_;
  facts["files"] = Json::array();
  for (const std::string& name : files) facts["files"].push_back(described_file(folder_ / name));
  write_file(file(kManifest), facts.dump(2, ' ', false, Json::error_handler_t::replace) + '\n');
  std::error_code ignored;  // what stays does no harm
  fs::remove_all(parts(), ignored);
  return facts;
}

}  // namespace dsrasq::prepare
