#include "dsrasq/train/event_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

std::string hex(const std::string& bytes) {
  std::string out;
  for (unsigned char c : bytes) {
    out += "0123456789abcdef"[c >> 4];
    out += "0123456789abcdef"[c & 15];
  }
  return out;
}

TEST(EventLog, BytesOfAScalarEventAreThoseOfProtobuf) {
  // message Event {double wall_time = 1.5; int64 step = 300; Summary {Value {tag "ab", 0.5}}}
  EXPECT_EQ(hex(scalar_event(1.5, 300, {{"ab", 0.5}})),
            "09000000000000f83f"  // field 1, fixed64 1.5
            "10ac02"              // field 2, varint 300
            "2a0b"                // field 5, 11 bytes
            "0a09"                // field 1, 9 bytes
            "0a026162"            // field 1, "ab"
            "150000003f");        // field 2, fixed32 0.5
}

TEST(EventLog, FramesCarryLengthAndMaskedChecksums) {
  // What TensorFlow's writer gives for the three bytes "abc".
  const std::string frame = tfrecord_frame("abc");
  ASSERT_EQ(frame.size(), 8u + 4 + 3 + 4);
  EXPECT_EQ(hex(frame), "0300000000000000b099490e6162636e57f121");
}

TEST(EventLog, WritesAVersionThenEventsAndNeverReusesAFile) {
  const fs::path folder = fs::temp_directory_path() / concat("event_log_test.", getpid());
  {
    EventLog first(folder), second(folder);
    EXPECT_NE(first.path(), second.path());
    EXPECT_NE(first.path().filename().string().find("tfevents"), std::string::npos);
    first.add(7, {{"loss", 1.25}, {"lr", 3e-3}});
    const std::string bytes = read_file(first.path());
    EXPECT_NE(bytes.find("brain.Event:2"), std::string::npos);
    EXPECT_NE(bytes.find("loss"), std::string::npos);
  }
  fs::remove_all(folder);
}

TEST(EventLog, AFolderThatCannotBeWrittenIsNamed) {
  try {
    EventLog log("/proc/no-such-folder");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutput);
    EXPECT_NE(std::string(error.what()).find("/proc/no-such-folder"), std::string::npos);
  }
}

}  // namespace
}  // namespace dsrasq::train
