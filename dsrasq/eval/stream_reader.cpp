#include "dsrasq/eval/stream_reader.h"

#include <ATen/Functions.h>
#include <unistd.h>

#include <cmath>
#include <system_error>

#include "dsrasq/core/error.h"
#include "dsrasq/model/token_score.h"

namespace dsrasq::eval {
namespace {

bool can_be_saved(const session::Engine& engine, const policy::PolicyOptions& options) {
  if (!engine.model().device().is_cpu()) return false;
  try {
    session::check_can_be_saved(options);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

StreamReader::StreamReader(const session::Engine& engine, const policy::PolicyOptions& options)
    : engine_(engine),
      options_(options),
      can_be_saved_(can_be_saved(engine, options)),
      file_(std::filesystem::temp_directory_path() /
            concat("dsrasq-stream-", ::getpid(), '-', this, ".dsr")) {}

StreamReader::~StreamReader() {
  std::error_code ignored;  // it may never have been made
  std::filesystem::remove(file_, ignored);
}

void StreamReader::add(std::span<const int32_t> ids) {
  ids_.insert(ids_.end(), ids.begin(), ids.end());
}

session::Session& StreamReader::caught_up() {
  if (!session_) session_ = std::make_unique<session::Session>(engine_, options_);
  session_->read(std::span<const int32_t>(ids_).subspan(n_read_));
  n_read_ = ids_.size();
  return *session_;
}

std::unique_ptr<session::Session> StreamReader::fork() {
  if (!can_be_saved_ || ids_.empty()) {
    auto session = std::make_unique<session::Session>(engine_, options_);
    session->read(ids_);
    return session;
  }
  if (n_saved_ != ids_.size()) {
    caught_up().save(file_);
    n_saved_ = ids_.size();
  }
  return session::Session::load(engine_, file_);
}

double StreamReader::read_scored(std::span<const int32_t> ids) {
  if (ids.empty()) return 0;
  session::Session& session = caught_up();
  const at::Tensor first = at::log_softmax(session.next_logits(), 0);
  add(ids);
  const model::Transformer& model = engine_.model();
  const at::Tensor states = session.read_states(ids);
  n_read_ = ids_.size();
  const at::Tensor tokens =
      at::tensor(at::ArrayRef<int32_t>(ids.data(), ids.size()), at::kInt).to(at::kLong);
  const model::TokenScores scores =
      model::token_scores(model, states, {}, tokens.to(model.device()));
  const double sum =
      first[ids.front()].item<double>() + scores.log_probability.sum().item<double>();
  DSRASQ_CHECK(std::isfinite(sum), kInternal, "eval.stream_reader", "policy ", options_.name,
               " gives a reply at position ", session.position(), " the log-probability ", sum);
  return -sum;
}

}  // namespace dsrasq::eval
