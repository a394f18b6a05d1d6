#include "dsrasq/train/event_log.h"

#include <unistd.h>

#include <bit>
#include <chrono>
#include <span>
#include <system_error>

#include "dsrasq/core/error.h"
#include "dsrasq/core/hash.h"

namespace dsrasq::train {
namespace {

// Field numbers of tensorflow.Event and tensorflow.Summary, shifted, with their wire types.
constexpr char kWallTime = 1 << 3 | 1, kStep = 2 << 3 | 0, kFileVersion = 3 << 3 | 2;
constexpr char kSummary = 5 << 3 | 2, kValue = 1 << 3 | 2, kTag = 1 << 3 | 2;
constexpr char kSimpleValue = 2 << 3 | 5;

template <class UInt>
void put_fixed(std::string& out, UInt value) {
  for (size_t i = 0; i < sizeof(UInt); ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void put_bytes(std::string& out, char field, std::string_view bytes) {
  out.push_back(field);
  put_varint(out, bytes.size());
  out.append(bytes);
}

std::string event_header(double wall_time) {
  std::string event(1, kWallTime);
  put_fixed(event, std::bit_cast<uint64_t>(wall_time));
  return event;
}

uint32_t masked_crc(std::string_view data) {
  const uint32_t crc = crc32c(std::as_bytes(std::span(data.data(), data.size())));
  return std::rotr(crc, 15) + 0xa282ead8u;
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string tfrecord_frame(std::string_view data) {
  std::string frame;
  put_fixed(frame, static_cast<uint64_t>(data.size()));
  put_fixed(frame, masked_crc(frame));
  frame.append(data);
  put_fixed(frame, masked_crc(data));
  return frame;
}

std::string scalar_event(double wall_time, int64_t step, const std::vector<Scalar>& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    std::string entry;
    put_bytes(entry, kTag, tag);
    entry.push_back(kSimpleValue);
    put_fixed(entry, std::bit_cast<uint32_t>(static_cast<float>(value)));
    put_bytes(summary, kValue, entry);
  }
  std::string event = event_header(wall_time);
  event.push_back(kStep);
  put_varint(event, static_cast<uint64_t>(step));
  put_bytes(event, kSummary, summary);
  return event;
}

EventLog::EventLog(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  char host[256] = "host";
  if (gethostname(host, sizeof(host) - 1) != 0) host[0] = '\0';
  // Resumed within a second by the same process: the name must still be new.
  for (int attempt = 0; path_.empty() || std::filesystem::exists(path_, error); ++attempt)
    path_ = folder / concat("events.out.tfevents.", static_cast<int64_t>(now()), ".", host, ".",
                            getpid(), ".", attempt);
  out_.open(path_, std::ios::binary);
  std::string event = event_header(now());
  put_bytes(event, kFileVersion, "brain.Event:2");
  write(event);
}

void EventLog::add(int64_t step, const std::vector<Scalar>& scalars) {
  write(scalar_event(now(), step, scalars));
}

void EventLog::write(const std::string& event) {
  const std::string frame = tfrecord_frame(event);
  out_.write(frame.data(), static_cast<std::streamsize>(frame.size()));
  out_.flush();
  DSRASQ_CHECK(out_.good(), kOutput, "train.event_log", path_.string(), ": cannot be written");
}

}  // namespace dsrasq::train
