#pragma once

// Which files belong together, and what tells the curves of one plot apart.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/report/figure.h"

namespace dsrasq::report {

using FileList = std::vector<const ResultFile*>;

/// The files whose result is an `R`, in their order.
template <class R>
FileList files_with(const std::vector<ResultFile>& files) {
  FileList out;
  for (const ResultFile& file : files)
    if (std::holds_alternative<R>(file.result)) out.push_back(&file);
  return out;
}

/// Files whose options named in `keys` are equal, in order of their first file. Files without
/// options stand alone.
std::vector<FileList> grouped_by(const FileList& files, const std::vector<std::string_view>& keys);

/// What the names of all files begin with, without the dash or digits where they part; the first
/// name "and others" where that is nothing.
std::string common_name(const FileList& files);

/// Files that measured one thing at several places.
struct Variant {
  std::string name;  ///< empty where there is only one
  FileList files;

  /// "policy", or "policy, name" where there are several variants.
  std::string label(const std::string& policy) const;
};

/// Puts files together that differ only in the options `ignored` and in what changes no figure,
/// unless two of them have a cell in common: then the later one begins another variant. A variant
/// is named after its file, or after what the names of its files begin with.
std::vector<Variant> variants_of(
    const FileList& files, const std::vector<std::string_view>& ignored,
    const std::function<std::set<std::string>(const ResultFile&)>& cells);

/// Gives series of one colour different marks.
class Looks {
 public:
  Look next(const std::string& family);

 private:
  std::map<int, int> used_;
};

/// "a.json", "a.json and b.json", "a.json, b.json and c.json".
std::string names_of(const FileList& files);

}  // namespace dsrasq::report
