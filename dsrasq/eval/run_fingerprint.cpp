#include "dsrasq/eval/run_fingerprint.h"

namespace dsrasq::eval {

RunFingerprint::RunFingerprint(const session::Engine& engine, policy::PolicyOptions options) {
  add(engine.fingerprint());
  add(engine.adapter_fingerprint());
  add(engine.options().lora);
  if (engine.options().products != session::EngineOptions().products)
    add(engine.options().products);
  options.visit([&](const auto& value, const char*, const char*) { add(value); });
  add(options.block);
  add(options.seed);
}

}  // namespace dsrasq::eval
