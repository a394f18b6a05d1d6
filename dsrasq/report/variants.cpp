#include "dsrasq/report/variants.h"

#include <algorithm>
#include <array>

#include "dsrasq/core/error.h"

namespace dsrasq::report {
namespace {

constexpr std::array<std::string_view, 4> kWithoutEffect{"shard", "merge", "predictions", "quiet"};

template <class List>
bool has(const List& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

template <class Keep>
Options kept_options(const ResultFile& file, const Keep& keep) {
  Options out;
  for (const Option& option : file.options)
    if (keep(option.name)) out.push_back(option);
  return out;
}

}  // namespace

std::string common_name(const FileList& files) {
  std::string name = files.front()->stem;
  for (const ResultFile* file : files) {
    const auto end = std::mismatch(name.begin(), name.end(), file->stem.begin(), file->stem.end());
    name.erase(end.first, name.end());
  }
  if (files.size() > 1) name.erase(name.find_last_not_of("-_. 0123456789") + 1);
  return name.empty() ? files.front()->stem + " and others" : name;
}

std::vector<FileList> grouped_by(const FileList& files, const std::vector<std::string_view>& keys) {
  const auto options = [&](const ResultFile& file) {
    return kept_options(file, [&](const std::string& name) { return has(keys, name); });
  };
  std::vector<FileList> groups;
  for (const ResultFile* file : files) {
    const auto group = std::find_if(groups.begin(), groups.end(), [&](const FileList& other) {
      return !file->options.empty() && options(*other.front()) == options(*file);
    });
    if (group == groups.end())
      groups.push_back({file});
    else
      group->push_back(file);
  }
  return groups;
}

std::string Variant::label(const std::string& policy) const {
  return name.empty() ? policy : concat(policy, ", ", name);
}

std::vector<Variant> variants_of(
    const FileList& files, const std::vector<std::string_view>& ignored,
    const std::function<std::set<std::string>(const ResultFile&)>& cells) {
  struct Found {
    Options options;
    std::set<std::string> cells;
    FileList files;
  };
  std::vector<Found> found;
  for (const ResultFile* file : files) {
    const Options options = kept_options(*file, [&](const std::string& name) {
      return !has(ignored, name) && !has(kWithoutEffect, name);
    });
    const std::set<std::string> own = cells(*file);
    auto place = std::find_if(found.begin(), found.end(), [&](const Found& other) {
      const bool overlaps = std::any_of(own.begin(), own.end(), [&](const std::string& cell) {
        return other.cells.contains(cell);
      });
      return !file->options.empty() && other.options == options && !overlaps;
    });
    if (place == found.end()) place = found.insert(found.end(), Found{options, {}, {}});
    place->cells.insert(own.begin(), own.end());
    place->files.push_back(file);
  }
  std::vector<Variant> variants;
  for (Found& one : found)
    variants.push_back({found.size() > 1 ? common_name(one.files) : "", std::move(one.files)});
  return variants;
}

Look Looks::next(const std::string& family) {
  const int colour = colour_of(family);
  return {.colour = colour, .mark = used_[colour]++};
}

std::string names_of(const FileList& files) {
  std::string out;
  for (size_t i = 0; i < files.size(); ++i) {
    if (i > 0) out += i + 1 < files.size() ? ", " : " and ";
    out += files[i]->stem + ".json";
  }
  return out;
}

}  // namespace dsrasq::report
