#include "dsrasq/train/neighbour_table.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

#include "dsrasq/core/error.h"
#include "dsrasq/core/hash.h"

namespace dsrasq::train {
namespace {

constexpr const char* kInNeighbourTable = "train.neighbour_table";
constexpr const char* kIndexKind = "dsrasq block index";
constexpr uint32_t kIndexVersion = 1;
constexpr int64_t kHashedAtOnce = 1 << 20;  // tokens

static_assert(sizeof(Neighbour) == 8, "rows of the file");

std::string described(const TextIdentity& text) {
  return concat(text.n_tokens, " tokens in ", text.n_documents, " documents, ", text.fingerprint);
}

nlohmann::json json_of(const BlockIndexFacts& facts) {
  return {{"kind", facts.kind},
          {"embedding", facts.embedding},
          {"model", facts.model},
          {"tokens", facts.text.n_tokens},
          {"documents", facts.text.n_documents},
          {"text", facts.text.fingerprint},
          {"block", facts.block},
          {"blocks", facts.n_blocks},
          {"dimensions", facts.dimensions},
          {"neighbours", facts.n_neighbours},
          {"max_similarity", facts.max_similarity}};
}

BlockIndexFacts facts_of(const nlohmann::json& json) {
  return {.kind = json.at("kind"),
          .embedding = json.at("embedding"),
          .model = json.at("model"),
          .text = {.n_tokens = json.at("tokens"),
                   .n_documents = json.at("documents"),
                   .fingerprint = json.at("text")},
          .block = json.at("block"),
          .n_blocks = json.at("blocks"),
          .dimensions = json.at("dimensions"),
          .n_neighbours = json.at("neighbours"),
          .max_similarity = json.at("max_similarity")};
}

BlockIndexFacts read_facts(const formats::ChunkFile& file) {
  const auto bytes = file.require("facts");
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  BlockIndexFacts facts;
  try {
    facts = facts_of(nlohmann::json::parse(text, text + bytes.size()));
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kBadInput, kInNeighbourTable,
                concat(file.path().string(), ": section \"facts\": ", error.what()));
  }
  DSRASQ_CHECK(
      facts.block > 0 && facts.n_blocks >= 0 && facts.n_neighbours >= 0 && facts.dimensions > 0,
      kBadInput, kInNeighbourTable, file.path().string(),
      ": section \"facts\" has a size that is none");
  return facts;
}

}  // namespace

std::vector<TextBlock> text_blocks(const TokenCache& cache, int64_t length) {
  DSRASQ_CHECK(length >= 1, kInvalidArgument, kInNeighbourTable, "blocks of ", length, " tokens");
  std::vector<TextBlock> blocks;
  for (int64_t d = 0; d < cache.n_documents(); ++d)
    for (int64_t first = cache.begin(d); first < cache.end(d); first += length)
      blocks.push_back({d, first, std::min(first + length, cache.end(d))});
  return blocks;
}

TextIdentity identify(const TokenCache& cache) {
  Fingerprint hash;
  hash.add(cache.vocabulary());
  for (int64_t d = 0; d < cache.n_documents(); ++d) hash.add(static_cast<uint64_t>(cache.end(d)));
  for (int64_t first = 0; first < cache.n_tokens(); first += kHashedAtOnce) {
    const auto ids = cache.read(first, std::min(kHashedAtOnce, cache.n_tokens() - first));
    hash.add(std::as_bytes(std::span(ids)));
  }
  return {cache.n_tokens(), cache.n_documents(), hash.hex()};
}

NeighbourTable::NeighbourTable(const std::filesystem::path& path)
    : file_(path, kIndexKind, kIndexVersion), facts_(read_facts(file_)) {
  const auto bytes = file_.require("neighbours");
  const auto rows = static_cast<uint64_t>(facts_.n_blocks);
  const auto columns = static_cast<uint64_t>(facts_.n_neighbours);
  const uint64_t n = bytes.size() / sizeof(Neighbour);
  // Divided, so that no product of sizes in the file can pass 64 bits.
  const bool fits = columns == 0 || rows == 0 ? n == 0 : n / columns == rows && n % columns == 0;
  DSRASQ_CHECK(bytes.size() % sizeof(Neighbour) == 0 && fits, kBadInput, kInNeighbourTable,
               path.string(), ": section \"neighbours\" has ", bytes.size(), " bytes, want ", rows,
               " rows of ", columns, " neighbours");
  neighbours_.resize(n);
  std::memcpy(neighbours_.data(), bytes.data(), bytes.size());
  for (const Neighbour& neighbour : neighbours_)
    DSRASQ_CHECK(neighbour.block >= -1 && neighbour.block < facts_.n_blocks &&
                     std::isfinite(neighbour.similarity),
                 kBadInput, kInNeighbourTable, path.string(), ": names block ", neighbour.block,
                 " of ", facts_.n_blocks);
  Fingerprint hash;
  hash.add(facts_.text.fingerprint);
  hash.add(static_cast<uint64_t>(facts_.block));
  hash.add(bytes);
  fingerprint_ = hash.hex();
}

std::span<const Neighbour> NeighbourTable::of(int64_t i) const {
  const auto width = static_cast<size_t>(facts_.n_neighbours);
  const auto row = std::span(neighbours_).subspan(static_cast<size_t>(i) * width, width);
  const auto end = std::find_if(row.begin(), row.end(),
                                [](const Neighbour& neighbour) { return neighbour.block < 0; });
  return row.first(static_cast<size_t>(end - row.begin()));
}

void NeighbourTable::check_is_of(const TokenCache& cache) const {
  const TextIdentity text = identify(cache);
  DSRASQ_CHECK(text.fingerprint == facts_.text.fingerprint, kBadInput, kInNeighbourTable,
               file_.path().string(), ": an index of other data (", described(facts_.text),
               ") than ", cache.path().string(), " (", described(text), ")");
}

void write_neighbour_table(const std::filesystem::path& path, const BlockIndexFacts& facts,
                           std::span<const Neighbour> neighbours,
                           std::span<const std::byte> vector_index) {
  formats::ChunkFileWriter out(path, kIndexKind, kIndexVersion);
  const std::string json = json_of(facts).dump();
  out.add("facts", std::as_bytes(std::span(json.data(), json.size())));
  out.add("neighbours", std::as_bytes(neighbours));
  out.add("index", vector_index);
  out.commit();
}

}  // namespace dsrasq::train
