#pragma once

// What the trainings' options have in common: a run folder, and values that a checkpoint keeps so
// that a run goes on as it was started.

#include <map>
#include <sstream>
#include <string>

namespace dsrasq::train {

template <class Options>
std::string run_folder(const Options& options) {
  return options.run_dir.empty() ? options.output + ".run" : options.run_dir;
}

/// The options that change what a run computes, by name.
template <class Options>
std::map<std::string, std::string> run_options(Options options) {
  std::map<std::string, std::string> values;
  options.visit_run([&](auto& value, const char* name, const char*) {
    std::ostringstream out;
    out << std::boolalpha << value;
    values[name] = out.str();
  });
  // A budget decides the number of steps, which the checkpoint then keeps.
  if (options.time_budget > 0) values.erase("steps");
  return values;
}

}  // namespace dsrasq::train
