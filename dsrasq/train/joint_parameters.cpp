#include "dsrasq/train/joint_parameters.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "dsrasq/core/error.h"
#include "dsrasq/train/retriever_run.h"

namespace dsrasq::train {
namespace {

constexpr const char* kInJointParameters = "train.joint";
constexpr const char* kBaseline = "baseline";
constexpr uint64_t kLoraSeed = 77'000'003, kSlotSeed = 55'000'001;

std::set<std::string> targets_of(const std::string& list) {
  std::set<std::string> targets;
  std::istringstream in(list);
  for (std::string name; std::getline(in, name, ',');) {
    DSRASQ_CHECK(name == "q" || name == "k" || name == "v" || name == "o" || name == "down",
                 kInvalidArgument, kInJointParameters, "--lora-targets holds '", name,
                 "', want a list of q, k, v, o and down");
    targets.insert(name);
  }
  return targets;
}

// Features that go in and come out of a linear layer.
std::pair<int64_t, int64_t> widths(const ModelSize& model, const std::string& part) {
  const auto& s = model.shape;
  const int64_t n_q = s.n_heads * s.head_dim, n_kv = s.n_kv_heads * s.head_dim;
  if (part == "q") return {s.n_embd, n_q};
  if (part == "k" || part == "v") return {s.n_embd, n_kv};
  if (part == "o") return {n_q, s.n_embd};
  return {model.n_ff, s.n_embd};
}

retriever::LoraParameters fresh_lora(const ModelSize& model, const JointTrainOptions& o,
                                     at::Generator& generator) {
  const std::set<std::string> targets = targets_of(o.lora_targets);
  retriever::LoraParameters fresh;
  fresh.visit([&](const char* part, retriever::LowRank& low_rank) {
    if (!targets.contains(part)) return;
    const auto [n_in, n_out] = widths(model, part);
    low_rank.a = at::randn({o.lora_rank, n_in}, generator, at::kFloat)
                     .mul_(1 / std::sqrt(static_cast<double>(n_in)));
    low_rank.b = at::zeros({n_out, o.lora_rank});
  });
  return fresh;
}

// The starting adapter's values in the place of fresh ones of the same shape, `b` without its
// scale.
void take_lora(retriever::LoraParameters& fresh, retriever::LoraParameters start, double scale,
               int64_t layer) {
  std::map<std::string, retriever::LowRank> given;
  start.visit([&](const char* part, retriever::LowRank& low_rank) { given[part] = low_rank; });
  fresh.visit([&](const char* part, retriever::LowRank& low_rank) {
    const retriever::LowRank& old = given[part];
    const bool fits = old.defined() == low_rank.defined() &&
                      (!old.defined() || (old.a.sizes() == low_rank.a.sizes() &&
                                          old.b.sizes() == low_rank.b.sizes()));
    DSRASQ_CHECK(fits, kInvalidArgument, kInJointParameters, "the starting adapter's lora.", layer,
                 ".", part, " has another shape than --lora-rank and --lora-targets ask for");
    if (old.defined()) low_rank = {old.a, old.b / scale};
  });
}

// What slots there will be: those of the starting adapter, or as asked for.
SlotTensors::Kind slot_kind(const retriever::Adapter* start, const JointTrainOptions& o) {
  const auto asked = memory::find_slot_mode(o.slot_mode);  // empty where the option is
  const auto given = start ? start->slot_mode() : std::nullopt;
  DSRASQ_CHECK(given || o.slots > 0 || (!asked && o.beta == 0), kInvalidArgument,
               kInJointParameters,
               "--slot-mode and --beta are for latent slots, and there are none (--slots)");
  const auto mode = given.value_or(asked.value_or(memory::SlotMode::kContent));
  DSRASQ_CHECK(!asked || *asked == mode, kInvalidArgument, kInJointParameters,
               "the starting adapter's slots are of the mode ", memory::slot_mode_name(mode),
               ", --slot-mode is ", o.slot_mode);
  DSRASQ_CHECK(mode != memory::SlotMode::kRotate || o.beta == 0, kInvalidArgument,
               kInJointParameters, "--beta is ", o.beta,
               ", but slots of the mode rotate are replaced and never decay");
  return {.mode = mode, .fixed_beta = o.beta};
}

// The starting adapter's slots of a layer have to be for the model and the blocks.
void check_slots(const memory::SlotParameters& slots, const policy::AttentionShape& shape,
                 const JointTrainOptions& o, int64_t layer) {
  DSRASQ_CHECK(o.slots == 0 || slots.n_slots == o.slots, kInvalidArgument, kInJointParameters,
               "the starting adapter has ", slots.n_slots, " slots in layer ", layer,
               ", --slots is ", o.slots);
  DSRASQ_CHECK(slots.n_kv_heads == shape.n_kv_heads && slots.head_dim == shape.head_dim &&
                   slots.gate.size() == static_cast<size_t>(shape.n_heads),
               kBadInput, kInJointParameters, "the starting adapter's slots of layer ", layer,
               " are for a model of another shape");
  DSRASQ_CHECK(slots.block() == 0 || slots.block() == o.block, kInvalidArgument, kInJointParameters,
               "the starting adapter's slots of layer ", layer, " take in blocks of ",
               slots.block(), " tokens, --block is ", o.block);
}

// Replaces tensors by the leaves of a bank, in the order in which they went in.
template <class Parts, class GetTensor>
void replace(Parts& parts, const GetTensor& leaf) {
  size_t next = 0;
  for (auto& [layer, part] : parts)
    part.visit([&](const char*, at::Tensor& t) { t = leaf(next++); });
}

}  // namespace

JointParameters::JointParameters(const ModelSize& model, const retriever::Adapter* start,
                                 const JointTrainOptions& options, at::Device device)
    : model_(model),
      start_(start ? *start : retriever::Adapter{}),
      retriever_layers_(retriever_layers(model.shape)),
      layers_(static_cast<size_t>(model.shape.n_layers)) {
  DSRASQ_CHECK(start == nullptr || start->n_embd == model.shape.n_embd, kBadInput,
               kInJointParameters, "the starting adapter is for a width of ",
               start ? start->n_embd : 0, ", the model has ", model.shape.n_embd);
  d_max_ = start && options.max_distance == 0
               ? start->d_max
               : longest_distance(options.max_distance, model.shape.context);
  add_retriever(start, options, device);
  add_lora(start, options, device);
  add_slots(start, options, device);
  add_budgets(start, options, device);
}

void JointParameters::add_retriever(const retriever::Adapter* start, const JointTrainOptions& o,
                                    at::Device device) {
  if (start) n_heads_ = start->n_heads, head_dim_ = start->head_dim;
  std::vector<at::Tensor> values, thresholds;
  for (const int64_t layer : retriever_layers_) {
    DSRASQ_CHECK(!start || start->indexers.contains(layer), kBadInput, kInJointParameters,
                 "the starting adapter has no indexer for layer ", layer);
    indexers_[layer] =
        start ? start->indexers.at(layer)
              : retriever::Adapter::random(model_.shape.n_embd, n_heads_, head_dim_,
                                           o.seed * 1000003 + static_cast<uint64_t>(layer));
    indexers_[layer].visit([&](const char*, const at::Tensor& t) { values.push_back(t); });
    const bool known = start && start->thresholds.contains(layer);
    thresholds.push_back(
        at::full({1}, known ? start->thresholds.at(layer) : std::log(o.threshold), at::kFloat));
  }
  gradients_ = indexers_;
  groups_.push_back({"retriever", ParameterBank(values, device), o.lr_retriever, 0,
                     o.rl.trains_thresholds() ? o.lr_retriever : 0});
  const ParameterBank& bank = groups_.back().bank;
  // What does not learn wants no gradients either.
  const auto part = [](const ParameterBank& of, size_t i, bool learns) {
    return learns ? of.leaf(i) : of.leaf(i).detach();
  };
  replace(indexers_, [&](size_t i) { return part(bank, i, o.lr_retriever > 0); });
  replace(gradients_, [&](size_t i) { return bank.gradient_of(i); });
  groups_.push_back({"threshold", ParameterBank(thresholds, device),
                     o.thresholds ? o.lr_threshold : 0, 0,
                     o.rl.trains_thresholds() ? o.lr_threshold : 0});
  has_thresholds_ = o.thresholds || o.rl.trains_thresholds();
  for (size_t i = 0; i < retriever_layers_.size(); ++i) {
    StudentLayer& layer = layers_[static_cast<size_t>(retriever_layers_[i])];
    layer.indexer = &indexers_.at(retriever_layers_[i]);
    layer.threshold = part(groups_.back().bank, i, has_thresholds_ && o.lr_threshold > 0);
  }
}

void JointParameters::add_lora(const retriever::Adapter* start, const JointTrainOptions& o,
                               at::Device device) {
  const bool has_old = start && !start->lora.empty();
  DSRASQ_CHECK(o.lora_rank > 0 || !has_old, kInvalidArgument, kInJointParameters,
               "the starting adapter changes the model's weights, --lora-rank 0 asks for none");
  std::vector<at::Tensor> values;
  if (o.lora_rank > 0) {
    lora_scale_ = o.lora_alpha / static_cast<double>(o.lora_rank);
    at::Generator generator = at::detail::createCPUGenerator(o.seed + kLoraSeed);
    for (int64_t layer = 0; layer < model_.shape.n_layers; ++layer) {
      lora_[layer] = fresh_lora(model_, o, generator);
      if (has_old && start->lora.contains(layer))
        take_lora(lora_[layer], start->lora.at(layer), lora_scale_, layer);
    }
  }
  for (auto& [layer, part] : lora_)
    part.visit([&](const char*, retriever::LowRank& t) {
      if (t.defined()) values.insert(values.end(), {t.a, t.b});
    });
  groups_.push_back({"lora", ParameterBank(values, device), o.lr_lora, o.weight_decay});
  size_t next = 0;
  for (auto& [layer, part] : lora_)
    part.visit([&](const char*, retriever::LowRank& t) {
      if (!t.defined()) return;
      t.a = groups_.back().bank.leaf(next++);
      t.b = groups_.back().bank.leaf(next++);
    });
}

void JointParameters::add_slots(const retriever::Adapter* start, const JointTrainOptions& o,
                                at::Device device) {
  const auto& shape = model_.shape;
  const SlotTensors::Kind kind = slot_kind(start, o);
  const SlotTensors::Size size{.n_slots = o.slots,
                               .n_heads = shape.n_heads,
                               .n_kv_heads = shape.n_kv_heads,
                               .head_dim = shape.head_dim,
                               .block = o.block};
  for (const int64_t layer : retriever_layers_) {
    if (start && start->slots.contains(layer)) {
      check_slots(start->slots.at(layer), shape, o, layer);
      slots_[layer] = SlotTensors::from(start->slots.at(layer), kind.fixed_beta);
    } else if (o.slots > 0) {
      slots_[layer] =
          SlotTensors::fresh(size, kind, o.seed + kSlotSeed + static_cast<uint64_t>(layer));
    }
  }
  // Matrices in one group, gates and decay in another: the latter learn faster and never shrink.
  std::vector<at::Tensor> matrices, rates;
  for (auto& [layer, slots] : slots_)
    slots.visit(
        [&](const char*, const at::Tensor& t) { (t.dim() > 1 ? matrices : rates).push_back(t); });
  groups_.push_back({"slots", ParameterBank(matrices, device), o.lr_slots, o.weight_decay});
  groups_.push_back({"gates", ParameterBank(rates, device), o.lr_gates, 0});
  const ParameterBank &matrix_bank = groups_[groups_.size() - 2].bank,
                      &rate_bank = groups_.back().bank;
  size_t next_matrix = 0, next_rate = 0;
  for (auto& [layer, slots] : slots_) {
    slots.visit([&](const char*, at::Tensor& t) {
      t = t.dim() > 1 ? matrix_bank.leaf(next_matrix++) : rate_bank.leaf(next_rate++);
    });
    layers_[static_cast<size_t>(layer)].slots = &slots;
  }
}

void JointParameters::add_budgets(const retriever::Adapter* start, const JointTrainOptions& o,
                                  at::Device device) {
  std::vector<at::Tensor> values, state;
  for (const int64_t layer : retriever_layers_) {
    const bool has_old = start && start->budgets.contains(layer);
    if (!has_old && !o.rl.trains_budget()) continue;
    budgets_[layer] = has_old ? start->budgets.at(layer)
                              : retriever::BudgetParameters::fresh(model_.shape.n_embd);
    budgets_[layer].visit([&](const char*, const at::Tensor& t) { values.push_back(t); });
  }
  groups_.push_back(
      {"budget", ParameterBank(values, device), 0, 0, o.rl.trains_budget() ? o.rl.lr_budget : 0});
  replace(budgets_, [&](size_t i) { return groups_.back().bank.leaf(i); });
  // No parameter, but a checkpoint has to keep it too.
  if (o.rl.steps > 0) state.push_back(at::zeros({2}));
  groups_.push_back({kBaseline, ParameterBank(state, device)});
}

void JointParameters::set_thresholds(const std::map<int64_t, float>& thresholds) {
  for (size_t i = 0; i < retriever_layers_.size(); ++i)
    groups_[1].bank.leaf(i).detach().fill_(thresholds.at(retriever_layers_[i]));
  has_thresholds_ = true;
}

int64_t JointParameters::count() const {
  int64_t count = 0;
  for (const ParameterGroup& group : groups_)
    if (group.name != kBaseline) count += group.bank.size();
  return count;
}

retriever::LoraByLayer JointParameters::lora() const {
  retriever::LoraByLayer scaled = lora_;
  for (auto& [layer, part] : scaled)
    part.visit([&](const char*, retriever::LowRank& t) {
      if (t.defined()) t.b = t.b * lora_scale_;
    });
  return scaled;
}

retriever::Adapter JointParameters::adapter() const {
  retriever::Adapter adapter = start_;  // with what is not trained here
  adapter.n_embd = model_.shape.n_embd;
  adapter.n_heads = n_heads_;
  adapter.head_dim = head_dim_;
  adapter.d_max = d_max_;
  adapter.indexers = indexers_;
  adapter.lora = lora();
  for (size_t i = 0; i < retriever_layers_.size(); ++i)
    if (has_thresholds_)
      adapter.thresholds[retriever_layers_[i]] = groups_[1].bank.leaf(i).item<float>();
  adapter.budgets = budgets_;
  for (const auto& [layer, slots] : slots_) adapter.slots[layer] = slots.to_parameters();
  return adapter;
}

}  // namespace dsrasq::train
