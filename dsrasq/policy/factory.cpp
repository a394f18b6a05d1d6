#include "dsrasq/policy/factory.h"

#include <algorithm>

#include "dsrasq/core/error.h"
#include "dsrasq/kernels/index_scan.h"
#include "dsrasq/policy/baselines.h"
#include "dsrasq/policy/full_policy.h"
#include "dsrasq/policy/gpu_policy.h"
#include "dsrasq/policy/sparse_policy.h"

namespace dsrasq::policy {
namespace {

constexpr const char* kInFactory = "policy.factory";
constexpr int64_t kMaxDistance = int64_t{1} << 20;  // the table of angles has a row for each
constexpr int64_t kMaxTokens = int64_t{1} << 26;    // of a window or a pool: slots are int32

bool has_pool(const PolicyOptions& options) {
  return options.name != "window" && options.top_k > 0 && options.pool > 0;
}

const retriever::Adapter* index_of(const PolicyOptions& options,
                                   const retriever::Adapter* adapter) {
  return options.name == "dsrasq" ? adapter : nullptr;
}

int64_t max_distance(const PolicyOptions& options, const AttentionShape& shape,
                     const retriever::Adapter* adapter) {
  if (options.max_distance > 0) return options.max_distance;
  if (adapter != nullptr && adapter->d_max > 0) return adapter->d_max;
  return shape.context * 73 / 100;
}

std::unique_ptr<Selector> make_selector(const PolicyOptions& options, const AttentionShape& shape,
                                        const retriever::Adapter* adapter) {
  if (options.name == "dsrasq") {
    DSRASQ_CHECK(adapter != nullptr, kInvalidArgument, kInFactory, "dsrasq needs an adapter");
    return make_index_selector(options, *adapter);
  }
  if (options.name == "random") return make_random_selector(options.seed);
  if (options.name == "recency") return make_recency_selector();
  return make_oracle_selector(shape, options.sinks, options.max_distance);
}

void check_range(const char* option, int64_t value, int64_t low, int64_t high) {
  DSRASQ_CHECK(value >= low && value <= high, kInvalidArgument, kInFactory, "--", option, " is ",
               value, ", want ", low, " to ", high);
}

// What the CPU's attention and index kernels are written for.
void check_kernel_limits(const PolicyOptions& options, const AttentionShape& shape,
                         const retriever::Adapter* adapter) {
  DSRASQ_CHECK(shape.head_dim % 16 == 0 && shape.head_dim <= 256, kBadInput, kInFactory,
               "the model has a head size of ", shape.head_dim,
               ", the CPU's kernels want a multiple of 16 up to 256");
  DSRASQ_CHECK(options.max_distance <= kMaxDistance, kBadInput, kInFactory,
               "a longest distance of ", options.max_distance, " is more than ", kMaxDistance);
  if (adapter == nullptr) return;
  DSRASQ_CHECK(adapter->n_embd == shape.n_embd, kBadInput, kInFactory,
               "the adapter is for a width of ", adapter->n_embd, ", the model has ", shape.n_embd);
  DSRASQ_CHECK(adapter->n_heads <= kernels::kMaxIndexHeads && adapter->head_dim % 16 == 0 &&
                   adapter->head_dim <= kernels::kMaxIndexDim,
               kBadInput, kInFactory, "the adapter has ", adapter->n_heads, " index heads of ",
               adapter->head_dim, ", want at most ", kernels::kMaxIndexHeads,
               " of a multiple of 16 up to ", kernels::kMaxIndexDim);
}

void check_slots(const PolicyOptions& options, const AttentionShape& shape,
                 const retriever::Adapter* adapter) {
  if (adapter == nullptr || options.slots == 0) return;
  for (const auto& [layer, slots] : adapter->slots) {
    DSRASQ_CHECK(slots.n_kv_heads == shape.n_kv_heads && slots.head_dim == shape.head_dim &&
                     slots.gate.size() == static_cast<size_t>(shape.n_heads),
                 kBadInput, kInFactory, "the adapter's slots of layer ", layer,
                 " are for a model of another shape");
    DSRASQ_CHECK(slots.block() == 0 || slots.block() == options.block, kBadInput, kInFactory,
                 "the adapter's slots of layer ", layer, " take in blocks of ", slots.block(),
                 " tokens, those of the memory are of ", options.block);
  }
}

}  // namespace

const std::vector<std::string>& policy_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all{"full", "window", "dsrasq", "random", "recency", "oracle"};
    all.insert(all.end(), baseline_names().begin(), baseline_names().end());
    return all;
  }();
  return names;
}

void check_options(const PolicyOptions& options) {
  const auto& names = policy_names();
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  DSRASQ_CHECK(std::find(names.begin(), names.end(), options.name) != names.end(), kInvalidArgument,
               kInFactory, "--policy is '", options.name, "', want one of ", list);
  check_range("window", options.window, 1, kMaxTokens);
  check_range("sinks", options.sinks, 0, 4096);
  check_range("topk", options.top_k, 0, 65536);
  DSRASQ_CHECK(options.retrieve == "auto" || options.retrieve == "topk" ||
                   options.retrieve == "threshold" || options.retrieve == "budget",
               kInvalidArgument, kInFactory, "--retrieve is '", options.retrieve,
               "', want auto, topk, threshold or budget");
  DSRASQ_CHECK(options.min_share >= 0 && options.min_share < 1, kInvalidArgument, kInFactory,
               "--min-share is ", options.min_share, ", want 0 to below 1");
  DSRASQ_CHECK(
      options.min_share == 0 || options.retrieve == "auto" || options.retrieve == "threshold",
      kInvalidArgument, kInFactory, "--min-share is a threshold, --retrieve is ", options.retrieve);
  check_range("slots", options.slots, 0, 65536);
  check_range("pool", options.pool, 0, kMaxTokens);
  check_range("max-distance", options.max_distance, 0, kMaxDistance);
  check_range("cache", options.cache, 1, kMaxTokens);
  check_range("observed", options.observed, 1, 4096);
  if (is_baseline(options.name)) check_baseline_options(options);
  memory::parse_retention(options.retention);
}

bool memory_grows(const PolicyOptions& options) {
  return options.name == "full" || baseline_grows(options.name);
}

size_t planned_bytes(const PolicyOptions& options, const AttentionShape& shape,
                     const retriever::Adapter* adapter) {
  check_options(options);
  if (options.name == "full") return FullPolicy::bytes_for(shape, 1024);
  if (is_baseline(options.name)) return baseline_planned_bytes(options, shape);
  return SparsePolicy::planned_bytes(options, shape, has_pool(options), index_of(options, adapter));
}

int64_t pool_for_budget(size_t bytes, PolicyOptions options, const AttentionShape& shape,
                        const retriever::Adapter* adapter) {
  int64_t low = 0, high = kMaxTokens / memory::kPageTokens;
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    options.pool = middle * memory::kPageTokens;
    if (planned_bytes(options, shape, adapter) <= bytes)
      low = middle;
    else
      high = middle - 1;
  }
  return low * memory::kPageTokens;
}

std::unique_ptr<Policy> make_policy(const PolicyOptions& asked, const AttentionShape& shape,
                                    const retriever::Adapter* adapter, at::Device device,
                                    const RetrievalHeads* heads) {
  check_options(asked);
  if (is_baseline(asked.name)) return make_baseline(asked, shape, device, heads);
  PolicyOptions options = asked;
  options.max_distance = max_distance(asked, shape, adapter);
  check_slots(options, shape, index_of(options, adapter));
  if (!device.is_cpu()) return make_gpu_policy(options, shape, adapter, device);
  check_kernel_limits(options, shape, index_of(options, adapter));
  if (asked.name == "full") return std::make_unique<FullPolicy>(shape);
  return std::make_unique<SparsePolicy>(
      options, shape, has_pool(options) ? make_selector(options, shape, adapter) : nullptr,
      index_of(options, adapter));
}

}  // namespace dsrasq::policy
