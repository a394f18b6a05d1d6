#include "dsrasq/prepare/index_text.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <system_error>

#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/prepare/block_neighbours.h"

namespace dsrasq::prepare {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using train::BlockIndexFacts;
using train::Neighbour;
using train::NeighbourTable;

constexpr const char* kInIndexText = "prepare.index_text";
constexpr int64_t kMaxNeighbours = 1024;
constexpr int64_t kChecked = 200;  // blocks

fs::path token_file(const std::string& input) {
  std::error_code error;
  fs::path path = input;
  if (fs::is_directory(path, error)) path /= "data.tokens";
  DSRASQ_CHECK(fs::exists(path, error), kBadInput, kInIndexText, path.string(),
               ": there is no such file");
  DSRASQ_CHECK(train::TokenCache::is_one(path), kBadInput, kInIndexText, path.string(),
               ": no token file; dsrasq data prepare makes one of texts");
  return path;
}

BlockIndexFacts wanted_facts(const IndexOptions& options, const IndexModel& model,
                             const train::TokenCache& cache, int64_t n_blocks) {
  return {.kind = options.kind,
          .embedding = kBlockEmbedding,
          .model = model.checkpoint.fingerprint(),
          .text = train::identify(cache),
          .block = options.block,
          .n_blocks = n_blocks,
          .dimensions = model.checkpoint.config().n_embd,
          .n_neighbours = options.neighbours,
          .max_similarity = options.max_similarity};
}

// The index that is there, if one is; it has to be of the same vectors.
std::unique_ptr<NeighbourTable> stored_table(const IndexOptions& options,
                                             const BlockIndexFacts& wanted,
                                             const train::TokenCache& cache) {
  std::error_code error;
  if (!fs::exists(options.output, error)) return nullptr;
  auto table = std::make_unique<NeighbourTable>(options.output);
  table->check_is_of(cache);
  const BlockIndexFacts& there = table->facts();
  const auto same = [&](const char* what, const auto& was, const auto& is) {
    DSRASQ_CHECK(was == is, kInvalidArgument, kInIndexText, options.output, ": is there, with ",
                 what, ' ', was, " and not ", is, "; name another --output or remove it");
  };
  same("--kind", there.kind, wanted.kind);
  same("--block", there.block, wanted.block);
  same("vectors of the model", there.model, wanted.model);
  same("the embedding", there.embedding, wanted.embedding);
  return table;
}

std::unique_ptr<VectorIndex> stored_index(const NeighbourTable& table, const std::string& name) {
  auto index = read_vector_index(table.vector_index(), name);
  const BlockIndexFacts& facts = table.facts();
  DSRASQ_CHECK(index->size() == facts.n_blocks && index->dimensions() == facts.dimensions,
               kBadInput, kInIndexText, name, ": its FAISS index has ", index->size(),
               " vectors of ", index->dimensions(), " values, want ", facts.n_blocks, " of ",
               facts.dimensions);
  return index;
}

void write_labels(const std::string& path, const std::vector<train::TextBlock>& blocks,
                  const std::vector<Neighbour>& neighbours, int64_t width) {
  AtomicFileWriter out(path);
  const auto place = [&](size_t i) {
    return Json{{"block", i},
                {"document", blocks[i].document},
                {"begin", blocks[i].begin},
                {"end", blocks[i].end}};
  };
  for (size_t i = 0; i < blocks.size(); ++i) {
    Json line = place(i), near = Json::array();
    for (int64_t j = 0; j < width; ++j) {
      const Neighbour& neighbour =
          neighbours[i * static_cast<size_t>(width) + static_cast<size_t>(j)];
      if (neighbour.block < 0) break;
      near.push_back(place(static_cast<size_t>(neighbour.block)));
      near.back()["similarity"] = neighbour.similarity;
    }
    line["neighbours"] = std::move(near);
    out.write(line.dump() + "\n");
  }
  out.commit();
}

class Clock {
 public:
  // Seconds since the last call.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// What makes the file, step by step.
class TextIndexer {
 public:
  TextIndexer(const IndexOptions& options, const IndexModel& model, const IndexProgress& progress)
      : options_(options), model_(model), progress_(progress), cache_(token_file(options.input)) {
    DSRASQ_CHECK(cache_.vocabulary() == model.vocabulary, kBadInput, kInIndexText,
                 cache_.path().string(), ": tokens of another vocabulary (", cache_.vocabulary(),
                 ", the model's is ", model.vocabulary, ")");
    DSRASQ_CHECK(cache_.n_documents() > 1, kBadInput, kInIndexText, cache_.path().string(), ": ",
                 cache_.n_documents(),
                 " document; neighbours are blocks of other documents, so want two or more");
    blocks_ = train::text_blocks(cache_, options.block);
    DSRASQ_CHECK(blocks_.size() <= std::numeric_limits<int32_t>::max(), kInvalidArgument,
                 kInIndexText, blocks_.size(), " blocks are too many; want a larger --block");
    facts_ = wanted_facts(options, model, cache_, static_cast<int64_t>(blocks_.size()));
    table_ = stored_table(options, facts_, cache_);
    if (table_ == nullptr) const AtomicFileWriter tries_to_create(options.output);
  }

  Json run() {
    Clock clock;
    vectors_ = block_vectors(cache_, blocks_, model_.checkpoint, phase("embedding"));
    const double embedding = clock.lap();
    const bool is_there = table_ && table_->facts().n_neighbours == facts_.n_neighbours &&
                          table_->facts().max_similarity == facts_.max_similarity;
    double building = 0, searching = 0;
    if (is_there) {
      neighbours_ = stored_neighbours();
    } else {
      const auto index =
          table_ ? stored_index(*table_, options_.output)
                 : build_vector_index(options_.kind,
                                      {vectors_.values.data(), vectors_.n, vectors_.dimensions},
                                      phase("building"));
      building = clock.lap();
      neighbours_ = find_neighbours(text(), *index, rules(), phase("searching"));
      searching = clock.lap();
      const std::string bytes = index->bytes();
      train::write_neighbour_table(options_.output, facts_, neighbours_,
                                   std::as_bytes(std::span(bytes.data(), bytes.size())));
    }
    if (!options_.labels.empty())
      write_labels(options_.labels, blocks_, neighbours_, options_.neighbours);
    Json result = facts_json();
    result["seconds"] = {
        {"embedding", embedding}, {"building", building}, {"searching", searching}};
    return result;
  }

 private:
  std::function<void(int64_t, int64_t)> phase(const char* name) const {
    return [this, name](int64_t done, int64_t total) {
      if (progress_) progress_(name, done, total);
    };
  }
  IndexedBlocks text() const { return {blocks_, vectors_}; }
  NeighbourRules rules() const { return {options_.neighbours, options_.max_similarity}; }
  std::vector<Neighbour> stored_neighbours() const {
    std::vector<Neighbour> all(blocks_.size() * static_cast<size_t>(options_.neighbours));
    for (int64_t i = 0; i < facts_.n_blocks; ++i) {
      const auto row = table_->of(i);
      std::copy(row.begin(), row.end(), all.begin() + i * options_.neighbours);
    }
    return all;
  }
  Json facts_json() const {
    const NeighbourFigures figures = neighbour_figures(text(), neighbours_, rules(), kChecked);
    return {{"index", options_.output},
            {"kind", facts_.kind},
            {"documents", facts_.text.n_documents},
            {"tokens", facts_.text.n_tokens},
            {"blocks", facts_.n_blocks},
            {"dimensions", facts_.dimensions},
            {"neighbours", facts_.n_neighbours},
            {"similarity",
             {{"nearest", figures.nearest},
              {"neighbours", figures.neighbours},
              {"random", figures.random}}},
            {"recall_at_10", figures.recall},
            {"checked_blocks", figures.n_checked}};
  }

  const IndexOptions& options_;
  const IndexModel& model_;
  const IndexProgress& progress_;
  train::TokenCache cache_;
  std::vector<train::TextBlock> blocks_;
  BlockIndexFacts facts_;
  std::unique_ptr<NeighbourTable> table_;
  BlockVectors vectors_;
  std::vector<Neighbour> neighbours_;
};

}  // namespace

void check_index_options(const IndexOptions& options) {
  const auto want = [](bool ok, const auto&... what) {
    DSRASQ_CHECK(ok, kInvalidArgument, kInIndexText, what...);
  };
  want(!options.input.empty() && !options.output.empty(), "want dsrasq data index DATA -o FILE");
  want(options.block >= 1 && options.block <= 1 << 20, "--block is ", options.block,
       ", want 1 to 1048576");
  want(options.neighbours >= 1 && options.neighbours <= kMaxNeighbours, "--neighbours is ",
       options.neighbours, ", want 1 to ", kMaxNeighbours);
  want(options.max_similarity > 0 && options.max_similarity <= 1, "--max-similarity is ",
       options.max_similarity, ", want more than 0 and at most 1");
  want(options.labels.empty() || options.labels != options.output,
       "--labels and --output name the same file, ", options.output);
  check_vector_index(options.kind);
}

Json index_text(const IndexOptions& options, const IndexModel& model,
                const IndexProgress& progress) {
  check_index_options(options);
  return TextIndexer(options, model, progress).run();
}

}  // namespace dsrasq::prepare
