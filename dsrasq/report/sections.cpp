#include "dsrasq/report/sections.h"

namespace dsrasq::report {

std::vector<Section> make_sections(const std::vector<ResultFile>& files) {
  std::vector<Section> sections;
  for (const auto make : {perplexity_section, needle_section, gist_section, task_section,
                          speed_section, sweep_section, answer_section}) {
    Section section = make(files);
    if (!section.figures.empty() || !section.missing.empty())
      sections.push_back(std::move(section));
  }
  return sections;
}

}  // namespace dsrasq::report
