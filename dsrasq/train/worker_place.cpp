#include "dsrasq/train/worker_place.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "dsrasq/core/error.h"

namespace dsrasq::train {
namespace {

constexpr const char* kInWorkerPlace = "train.processes";
constexpr int64_t kMostProcesses = 65536, kMostPort = 65535;

std::string text_of(const char* name) {
  const char* value = std::getenv(name);
  DSRASQ_CHECK(value != nullptr && *value != '\0', kInvalidArgument, kInWorkerPlace, name,
               " is not set, but WORLD_SIZE says that this is one of several processes");
  return value;
}

int64_t number_of(const char* name, int64_t least, int64_t most) {
  const std::string text = text_of(name);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  DSRASQ_CHECK(
      error == std::errc() && end == text.data() + text.size() && value >= least && value <= most,
      kInvalidArgument, kInWorkerPlace, name, " is '", text, "', want a number from ", least,
      " to ", most);
  return value;
}

std::string_view optional_text(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::optional<WorkerPlace> worker_place() {
  if (optional_text("WORLD_SIZE").empty()) return std::nullopt;
  WorkerPlace place;
  place.size = number_of("WORLD_SIZE", 1, kMostProcesses);
  if (place.size == 1) return std::nullopt;
  place.rank = number_of("RANK", 0, place.size - 1);
  place.local_rank = number_of("LOCAL_RANK", 0, place.rank);
  if (!optional_text("LOCAL_WORLD_SIZE").empty())
    place.local_size = number_of("LOCAL_WORLD_SIZE", place.local_rank + 1, place.size);
  place.address = text_of("MASTER_ADDR");
  place.port = static_cast<uint16_t>(number_of("MASTER_PORT", 1, kMostPort));
  place.is_served = optional_text("TORCHELASTIC_USE_AGENT_STORE") == "True";
  place.run = concat("dsrasq/", optional_text("TORCHELASTIC_RUN_ID"), '/',
                     optional_text("TORCHELASTIC_RESTART_COUNT"), '/');
  return place;
}

}  // namespace dsrasq::train
