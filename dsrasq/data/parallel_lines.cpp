// Translations line by line, as Multi30k (Elliott et al. 2016) and the WMT sets have them.

#include "dsrasq/core/error.h"
#include "dsrasq/data/task_formats.h"

namespace dsrasq::data {
namespace {

constexpr const char* kInParallelLines = "data.parallel_lines";

// "en" of "test.en" and "test.en.gz".
std::string language_of(const std::filesystem::path& path) {
  const std::string ending = unpacked_name(path).extension().string();
  return ending.empty() ? "" : ending.substr(1);
}

class ParallelLines : public SampleSource {
 public:
  ParallelLines(const std::vector<std::filesystem::path>& paths, const ReadOptions& options) {
    DSRASQ_CHECK(paths.size() > 1, kInvalidArgument, kInParallelLines, paths.front().string(),
                 " alone is no translation: want the source's file, then its translations");
    for (const auto& path : paths) readers_.emplace_back(path, options);
    from_ = language_of(paths[0]);
    to_ = language_of(paths[1]);
    for (size_t i = 2; i < paths.size(); ++i)
      DSRASQ_CHECK(language_of(paths[i]) == to_, kInvalidArgument, kInParallelLines,
                   paths[1].string(), " and ", paths[i].string(),
                   " are not in one language: all files but the first are references");
  }

  std::optional<TaskSample> next() override {
    std::string source, line;
    const bool has_source = readers_[0].next_line(source);
    TaskSample sample{.format = TaskFormat::kParallel,
                      .task = concat(from_, '-', to_),
                      .documents = {{"", source}},
                      .from_language = from_,
                      .to_language = to_};
    for (size_t i = 1; i < readers_.size(); ++i) {
      DSRASQ_CHECK(readers_[i].next_line(line) == has_source, kBadInput, kInParallelLines,
                   readers_[0].name(), " and ", readers_[i].name(),
                   " are not line by line: ", readers_[has_source ? i : 0].name(), " ends after ",
                   n_lines_, " lines");
      sample.references.push_back(line);
    }
    if (!has_source) return std::nullopt;
    sample.id = std::to_string(++n_lines_);
    return sample;
  }

 private:
  std::vector<TextReader> readers_;
  std::string from_, to_;
  int64_t n_lines_ = 0;
};

}  // namespace

std::unique_ptr<SampleSource> read_parallel(const std::vector<std::filesystem::path>& paths,
                                            const ReadOptions& options) {
  return std::make_unique<ParallelLines>(paths, options);
}

}  // namespace dsrasq::data
