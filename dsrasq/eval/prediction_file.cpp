#include "dsrasq/eval/prediction_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kInPredictionFile = "eval.prediction_file";

}  // namespace

PredictionFile::PredictionFile(const std::filesystem::path& path, std::vector<std::string> keys)
    : name_(path.string()), keys_(std::move(keys)) {
  if (name_.empty()) return;
  struct stat status {};
  const bool is_there = ::stat(name_.c_str(), &status) == 0;
  DSRASQ_CHECK(!is_there || S_ISREG(status.st_mode), kOutput, kInPredictionFile, name_,
               " is no regular file: answers cannot be kept there");
  const std::string text = is_there && status.st_size > 0 ? read_file(path) : "";
  read_lines(text);
  fd_ = ::open(name_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("cannot be written");
  const size_t end = text.rfind('\n') + 1;  // 0 without any
  if (end < text.size() && ::ftruncate(fd_, static_cast<off_t>(end)) != 0)
    fail("cannot be shortened");
}

PredictionFile::~PredictionFile() {
  if (fd_ >= 0) ::close(fd_);
}

void PredictionFile::fail(const char* what) const {
  throw Error(ErrorCode::kOutput, kInPredictionFile,
              concat(name_, ' ', what, ": ", std::strerror(errno)));
}

void PredictionFile::read_lines(const std::string& text) {
  const std::string start = concat("{\"", keys_.front(), '"');
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    const std::string line = text.substr(begin, end - begin);
    const int64_t number = static_cast<int64_t>(lines_.size()) + 1;
    const auto check = [&](bool holds) {
      DSRASQ_CHECK(holds, kBadInput, kInPredictionFile, name_, " line ", number,
                   " is no prediction of this program: name another file, or a new one");
    };
    if (end == std::string::npos) {  // half a line, of ours and not of any file
      check(line.substr(0, start.size()) == start.substr(0, line.size()));
      return;
    }
    Json fields = Json::parse(line, nullptr, false);
    check(fields.is_object());
    std::vector<std::string> values;
    for (const std::string& key : keys_) {
      check(fields.contains(key) && fields[key].is_string());
      values.push_back(fields[key].get<std::string>());
    }
    places_.emplace(std::move(values), number);
    lines_.push_back(std::move(fields));
    begin = end + 1;
  }
}

PredictionFile::Line PredictionFile::find(const std::vector<std::string>& values) const {
  const auto place = places_.find(values);
  if (place == places_.end()) return {};
  return {&lines_[static_cast<size_t>(place->second) - 1], place->second};
}

void PredictionFile::append(const Json& line) {
  if (fd_ < 0) return;
  const std::string text = line.dump() + '\n';
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(fd_, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot be written");
    done += static_cast<size_t>(n);
  }
}

}  // namespace dsrasq::eval
