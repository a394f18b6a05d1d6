#include "dsrasq/policy/baselines.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "dsrasq/core/error.h"
#include "dsrasq/policy/band_layer.h"
#include "dsrasq/policy/infini_layer.h"
#include "dsrasq/policy/layered_policy.h"
#include "dsrasq/policy/prompt_layer.h"
#include "dsrasq/policy/quest_layer.h"
#include "dsrasq/policy/razor_layer.h"
#include "dsrasq/policy/stepped_layer.h"

namespace dsrasq::policy {
namespace {

constexpr const char* kInBaselines = "policy.baselines";
constexpr int64_t kDenseQuestLayers = 2;  // the first ones read everything, as in the paper
constexpr double kInfiniGate = 0.05;      // of all heads; the decision page says why

// One layer of a method: makes it, or says what it will hold.
struct LayerPlan {
  const PolicyOptions& options;
  const AttentionShape& shape;
  int64_t layer = 0;
  int64_t full_layer = 0, n_full_layers = 0;  // counted without sliding windows
  HeadShape heads;

  bool is(std::string_view name) const { return options.name == name; }
  bool is_infini() const { return is("infini") || is("infini-delta"); }
  const AttentionShape::Layer& own() const { return shape.layers[static_cast<size_t>(layer)]; }
  int64_t n_recent() const { return options.cache - options.sinks; }
  int64_t pages() const {
    return layer < kDenseQuestLayers ? 0 : QuestLayer::pages_for(options.cache);
  }

  std::unique_ptr<LayerMemory> make(const RetrievalHeads* retrieval) const;
  size_t planned_bytes() const;
};

std::unique_ptr<LayerMemory> LayerPlan::make(const RetrievalHeads* retrieval) const {
  if (own().sliding_window > 0)
    return std::make_unique<BandLayer>(heads, own().rope, 0, own().sliding_window - 1);
  if (is("streaming-llm"))
    return std::make_unique<BandLayer>(heads, own().rope, options.sinks, n_recent());
  if (is("h2o"))
    return std::make_unique<SteppedLayer>(heads, options.cache, h2o_evictor(options.cache));
  if (is("tova")) return std::make_unique<SteppedLayer>(heads, options.cache, tova_evictor());
  if (is_infini())
    return std::make_unique<InfiniLayer>(heads, options.cache, is("infini-delta"),
                                         at::full({heads.n_heads}, kInfiniGate));
  if (is("quest")) return std::make_unique<QuestLayer>(heads, pages());
  if (is("razor"))
    return std::make_unique<RazorLayer>(
        heads, retrieval->at(static_cast<size_t>(layer)),
        RazorLayer::Size{.n_sinks = options.sinks, .n_recent = n_recent()});
  return std::make_unique<PromptLayer>(heads, PromptBudget{.cache = options.cache,
                                                           .observed = options.observed,
                                                           .is_pyramid = is("pyramidkv"),
                                                           .layer = full_layer,
                                                           .n_layers = n_full_layers});
}

// Of a method that grows, by 1,024 tokens. Razor's heads are counted for all layers together.
size_t LayerPlan::planned_bytes() const {
  const bool grows = baseline_grows(options.name);
  if (own().sliding_window > 0)
    return grows ? 0 : BandLayer::planned_bytes(heads, 0, own().sliding_window - 1);
  if (is("streaming-llm")) return BandLayer::planned_bytes(heads, options.sinks, n_recent());
  if (is("h2o") || is("tova")) return SteppedLayer::planned_bytes(heads, options.cache);
  if (is_infini()) return InfiniLayer::planned_bytes(heads, options.cache);
  if (is("quest")) return QuestLayer::planned_bytes(heads, pages() > 0);
  if (is("razor"))
    return RazorLayer::planned_bytes_local(heads) * static_cast<size_t>(heads.n_kv_heads);
  return PromptLayer::planned_bytes(heads);
}

std::vector<LayerPlan> plans(const PolicyOptions& options, const AttentionShape& shape,
                             at::Device device) {
  const int64_t n_full = std::count_if(shape.layers.begin(), shape.layers.end(),
                                       [](const auto& own) { return own.sliding_window == 0; });
  std::vector<LayerPlan> plans;
  int64_t full_layer = 0;
  for (int64_t i = 0; i < shape.n_layers; ++i) {
    plans.push_back({options, shape, i, full_layer, n_full, HeadShape::of(shape, i, device)});
    full_layer += plans.back().own().sliding_window == 0;
  }
  return plans;
}

}  // namespace

const std::vector<std::string>& baseline_names() {
  static const std::vector<std::string> names{"streaming-llm", "h2o",       "tova",
                                              "snapkv",        "pyramidkv", "quest",
                                              "razor",         "infini",    "infini-delta"};
  return names;
}

bool is_baseline(std::string_view name) {
  const auto& names = baseline_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool baseline_grows(std::string_view name) {
  return name == "snapkv" || name == "pyramidkv" || name == "quest" || name == "razor";
}

bool baseline_is_untrained(std::string_view name) {
  return name == "infini" || name == "infini-delta";
}

void check_baseline_options(const PolicyOptions& options) {
  const auto check_holds = [&](bool needed, const char* option, int64_t value) {
    DSRASQ_CHECK(!needed || options.cache > value, kInvalidArgument, kInBaselines, "--cache is ",
                 options.cache, ", ", options.name, " wants more than the ", value, " of --",
                 option);
  };
  check_holds(options.name == "streaming-llm" || options.name == "razor", "sinks", options.sinks);
  check_holds(options.name == "snapkv" || options.name == "pyramidkv", "observed",
              options.observed);
}

size_t baseline_planned_bytes(const PolicyOptions& options, const AttentionShape& shape) {
  const std::vector<LayerPlan> all = plans(options, shape, at::kCPU);
  size_t bytes = 0;
  for (const LayerPlan& plan : all) bytes += plan.planned_bytes();
  if (options.name != "razor" || all.empty()) return bytes;
  const HeadShape& heads = all.front().heads;
  const int64_t n_heads = all.front().n_full_layers * shape.n_kv_heads;
  return bytes +
         static_cast<size_t>(most_retrieval_heads(n_heads)) *
             (RazorLayer::planned_bytes_retrieval(heads) - RazorLayer::planned_bytes_local(heads));
}

std::unique_ptr<Policy> make_baseline(const PolicyOptions& options, const AttentionShape& shape,
                                      at::Device device, const RetrievalHeads* heads) {
  DSRASQ_CHECK(options.name != "razor" || heads != nullptr, kInvalidArgument, kInBaselines,
               "razor needs the model's retrieval heads");
  std::vector<std::unique_ptr<LayerMemory>> layers;
  for (const LayerPlan& plan : plans(options, shape, device)) layers.push_back(plan.make(heads));
  return std::make_unique<LayeredPolicy>(options.name, shape, device, std::move(layers));
}

}  // namespace dsrasq::policy
