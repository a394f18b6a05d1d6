#include "dsrasq/sweep/plan.h"

#include <algorithm>
#include <optional>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/text/json_view.h"

namespace dsrasq::sweep {
namespace {

constexpr const char* kInPlan = "sweep.plan";
constexpr uint64_t kMostPlanBytes = 1 << 28;
constexpr auto kReplace = nlohmann::json::error_handler_t::replace;  // names need not be UTF-8

Json plan_json(const std::vector<Point>& points) {
  Json list = Json::array();
  for (const Point& point : points) {
    list.push_back({{"point", point.name}});
    list.back().update(point.values);
    list.back()["options"] = point.options;
  }
  return {{"points", std::move(list)}};
}

// "at point k64, options, train, seed is 0 there and 1 now" of the first member that differs.
std::optional<std::string> difference(const nlohmann::json& there, const nlohmann::json& now,
                                      const std::string& place) {
  if (there == now) return std::nullopt;
  if (!there.is_object() || !now.is_object())
    return concat(place, " is ", there.dump(-1, ' ', false, kReplace), " there and ",
                  now.dump(-1, ' ', false, kReplace), " now");
  const std::string before = place + ", ";
  for (const auto& [key, value] : now.items()) {
    if (!there.contains(key)) return concat(before, key, " is not said there");
    if (auto found = difference(there[key], value, before + key)) return found;
  }
  for (const auto& [key, value] : there.items())
    if (!now.contains(key)) return concat(before, key, " is said there only");
  return std::nullopt;
}

std::optional<std::string> plan_difference(const text::JsonView& file, const nlohmann::json& now) {
  const text::JsonView points = file.at("points");
  const nlohmann::json& ours = now["points"];
  for (size_t i = 0; i < std::min(points.size(), ours.size()); ++i) {
    const std::string& name = points[i].at("point").string();
    if (name != ours[i]["point"].get<std::string>())
      return concat("its point ", i + 1, " is ", name, ", not ",
                    ours[i]["point"].get<std::string>());
    if (auto found = difference(points[i].value(), ours[i], "at point " + name)) return found;
  }
  if (points.size() != ours.size())
    return concat("it has ", points.size(), " points, not ", ours.size());
  return std::nullopt;
}

}  // namespace

void settle_plan(const std::filesystem::path& folder, const std::vector<Point>& points) {
  const std::filesystem::path path = folder / "plan.json";
  const std::string text = plan_json(points).dump(1, ' ', false, kReplace) + "\n";
  if (!std::filesystem::exists(path)) return write_file(path, text);
  const nlohmann::json there = text::parse_json(read_file(path, kMostPlanBytes), path.string());
  const auto other =
      plan_difference(text::JsonView(there, path.string()), nlohmann::json::parse(text));
  DSRASQ_CHECK(!other, kInvalidArgument, kInPlan, path.string(),
               " is the plan of another sweep: ", *other, "; give this one a folder of its own");
}

}  // namespace dsrasq::sweep
