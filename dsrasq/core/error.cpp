#include "dsrasq/core/error.h"

namespace dsrasq {

Error::Error(ErrorCode code, std::string_view where, std::string_view message)
    : std::runtime_error(concat('[', where, "] ", message)), code_(code) {}

ErrorInfo error_info(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument: return {"invalid_argument", 2, 400};
    case ErrorCode::kBadInput: return {"bad_input", 3, 400};
    case ErrorCode::kResourceExhausted: return {"resource_exhausted", 4, 503};
    case ErrorCode::kOutput: return {"output", 5, 500};
    case ErrorCode::kUnavailable: return {"unavailable", 6, 501};
    case ErrorCode::kStopped: return {"stopped", 7, 500};
    case ErrorCode::kInterrupted: return {"interrupted", 130, 499};
    case ErrorCode::kInternal: break;
  }
  return {"internal", 70, 500};
}

}  // namespace dsrasq
