// bAbI (Weston et al. 2016): numbered lines; a line number 1 begins a story.

#include <algorithm>
#include <charconv>

#include "dsrasq/core/error.h"
#include "dsrasq/data/task_formats.h"

namespace dsrasq::data {
namespace {

constexpr const char* kInBabiStories = "data.babi_stories";

// Takes a whole number from the front of `text`.
bool take_number(std::string_view& text, int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return error == std::errc();
}

class BabiStories : public SampleSource {
 public:
  BabiStories(const std::filesystem::path& path, const ReadOptions& options)
      : reader_(path, options) {}

  std::optional<TaskSample> next() override {
    while (reader_.next_line(line_)) {
      if (is_blank(line_)) continue;
      const std::string_view text = begin_line();
      if (text.find('\t') != std::string_view::npos) return question(text);
      numbers_.push_back(number_);
      statements_.push_back({"", std::string(text)});
    }
    return std::nullopt;
  }

 private:
  template <class... Parts>
  void check(bool holds, const Parts&... parts) const {
    DSRASQ_CHECK(holds, kBadInput, kInBabiStories, reader_.name(), " line ", reader_.line_number(),
                 ": ", parts...);
  }

  // What stands behind the line's number, which goes on counting or begins a story.
  std::string_view begin_line() {
    std::string_view text = line_;
    int64_t number = 0;
    check(take_number(text, number) && text.starts_with(' ') && !is_blank(text),
          "want a number, a space and a text");
    check(number == 1 || (n_stories_ > 0 && number == number_ + 1), "its number is ", number,
          ", want ", number_ + 1, n_stories_ > 0 ? " or 1" : "");
    if (number == 1) {
      ++n_stories_;
      numbers_.clear();
      statements_.clear();
    }
    number_ = number;
    text.remove_prefix(1);
    return text;
  }

  // "Where is Mary? \tkitchen\t1 3"
  TaskSample question(std::string_view text) {
    TaskSample sample{.format = TaskFormat::kBabi,
                      .id = concat(n_stories_, '/', number_),
                      .documents = statements_};
    const size_t tab = text.find('\t'), second = text.find('\t', tab + 1);
    sample.question = text.substr(0, text.find_last_not_of(' ', tab - 1) + 1);
    sample.references = {std::string(text.substr(tab + 1, second - tab - 1))};
    check(!is_blank(text.substr(0, tab)), "there is no question before the tab");
    check(!is_blank(sample.references[0]), "there is no answer behind the tab");
    if (second == std::string_view::npos) return sample;
    for (std::string_view rest = text.substr(second + 1); !is_blank(rest);) {
      rest.remove_prefix(rest.find_first_not_of(' '));
      int64_t number = 0;
      const bool is_number = take_number(rest, number);
      const auto place = std::find(numbers_.begin(), numbers_.end(), number);
      check(is_number && place != numbers_.end(),
            "a supporting fact is no number of a statement before it");
      sample.documents[static_cast<size_t>(place - numbers_.begin())].is_supporting = true;
    }
    return sample;
  }

  TextReader reader_;
  std::string line_;
  int64_t number_ = 0, n_stories_ = 0;
  std::vector<int64_t> numbers_;  // of the statements
  std::vector<TaskDocument> statements_;
};

}  // namespace

std::unique_ptr<SampleSource> read_babi(const std::filesystem::path& path,
                                        const ReadOptions& options) {
  return std::make_unique<BabiStories>(path, options);
}

}  // namespace dsrasq::data
