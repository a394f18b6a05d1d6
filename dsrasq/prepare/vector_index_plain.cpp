#include "dsrasq/core/error.h"
#include "dsrasq/prepare/vector_index.h"

namespace dsrasq::prepare {
namespace {

[[noreturn]] void refuse() {
  throw Error(ErrorCode::kUnavailable, "prepare.vector_index",
              "this program was built without FAISS (libfaiss-dev), which makes the index");
}

}  // namespace

bool has_vector_index() { return false; }
void check_vector_index(std::string_view) { refuse(); }
std::unique_ptr<VectorIndex> build_vector_index(std::string_view, const VectorRows&,
                                                const std::function<void(int64_t, int64_t)>&) {
  refuse();
}
std::unique_ptr<VectorIndex> read_vector_index(std::span<const std::byte>, const std::string&) {
  refuse();
}

}  // namespace dsrasq::prepare
