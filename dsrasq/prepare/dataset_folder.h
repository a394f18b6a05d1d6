#pragma once

// The folder that a data set is made in: what it was made from, what is finished in it.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace dsrasq::prepare {

/// A folder with `manifest.json` is finished. While it is made, `parts/settings.json` says of what.
class DatasetFolder {
 public:
  /// `settings` decides what the folder will hold, by the names of options where it can. Changes
  /// nothing. Throws kInvalidArgument naming the first setting that is another in what is there,
  /// and for a folder with other things in it; kBadInput for a damaged manifest.
  DatasetFolder(std::filesystem::path folder, nlohmann::ordered_json settings);
  /// Removes the folder again where no part of it was made.
  ~DatasetFolder();
  DatasetFolder(const DatasetFolder&) = delete;
  DatasetFolder& operator=(const DatasetFolder&) = delete;

  /// The manifest, where the folder is finished and its files are as they were written.
  std::optional<nlohmann::ordered_json> finished() const;

  /// Makes the folder, or goes on in it. Throws kOutput when it cannot be made or written.
  void begin();

  /// Where unfinished work is kept; a part has its tokens in a `.tokens` file.
  std::filesystem::path parts() const { return folder_ / "parts"; }
  std::filesystem::path file(const char* name) const { return folder_ / name; }

  /// Writes the manifest, `facts` with the settings and with size and fingerprint of each of the
  /// `files`, and removes what is not needed any more. Returns it.
  nlohmann::ordered_json finish(nlohmann::ordered_json facts,
                                const std::vector<std::string>& files) const;

 private:
  nlohmann::ordered_json read(const std::filesystem::path& path) const;
  void check_same(const nlohmann::ordered_json& there) const;
  bool has_parts() const;

  std::filesystem::path folder_;
  nlohmann::ordered_json settings_;
  bool has_begun_ = false;
};

/// A file by its name, size and fingerprint (core/hash.h). Throws kBadInput when it cannot be read.
nlohmann::ordered_json described_file(const std::filesystem::path& path);

}  // namespace dsrasq::prepare
