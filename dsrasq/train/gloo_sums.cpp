// LibTorch's header has the class only with this name defined, which its own build defines.
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <chrono>
#include <vector>

#include "dsrasq/train/worker_sums.h"

namespace dsrasq::train {
namespace {

// For the processes to connect; they have met by then.
constexpr std::chrono::seconds kConnecting{60};
// That nobody answers is found out by WorkerWatch. A process may also be slow.
constexpr std::chrono::hours kSumming{24 * 365};

class GlooSum final : public PendingSum {
 public:
  explicit GlooSum(c10::intrusive_ptr<c10d::Work> work) : work_(std::move(work)) {}
  bool is_done() override {
    if (!work_->isCompleted()) return false;
    work_->wait();  // for what it has to throw
    return true;
  }

 private:
  c10::intrusive_ptr<c10d::Work> work_;
};

class GlooSums final : public WorkerSums {
 public:
  GlooSums(const WorkerPlace& place, const WorkerStore& store)
      : group_(c10::make_intrusive<c10d::ProcessGroupGloo>(
            store.connection(), static_cast<int>(place.rank), static_cast<int>(place.size),
            c10d::ProcessGroupGloo::Options::create_default(kConnecting))) {}

  std::unique_ptr<PendingSum> start(const at::Tensor& values) override {
    std::vector<at::Tensor> tensors{values};
    c10d::AllreduceOptions options;
    options.timeout = kSumming;
    return std::make_unique<GlooSum>(group_->allreduce(tensors, options));
  }

 private:
  c10::intrusive_ptr<c10d::Backend> group_;
};

}  // namespace

std::unique_ptr<WorkerSums> make_gloo_sums(const WorkerPlace& place, const WorkerStore& store) {
  return std::make_unique<GlooSums>(place, store);
}

}  // namespace dsrasq::train
