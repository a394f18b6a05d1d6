#include "dsrasq/metrics/babi.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "dsrasq/core/error.h"
#include "dsrasq/metrics/python_text.h"

namespace dsrasq::metrics {
namespace {

using View = std::string_view;

constexpr View kRooms[] = {"bathroom", "bedroom", "garden", "hallway", "kitchen", "office"};
constexpr View kGivers[] = {"Bill", "Fred", "Jeff", "Mary", "apple", "football", "milk"};
constexpr View kYesNo[] = {"no", "yes"};
constexpr View kNumbers[] = {"none", "one", "three", "two"};
constexpr View kThings[] = {"apple", "football", "milk", "nothing"};
constexpr View kYesNoMaybe[] = {"maybe", "no", "yes"};
constexpr View kPlaces[] = {"bedroom", "cinema", "kitchen", "office", "park", "school"};
constexpr View kAnimals[] = {"cat", "mouse", "sheep", "wolf"};
constexpr View kColours[] = {"gray", "green", "white", "yellow"};
constexpr View kWays[] = {"e,e", "e,n", "e,s", "n,e", "n,n", "n,w",
                          "s,e", "s,s", "s,w", "w,n", "w,s", "w,w"};
constexpr View kReasons[] = {"bedroom", "bored", "garden", "hungry", "kitchen", "thirsty", "tired"};

constexpr size_t kLongestSingle = 3;  // "n,e" is one label

View before(View text, View end) { return text.substr(0, text.find(end)); }

std::set<View> mentioned(const std::vector<std::string>& labels, View text) {
  std::set<View> found;
  for (const std::string& label : labels)
    if (text.find(label) != View::npos) found.insert(label);
  return found;
}

std::vector<View> parts_of(View target) {
  std::vector<View> parts;
  if (target.size() > kLongestSingle) {
    for (size_t end; (end = target.find(',')) != View::npos; target.remove_prefix(end + 1))
      parts.push_back(target.substr(0, end));
  }
  parts.push_back(target);
  return parts;
}

}  // namespace

std::span<const std::string_view> babi_labels(int task) {
  switch (task) {
    case 1:
    case 2:
    case 3:
    case 4:
    case 11:
    case 12:
    case 13: return kRooms;
    case 5: return kGivers;
    case 6:
    case 9:
    case 17:
    case 18: return kYesNo;
    case 7: return kNumbers;
    case 8: return kThings;
    case 10: return kYesNoMaybe;
    case 14: return kPlaces;
    case 15: return kAnimals;
    case 16: return kColours;
    case 19: return kWays;
    case 20: return kReasons;
    default:
      throw Error(ErrorCode::kInvalidArgument, "metrics.babi",
                  concat("bAbI has no task ", task, ", want 1 to ", kBabiTasks));
  }
}

bool babi_correct(std::string_view output, std::string_view target, std::string_view question,
                  std::span<const std::string_view> labels) {
  std::vector<std::string> lowered;
  for (const View label : labels) lowered.push_back(lower(label));
  const std::string said = lower(output);
  const std::string asked = lower(question);
  const std::string wanted = lower(target);
  const View answer = before(before(before(said, "."), "<context>"), "<example>");
  std::set<View> found = mentioned(lowered, answer);
  for (const View label : mentioned(lowered, asked)) found.erase(label);
  const std::vector<View> parts = parts_of(wanted);
  return found.size() == parts.size() &&
         std::all_of(parts.begin(), parts.end(), [&](View part) { return found.contains(part); });
}

}  // namespace dsrasq::metrics
