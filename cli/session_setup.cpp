#include "cli/session_setup.h"

#include <algorithm>

#include "cli/progress.h"
#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/policy/baselines.h"

namespace dsrasq::cli {
namespace {

constexpr const char* kInSessionSetup = "cli.session_setup";
constexpr uint64_t kDefaultBudget = 2ull << 30;
constexpr int64_t kDefaultPool = 16384;
constexpr int64_t kPage = 16;
// Room for the question and the answer beside the texts.
constexpr int64_t kExtraTokens = 512;

uint64_t budget_of(const SessionOptions& options) {
  if (options.memory.bytes > 0) return options.memory.bytes;
  return std::min(kDefaultBudget, total_memory_bytes() / 4);
}

// The sizes of attention without its weights, for planning.
policy::AttentionShape planned_shape(const checkpoint::ModelConfig& config) {
  policy::AttentionShape shape;
  shape.n_layers = config.n_layers;
  shape.n_embd = config.n_embd;
  shape.n_heads = config.n_heads;
  shape.n_kv_heads = config.n_kv_heads;
  shape.head_dim = config.head_dim;
  shape.context = config.context_length;
  for (const int64_t window : config.sliding_window) {
    shape.layers.emplace_back();
    shape.layers.back().sliding_window = window;
  }
  return shape;
}

void check_fits(const SessionOptions& options) {
  policy::PolicyOptions smallest = options.policy;
  if (smallest.pool == kPoolToFit) smallest.pool = 0;
  policy::check_options(smallest);
  const auto checkpoint = checkpoint::Checkpoint::open(options.engine.model);
  const retriever::Adapter untrained;  // the default sizes: an index is a twelfth of a pool
  const uint64_t memory =
      policy::planned_bytes(smallest, planned_shape(checkpoint->config()), &untrained);
  const auto weights = static_cast<uint64_t>(checkpoint->size_bytes());
  const uint64_t available = available_memory_bytes();
  DSRASQ_CHECK(memory + weights <= available, kResourceExhausted, kInSessionSetup, "this takes ",
               format_bytes(weights), " for the model and ", format_bytes(memory),
               " for the session's memory, and ", format_bytes(available), " are free; ",
               smallest.pool > 0 ? "a smaller --pool" : "a smaller --window or model",
               " takes less");
}

}  // namespace

void AnswerOptions::check() const {
  DSRASQ_CHECK(max_tokens >= 0, kInvalidArgument, kInSessionSetup, "--max-tokens is ", max_tokens,
               ", want 0 or more");
  const model::Sampler checks_its_options(sampling);
}

session::Engine load_engine(const SessionOptions& options, const Console& console) {
  check_fits(options);
  watch_interrupts();
  session::Engine engine(options.engine);
  if (!engine.adapter_path().empty()) console.note("adapter: " + engine.adapter_path());
  return engine;
}

policy::PolicyOptions fit_pool(const session::Engine& engine, const SessionOptions& options,
                               int64_t n_tokens, const Console& console, uint64_t reserved) {
  policy::PolicyOptions policy = options.policy;
  const bool to_fit = policy.pool == kPoolToFit;
  if (to_fit) policy.pool = 0;
  const auto& shape = engine.model().shape();
  const auto planned = [&] { return policy::planned_bytes(policy, shape, engine.adapter()); };
  if (policy::memory_grows(policy)) {  // nothing is reserved
    console.note("memory: grows by " + format_bytes(planned()) + " with every 1,024 tokens");
    return policy;
  }
  const uint64_t budget = budget_of(options);
  if (to_fit || options.memory.bytes > 0)
    DSRASQ_CHECK(planned() + reserved <= budget, kResourceExhausted, kInSessionSetup,
                 "the session's memory takes ", format_bytes(planned() + reserved),
                 ", more than the ", format_bytes(budget), " of --memory; a smaller ",
                 to_fit ? "--window" : "--pool", " takes less");
  if (to_fit) {
    const int64_t wanted = n_tokens > 0 ? n_tokens + kExtraTokens : kDefaultPool;
    const int64_t most =
        policy::pool_for_budget(budget - reserved, policy, shape, engine.adapter());
    policy.pool = std::min((wanted + kPage - 1) / kPage * kPage, most);
  }
  const int64_t exact = policy.pool + policy.window + policy.sinks;
  const bool has_pool = policy.name != "window" && !policy::is_baseline(policy.name);
  if (has_pool && exact < n_tokens)
    console.note(concat("of ", format_count(n_tokens), " tokens ", format_count(exact),
                        " can be recalled exactly (", policy.retention,
                        "); a larger --memory or --pool holds more"));
  return policy;
}

bool has_room_for(uint64_t bytes, const session::Engine& engine, const SessionOptions& options) {
  policy::PolicyOptions smallest = options.policy;
  const bool to_fit = smallest.pool == kPoolToFit;
  if (!to_fit && options.memory.bytes == 0) return true;  // nobody set a budget
  if (to_fit) smallest.pool = 0;
  return policy::planned_bytes(smallest, engine.model().shape(), engine.adapter()) + bytes <=
         budget_of(options);
}

bool is_fixed(const policy::Policy& policy) {
  return !policy::memory_grows({.name = policy.name()});
}

std::string memory_line(const policy::Policy& policy) {
  return "memory: " + format_bytes(policy.bytes()) +
         (is_fixed(policy) ? " fixed for this session" : " so far");
}

void refuse_policy_options(const SessionOptions& options) {
  SessionOptions given = options, untouched;
  FieldList left, right;
  given.policy.visit(left);
  untouched.policy.visit(right);
  left(given.memory, "memory", "");
  right(untouched.memory, "memory", "");
  for (const Field& field : left.fields())
    DSRASQ_CHECK(field.text() == right.find(field.key())->text(), kInvalidArgument, kInSessionSetup,
                 field.shown(), " cannot be changed: the session file settles it");
}

}  // namespace dsrasq::cli
