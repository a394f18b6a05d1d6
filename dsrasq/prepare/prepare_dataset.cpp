#include "dsrasq/prepare/prepare_dataset.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/core/hash.h"
#include "dsrasq/core/process.h"
#include "dsrasq/data/task_reader.h"
#include "dsrasq/data/text_memory.h"
#include "dsrasq/data/time_stamp.h"
#include "dsrasq/prepare/dataset_folder.h"
#include "dsrasq/prepare/encoded_parts.h"
#include "dsrasq/prepare/question_units.h"
#include "dsrasq/prepare/record_units.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::prepare {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kInPrepare = "prepare.prepare_dataset";
constexpr int64_t kMaxContext = 65'536;  // tokens
constexpr const char* kTokens = "data.tokens";

Json settings_of(const DatasetPlan& plan, const PrepareOptions& options,
                 const text::Tokenizer& tokenizer) {
  Json files = Json::array();
  for (const auto& path : plan.files.paths) files.push_back(described_file(path));
  return {{"kind", kind_name(plan.kind)},
          {"format", plan.files.format},
          {"length", options.length},
          {"block", options.block},
          {"seed", options.seed},
          {"source", options.source},
          {"licence", options.licence},
          {"tokenizer", tokenizer.fingerprint()},
          {"inputs", files}};
}

// Where the texts are from, and when.
struct Texts {
  std::unique_ptr<UnitSource> units;
  Json facts;
};

Texts load_samples(const DatasetPlan& plan, const PrepareOptions& options,
                   const text::Tokenizer& tokenizer) {
  std::vector<std::string> paths;
  for (const auto& path : plan.files.paths) paths.push_back(path.string());
  data::TaskReader reader(paths, plan.files.format);
  std::vector<data::TaskSample> samples;
  while (auto sample = reader.next()) {
    check_interrupt();
    samples.push_back(std::move(*sample));
  }
  const TextEncoder encoder{
      .encode = [&](std::string_view text) { return tokenizer.encode_with_offsets(text); },
      .end = tokenizer.eos()};
  const bool is_qa = plan.kind == DatasetKind::kQa;
  QuestionContexts contexts(
      std::move(samples), encoder,
      {.length = is_qa ? options.length : 0, .seed = options.seed, .needs_gold = is_qa});
  const bool evaluates = data::only_evaluates(data::parse_task_format(plan.files.format));
  return {question_units(std::move(contexts)), {{"only_evaluates", evaluates}}};
}

Texts load_records(const DatasetPlan& plan, const text::Tokenizer& tokenizer) {
  data::CorpusReader reader(plan.files);
  std::vector<data::CorpusRecord> records;
  int64_t first = std::numeric_limits<int64_t>::max(), last = std::numeric_limits<int64_t>::min();
  while (auto record = reader.next()) {
    if (record->time_ms) {
      first = std::min(first, *record->time_ms);
      last = std::max(last, *record->time_ms);
    }
    records.push_back(std::move(*record));
  }
  Json facts = Json::object();
  if (first <= last)
    facts = {{"first_time", data::iso_time(first)}, {"last_time", data::iso_time(last)}};
  return {record_units(std::move(records), plan.kind, tokenizer), facts};
}

void check_fits(const data::CorpusFiles& files) {
  uint64_t bytes = 0;
  for (const auto& path : files.paths) bytes += data::text_memory(path).all_texts;
  data::check_free_memory(bytes, concat("the data (", files.paths.size(), " files)"));
}

}  // namespace

DatasetPlan plan_dataset(const PrepareOptions& options) {
  DSRASQ_CHECK(!options.inputs.empty(), kInvalidArgument, kInPrepare,
               "want dsrasq data prepare INPUT... -o FOLDER");
  DSRASQ_CHECK(!options.output.empty(), kInvalidArgument, kInPrepare, "want -o FOLDER");
  DSRASQ_CHECK(options.block >= 1, kInvalidArgument, kInPrepare, "--block is ", options.block,
               ", want at least 1");
  DSRASQ_CHECK(options.length >= 0 && options.length % options.block == 0, kInvalidArgument,
               kInPrepare, "--length is ", options.length, ", want 0 or a multiple of --block (",
               options.block, ')');
  DatasetPlan plan{data::find_corpus_files(options.inputs, options.format)};
  plan.kind = choose_kind(options.kind, plan.files);
  DSRASQ_CHECK(plan.kind != DatasetKind::kQa || options.length <= kMaxContext, kInvalidArgument,
               kInPrepare, "--length is ", options.length, ", want at most ", kMaxContext,
               " for contexts of questions");
  return plan;
}

Json prepare_dataset(const DatasetPlan& plan, const PrepareOptions& options,
                     const text::Tokenizer& tokenizer,
                     const std::function<void(int64_t, int64_t)>& progress) {
  const Json settings = settings_of(plan, options, tokenizer);
  DatasetFolder folder(options.output, settings);
  if (auto manifest = folder.finished()) return *manifest;
  check_fits(plan.files);
  const Texts texts = plan.files.holds_samples ? load_samples(plan, options, tokenizer)
                                               : load_records(plan, tokenizer);
  folder.begin();
  Fingerprint identity;
  identity.add(settings.dump());
  const PartPlace place{folder.parts(), identity.hex(), tokenizer.fingerprint()};
  const auto parts = encode_parts(*texts.units, place, progress);
  const std::string rows = plan.files.holds_samples ? "questions.jsonl" : "records.jsonl";
  const JoinOptions join{.tokens = folder.file(kTokens),
                         .rows = folder.file(rows.c_str()),
                         .length = plan.kind == DatasetKind::kQa ? 0 : options.length,
                         .block = options.block};
  const JoinedParts joined = join_parts(parts, *texts.units, place, join);
  Json facts{{"records", joined.n_units},
             {"documents", joined.n_documents},
             {"tokens", joined.n_tokens},
             {"blocks", joined.n_blocks}};
  facts.update(texts.facts);
  return folder.finish(std::move(facts), {kTokens, rows});
}

}  // namespace dsrasq::prepare
