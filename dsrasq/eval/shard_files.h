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

}  // namespace dsrasq::eval
