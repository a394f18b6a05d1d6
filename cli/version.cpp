// dsrasq version: what was built, and with what.

#include <ATen/Context.h>
#include <torch/headeronly/version.h>

#include <nlohmann/json.hpp>

#include "cli/command.h"

namespace dsrasq::cli {
namespace {

struct VersionConfig {
  template <class V>
  void visit(V&&) {}
};

nlohmann::ordered_json version(const VersionConfig&, const Console& console) {
  nlohmann::ordered_json result{{"version", DSRASQ_VERSION},
                                {"libtorch", TORCH_VERSION},
                                {"compiler", __VERSION__},
                                {"cuda", at::hasCUDA()}};
  console.result_lines(result);
  return result;
}

}  // namespace

Command version_command() {
  return make_command<VersionConfig>(
      {"version", "what was built, and with what", "  dsrasq version --json\n"}, version);
}

}  // namespace dsrasq::cli
