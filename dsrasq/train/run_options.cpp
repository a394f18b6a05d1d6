#include "dsrasq/train/run_options.h"

#include <cmath>
#include <filesystem>
#include <system_error>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

// What can be tried of a path in folders that are missing is the first of them.
void check_can_write(fs::path path) {
  std::error_code error;
  while (path.has_parent_path() && !fs::exists(path.parent_path(), error))
    path = path.parent_path();
  const AtomicFileWriter tries_to_create(path);
}

}  // namespace

void check_run_options(const RunOptions& o, const char* where) {
  const auto want = [where](bool ok, const char* what) {
    DSRASQ_CHECK(ok, kInvalidArgument, where, what);
  };
  want(fs::path(o.output).has_filename(), "--output has to name the adapter to write");
  want(!o.data.empty(), "--data has to name a corpus or a token cache");
  want(o.steps >= 0 && o.steps <= 100'000'000, "--steps has to be from 0 to 100000000");
  want(o.batch >= 1 && o.batch <= 4096, "--batch has to be from 1 to 4096");
  want(o.rows >= 1 && o.rows <= 65536, "--rows has to be from 1 to 65536");
  want(o.window >= 1 && o.sinks >= 0 && o.sinks <= 1024, "--window or --sinks is out of range");
  want(o.length <= 1 << 20 && o.long_length <= 1 << 20, "--length is at most 1048576");
  want(o.length >= o.window + o.sinks + 8,
       "--length has to be at least 8 tokens more than --window and --sinks together");
  want(o.long_share == 0 || o.long_length >= o.length, "--long-length is shorter than --length");
  want(o.long_share >= 0 && o.long_share <= 1, "--long-share has to be from 0 to 1");
  want(o.recall_share >= 0 && o.recall_share <= 1, "--recall-share has to be from 0 to 1");
  want(o.task_share >= 0 && o.task_share <= 1, "--task-share has to be from 0 to 1");
  want(o.negatives_share >= 0 && o.negatives_share <= 1, "--negatives-share has to be from 0 to 1");
  want(o.conditional_weight >= 0 && std::isfinite(o.conditional_weight),
       "--conditional-weight has to be 0 or more");
  want(o.warmup >= 1 && o.clip >= 0 && o.max_distance >= 0 && o.eval_stretches >= 0,
       "--warmup, --clip, --max-distance or --eval-stretches is out of range");
  want(o.checkpoint_every >= 1, "--checkpoint-every has to be 1 or more");
}

std::string run_folder(const RunOptions& options) {
  return options.run_dir.empty() ? options.output + ".run" : options.run_dir;
}

void check_outputs(const RunOptions& options) {
  check_can_write(options.output);
  check_can_write(fs::path(run_folder(options)) / "checkpoint");
  // Its folder is not made, so it has to be there.
  if (!options.profile.empty()) {
    const AtomicFileWriter tries_to_create(options.profile);
  }
}

}  // namespace dsrasq::train
