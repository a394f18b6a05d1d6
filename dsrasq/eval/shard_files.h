#pragma once

// Reading back the results that the processes of one run wrote.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace dsrasq::eval {

/// The `samples` of all files together in the order of their number `sample`, those of one number
/// as they stand in the files. Throws kBadInput naming the file that is no JSON object with
/// `samples`, or in which a sample lacks one of `keys` or has the same values of all `keys` as
/// another.
nlohmann::ordered_json merged_samples(const std::vector<std::string>& files,
                                      const std::vector<std::string>& keys);

/// The options that the results in `files` were made with, their `config`: the first file's,
/// without `shard` and `merge`; null when no file has any. Throws kBadInput naming two files and
/// the option in which they differ, unless it is one that changes no figure (`shard`, `merge`,
/// `json`, `quiet`, `threads`, `device`).
nlohmann::ordered_json merged_config(const std::vector<std::string>& files);

}  // namespace dsrasq::eval
