#include <algorithm>
#include <cmath>
#include <filesystem>

#include "dsrasq/core/error.h"
#include "dsrasq/report/number_text.h"
#include "dsrasq/report/sections.h"
#include "dsrasq/report/variants.h"

namespace dsrasq::report {
namespace {

using Row = PerplexityResult::Row;

const PerplexityResult& result_of(const ResultFile& file) {
  return std::get<PerplexityResult>(file.result);
}

// Runs over the same texts.
struct Group {
  FileList files;
  std::vector<Variant> campaigns;  // the same files: those whose curves go on from one another
  std::string suffix;              // of the figures' ids
  std::string what;                // "8,192 tokens, 12 samples"

  bool has_several() const { return files.size() > 1; }
};

// Policies whose rows are one measurement. What an adapter decides by itself is another one for
// each adapter, so that several are points of one curve.
std::set<std::string> measured(const ResultFile& file) {
  std::set<std::string> policies;
  for (const Row& row : result_of(file).rows)
    if (row.mean_retrieved > 0 && !sizes_are_trained(row.policy, file.options))
      policies.insert(row.policy);
  return policies;
}

// The files of one folder that measured different policies go together.
std::vector<Variant> campaigns_of(const FileList& files) {
  struct Found {
    std::filesystem::path folder;
    std::set<std::string> policies;
    FileList files;
  };
  std::vector<Found> found;
  for (const ResultFile* file : files) {
    const auto folder = std::filesystem::path(file->path).parent_path();
    const std::set<std::string> own = measured(*file);
    auto place = std::find_if(found.begin(), found.end(), [&](const Found& other) {
      return other.folder == folder && std::none_of(own.begin(), own.end(), [&](const auto& name) {
               return other.policies.contains(name);
             });
    });
    if (place == found.end()) place = found.insert(found.end(), Found{folder, {}, {}});
    place->policies.insert(own.begin(), own.end());
    place->files.push_back(file);
  }
  std::vector<Variant> campaigns;
  for (const Found& one : found) {
    const auto n_of_folder = std::count_if(found.begin(), found.end(),
                                           [&](const Found& f) { return f.folder == one.folder; });
    const bool has_folder = one.files.size() > 1 && n_of_folder == 1 && one.folder.has_filename();
    const std::string name = has_folder ? one.folder.filename().string() : common_name(one.files);
    campaigns.push_back({found.size() == 1 ? "" : name, one.files});
  }
  return campaigns;
}

template <class Use>
void for_each_row(const FileList& files, const Use& use) {
  for (const ResultFile* file : files)
    for (const Row& row : result_of(*file).rows) use(*file, row);
}

std::string interval_text(const Bounds& bounds) {
  return concat(with_sign(bounds.low, 2), " to ", with_sign(bounds.high, 2), " %");
}

Table table_of(const Group& group) {
  Table table{{"file", "policy", "perplexity", "change", "95 % interval", "KL, nats a token",
               "tokens retrieved", "memory", "samples"},
              {}};
  for_each_row(group.files, [&](const ResultFile& file, const Row& row) {
    table.rows.push_back({file.stem, row.policy, fixed(row.perplexity, 3),
                          row.change_percent ? with_sign(*row.change_percent, 2) + " %" : "",
                          row.change ? interval_text(*row.change) : "",
                          row.kl ? rounded(*row.kl) : "", fixed(row.mean_retrieved, 1),
                          bytes_text(row.cache_bytes), grouped(row.samples)});
  });
  return table;
}

Figure figure_of(const Group& group, const std::string& id, const std::string& title,
                 const std::string& caption, Plot plot) {
  return {.id = id + group.suffix,
          .title = title,
          .caption = concat(group.what, ". ", caption),
          .plot = std::move(plot),
          .table = table_of(group),
          .sources = group.files};
}

void add_change(const Group& group, Section& section) {
  RowPlot plot{.x = {"change of perplexity", Unit::kPercent}, .rows = {}};
  FileList without;
  std::string bases;
  for (const ResultFile* file : group.files) {
    const auto& rows = result_of(*file).rows;
    if (std::none_of(rows.begin(), rows.end(), [](const Row& r) { return r.change_percent; })) {
      without.push_back(file);
      continue;
    }
    if (!is_full(rows.front().policy))
      bases += concat(" ", file->stem, ": against ", rows.front().policy, ", not full attention.");
    Looks looks;
    for (const Row& row : rows) {
      if (!row.change_percent) continue;
      plot.rows.push_back({.group = group.has_several() ? file->stem : "",
                           .name = row.policy,
                           .look = looks.next(family_of(row.policy, file->options)),
                           .value = *row.change_percent,
                           .bounds = row.change,
                           .text = with_sign(*row.change_percent, 2) + " %"});
    }
  }
  if (!without.empty())
    section.missing.push_back(concat("No change against full attention from ", names_of(without),
                                     ": one policy alone was measured."));
  if (plot.rows.empty()) return;
  section.figures.push_back(
      figure_of(group, "perplexity-change", "Change of perplexity by policy",
                "Left is better. The bars are 95 % bootstrap intervals over the samples." + bases,
                std::move(plot)));
}

// A line across the plot; what several files measured alike is drawn once.
void add_level(const Variant& campaign, const ResultFile& file, const Row& row, double y,
               std::vector<XyPlot::Level>& levels) {
  const auto same = std::find_if(levels.begin(), levels.end(), [&](const XyPlot::Level& level) {
    return level.name.starts_with(row.policy) && std::abs(level.y - y) < 1e-6 * y;
  });
  if (same != levels.end())
    same->name = row.policy;
  else
    levels.push_back({campaign.label(row.policy),
                      {.colour = colour_of(family_of(row.policy, file.options))},
                      y});
}

constexpr const char* kTrained = "dsrasq trained threshold";

// Without the name of the file.
std::string family_in(const Series& curve) { return curve.name.substr(0, curve.name.find(", ")); }

bool is_same(const Series& a, const Series& b) {
  return family_in(a) == family_in(b) &&
         std::equal(a.points.begin(), a.points.end(), b.points.begin(), b.points.end(),
                    [](const Series::Point& p, const Series::Point& q) {
                      return p.x == q.x && std::abs(p.y - q.y) < 1e-6 * std::abs(p.y);
                    });
}

// Of curves that several files measured alike the first stays, without the file's name.
void merge_same(std::vector<Series>& curves) {
  for (size_t i = 0; i < curves.size(); ++i) {
    const auto rest = curves.begin() + static_cast<std::ptrdiff_t>(i) + 1;
    const auto end = std::remove_if(rest, curves.end(),
                                    [&](const Series& other) { return is_same(curves[i], other); });
    if (end == curves.end()) continue;
    curves.erase(end, curves.end());
    curves[i].name = family_in(curves[i]);
  }
}

// One curve for each family and campaign, of the rows whose point has an x. Rows of a curve differ
// in the options `along` only.
template <class ToPoint>
XyPlot curves_of(const Group& group, const std::vector<std::string_view>& along,
                 const ToPoint& to_point) {
  XyPlot plot;
  Looks looks;
  for (const Variant& campaign : group.campaigns) {
    const size_t first = plot.series.size();
    for_each_row(campaign.files, [&](const ResultFile& file, const Row& row) {
      const std::optional<Series::Point> point = to_point(row);
      if (!point || point->x <= 0) return;
      const std::string family = family_of(row.policy, file.options);
      const bool is_trained = sizes_are_trained(row.policy, file.options);
      const std::string name = campaign.label(
          concat(is_trained && family == "dsrasq threshold" ? std::string(kTrained) : family,
                 options_beside(row.policy, along)));
      const auto begin = plot.series.begin() + static_cast<std::ptrdiff_t>(first);
      auto curve = std::find_if(begin, plot.series.end(),
                                [&](const Series& other) { return other.name == name; });
      if (curve == plot.series.end())
        curve = plot.series.insert(curve, {.name = name, .look = looks.next(family), .points = {}});
      const bool is_known = std::any_of(
          curve->points.begin(), curve->points.end(),
          [&](const auto& other) { return other.x == point->x && other.y == point->y; });
      if (!is_known) curve->points.push_back(*point);
    });
  }
  for (Series& curve : plot.series)
    std::stable_sort(curve.points.begin(), curve.points.end(), [](const auto& a, const auto& b) {
      return std::pair(a.x, a.y) < std::pair(b.x, b.y);
    });
  merge_same(plot.series);
  return plot;
}

// With a line across for what reads all or nothing beyond its window.
template <class Value>
XyPlot by_retrieved(const Group& group, const Value& value) {
  const std::vector<std::string_view> along{"topk", "min-share", "retrieve", "cache"};
  XyPlot plot = curves_of(group, along, [&](const Row& row) -> std::optional<Series::Point> {
    const std::optional<double> y = value(row);
    if (!y) return std::nullopt;
    return Series::Point{.x = row.mean_retrieved, .y = *y};
  });
  plot.x = {"tokens retrieved per query and layer (mean)", Unit::kTokens, true};
  for (const Variant& campaign : group.campaigns)
    for_each_row(campaign.files, [&](const ResultFile& file, const Row& row) {
      const std::optional<double> y = value(row);
      const std::string family = family_of(row.policy, file.options);
      if (y && row.mean_retrieved <= 0 && (is_full(family) || family == "window"))
        add_level(campaign, file, row, *y, plot.levels);
    });
  return plot;
}

bool is_control(const std::string& name) {
  return name.starts_with("random") || name.starts_with("recency") || name.starts_with("window");
}

// Takes out the policies that choose blindly where they would squeeze all others into less than
// half of the plot, and returns a sentence that says so.
std::string leave_out_controls(XyPlot& plot) {
  double low = HUGE_VAL, high = -HUGE_VAL, highest = -HUGE_VAL;
  const auto add = [&](const std::string& name, double y) {
    highest = std::max(highest, y);
    if (!is_control(name)) low = std::min(low, y), high = std::max(high, y);
  };
  for (const Series& series : plot.series)
    for (const Series::Point& point : series.points) add(series.name, point.y);
  for (const XyPlot::Level& level : plot.levels) add(level.name, level.y);
  if (!(high > low) || highest - low <= 2 * (high - low)) return "";
  std::string names;
  const auto take = [&](const std::string& name, double least, double most) {
    names += concat(names.empty() ? "" : "; ", name, ' ', rounded(least),
                    least < most ? " to " + rounded(most) : "");
  };
  std::erase_if(plot.levels, [&](const XyPlot::Level& level) {
    const bool is_far = is_control(level.name) && level.y > high;
    if (is_far) take(level.name, level.y, level.y);
    return is_far;
  });
  std::erase_if(plot.series, [&](const Series& series) {
    double least = HUGE_VAL, most = 0;
    for (const Series::Point& point : series.points)
      least = std::min(least, point.y), most = std::max(most, point.y);
    const bool is_far = is_control(series.name) && least > high;
    if (is_far) take(series.name, least, most);
    return is_far;
  });
  return names.empty() ? "" : concat(" Far above the others and not drawn: ", names, '.');
}

constexpr const char* kLevels =
    "Lower is better. The dotted lines retrieve nothing: full attention reads everything, a window "
    "what is recent. Methods that hold a cache instead are in the figure by memory.";

void add_by_retrieved(const Group& group, Section& section) {
  XyPlot plot = by_retrieved(group, [](const Row& row) { return std::optional(row.perplexity); });
  plot.y = {"perplexity", Unit::kNumber};
  if (plot.series.empty()) {
    section.missing.push_back(concat("No perplexity against tokens retrieved from ",
                                     names_of(group.files), ": no policy retrieved any."));
    return;
  }
  const std::string left_out = leave_out_controls(plot);
  section.figures.push_back(figure_of(group, "perplexity-retrieved",
                                      "Perplexity against tokens retrieved", kLevels + left_out,
                                      std::move(plot)));
}

void add_kl(const Group& group, Section& section) {
  XyPlot plot = by_retrieved(group, [](const Row& row) { return row.kl; });
  plot.y = {"KL divergence from the first policy, nats a token", Unit::kNumber};
  FileList without;
  for (const ResultFile* file : group.files) {
    const auto& rows = result_of(*file).rows;
    const bool has_kl = std::any_of(rows.begin(), rows.end(), [](const Row& r) { return r.kl; });
    if (rows.size() > 1 && !has_kl) without.push_back(file);
  }
  if (!without.empty())
    section.missing.push_back(
        concat("No KL divergence from ", names_of(without),
               ": they do not hold it. Running the command again records it."));
  if (plot.series.empty()) return;
  const std::string left_out = leave_out_controls(plot);
  section.figures.push_back(figure_of(group, "kl-retrieved",
                                      "KL divergence against tokens retrieved", kLevels + left_out,
                                      std::move(plot)));
}

bool is_on_gpu(const ResultFile& file) {
  return policy_option("", "device", file.options).starts_with("cuda");
}

void add_by_bytes(const Group& group, Section& section) {
  const std::vector<std::string_view> along{"topk", "min-share", "retrieve", "cache", "pool"};
  XyPlot plot = curves_of(group, along, [](const Row& row) {
    return std::optional(Series::Point{.x = row.cache_bytes, .y = row.perplexity});
  });
  plot.x = {"memory of one sequence (cache bytes)", Unit::kBytes, true};
  plot.y = {"perplexity", Unit::kNumber};
  if (plot.series.empty()) return;
  const bool on_gpu = std::any_of(group.files.begin(), group.files.end(),
                                  [](const ResultFile* file) { return is_on_gpu(*file); });
  const std::string left_out = leave_out_controls(plot);
  section.figures.push_back(figure_of(
      group, "perplexity-bytes", "Perplexity against memory",
      concat(
          on_gpu
              ? "Down and left is better. Measured on a GPU, where policies of fixed size keep all "
                "tokens for evaluation: these bytes are not those of the fixed memory on a CPU."
              : "Down and left is better.",
          left_out),
      std::move(plot)));
}

}  // namespace

Section perplexity_section(const std::vector<ResultFile>& files) {
  Section section{"perplexity", "Perplexity", {}, {}};
  const auto groups = grouped_by(files_with<PerplexityResult>(files),
                                 {"text", "length", "samples", "model", "max-distance"});
  for (size_t i = 0; i < groups.size(); ++i) {
    const PerplexityResult& first = result_of(*groups[i].front());
    const Group group{.files = groups[i],
                      .campaigns = campaigns_of(groups[i]),
                      .suffix = i == 0 ? "" : concat('-', i + 1),
                      .what = concat(grouped(first.length), " tokens a sample, ",
                                     grouped(first.rows.front().samples), " samples")};
    add_change(group, section);
    add_by_retrieved(group, section);
    add_kl(group, section);
    add_by_bytes(group, section);
  }
  return section;
}

}  // namespace dsrasq::report
