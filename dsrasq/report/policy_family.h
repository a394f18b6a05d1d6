#pragma once

// What the label of a policy says: which family it belongs to, and whether its memory knew the
// question.

#include <string>
#include <string_view>
#include <vector>

namespace dsrasq::report {

/// An option of a run as its result file records it; a flag has no values.
struct Option {
  std::string name;
  std::vector<std::string> values;

  bool operator==(const Option&) const = default;
};
using Options = std::vector<Option>;

/// The option of a policy, "topk" of "dsrasq:topk=64": from its label, else of the whole run; empty
/// when neither says it.
std::string policy_option(std::string_view label, std::string_view name, const Options& run);

/// What a curve goes through. Of dsrasq how many tokens are read decides: "dsrasq top-k", "dsrasq
/// threshold" (also with a least share), "dsrasq budget", or "dsrasq" where the adapter chose
/// (`auto`); results older than that choice are "dsrasq top-k". Every other policy is its name.
std::string family_of(std::string_view label, const Options& run);

/// What the label's other options make of a family, ":slots=0" of "dsrasq:slots=0:topk=64": those
/// whose names are not among `along`.
std::string options_beside(std::string_view label, const std::vector<std::string_view>& along);

/// Whether the adapter alone decides how many tokens are read, so that another adapter is another
/// point of the same curve: `retrieve=budget` or `threshold`, without a least share.
bool sizes_are_trained(std::string_view label, const Options& run);

/// Whether what the memory keeps of a prompt is chosen by the question at its end.
bool keeps_by_question(std::string_view label, const Options& run);

/// Whether the policy is full attention.
bool is_full(std::string_view label);

/// The number of a family's colour, from 0; the same in every plot.
int colour_of(std::string_view family);

}  // namespace dsrasq::report
