// dsrasq train joint: retriever, slots and low-rank changes to the model learn together.

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/joint_config.h"
#include "cli/staged_training.h"

namespace dsrasq::cli {
namespace {

nlohmann::ordered_json train_joint(const JointConfig& config, const Console& console) {
  return run_staged_training(config.engine, config.train, config.dry_run, console,
                             [&] { write_config(config.train.output, config); });
}

}  // namespace

Command train_joint_command() {
  return make_command<JointConfig>(
      {"train joint", "trains the adapter's retriever, weights and slots together",
       "  dsrasq train joint --data books.jsonl.xz -o adapters/model.safetensors\n"
       "  dsrasq train joint --data books.jsonl.xz -o a.safetensors --stages warmup,joint,rl "
       "--time-budget 900 --device cuda\n"
       "  dsrasq train joint --data books.tokens -o a.safetensors --time-budget 330 --topk 64 "
       "--device cuda\n"
       "  dsrasq train joint --data books.txt -o a.safetensors --slots 64 --local-share 0.5\n"
       "  dsrasq train joint --data books.tokens -o a.safetensors --stages rl "
       "--rl-steps 200 --lambda-ret 6e-5 --device cuda\n"
       "  dsrasq train joint --data books.txt -o a.safetensors --dry-run\n"},
      train_joint);
}

}  // namespace dsrasq::cli
