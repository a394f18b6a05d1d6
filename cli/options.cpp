// The one file that includes CLI11: it costs 10 s to compile.
#include "cli/options.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/suggest.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq::cli {
namespace {

constexpr const char* kInOptions = "cli.options";

// How a field is written on the command line, in CLI11's notation. Flags that are on need a way to
// be turned off.
std::string forms(const Field& field) {
  if (field.name == "output") return "-o,--output";
  if (field.is_flag() && field.text() == "true") return field.shown() + ",!--no-" + field.name;
  return field.shown();
}

// One option for each field; results stay texts, so that files and flags share one parser.
std::vector<CLI::Option*> describe(CLI::App& app, const HelpText& help, const FieldList& fields) {
  app.name("dsrasq " + help.command);
  app.description(help.summary);
  app.footer("Examples:\n" + help.examples);
  app.allow_extras();
  app.get_formatter()->column_width(32);
  app.get_help_ptr()->description("print this and leave");
  std::vector<CLI::Option*> options;
  for (const Field& field : fields.fields()) {
    CLI::Option* option =
        field.is_flag() ? app.add_flag(forms(field)) : app.add_option(forms(field));
    option->description(field.help);
    if (!field.is_flag()) {
      option->type_name(field.type_name());
      option->default_str(field.text());
      if (field.is_list())
        option->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args();
      else
        option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
    options.push_back(option);
  }
  return options;
}

std::vector<std::string> option_names(const FieldList& fields) {
  std::vector<std::string> names{"help"};
  for (const Field& field : fields.fields())
    if (!field.is_positional()) names.push_back(field.name);
  return names;
}

// CLI11 takes a "--" right behind a list for the end of that list: there it needs another one.
std::vector<std::string> with_mark_behind_lists(std::vector<std::string> words,
                                                const FieldList& fields) {
  const auto mark = std::find(words.begin(), words.end(), "--");
  if (mark == words.end()) return words;
  const auto option = std::find_if(std::reverse_iterator(mark), words.rend(),
                                   [](const std::string& word) { return word.starts_with("--"); });
  if (option == words.rend() || option->find('=') != std::string::npos) return words;
  const Field* field = fields.find(option->substr(2));
  if (field != nullptr && field->is_list()) words.insert(mark, "--");
  return words;
}

void refuse_rest(const std::vector<std::string>& rest, const HelpText& help,
                 const FieldList& fields) {
  for (const std::string& word : rest) {
    if (word == "--") continue;
    if (!word.starts_with("-"))
      throw Error(ErrorCode::kInvalidArgument, kInOptions,
                  concat("unexpected argument \"", word, "\" of ", help.command));
    const std::string name = word.substr(word.find_first_not_of('-'));
    const std::string typed = name.substr(0, name.find('='));
    throw Error(ErrorCode::kInvalidArgument, kInOptions,
                concat("unknown option ", word.substr(0, word.find('=')), " of ", help.command,
                       suggestion(typed, option_names(fields), "--")));
  }
}

// Key, then values as texts; `section` names the tables around it.
struct Setting {
  std::string section, key;
  std::vector<std::string> texts;
};

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

void collect(const nlohmann::json& object, const std::string& section,
             std::vector<Setting>& settings) {
  const auto text = [](const nlohmann::json& v) {
    return v.is_string() ? v.get<std::string>() : v.dump();
  };
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) {
      collect(value, section.empty() ? key : section + " " + key, settings);
    } else if (value.is_array()) {
      settings.push_back({section, key, {}});
      for (const auto& item : value) settings.back().texts.push_back(text(item));
    } else if (!value.is_null()) {
      settings.push_back({section, key, {text(value)}});
    }
  }
}

std::vector<Setting> read_settings(const std::string& path) {
  constexpr uint64_t kMaxBytes = 1 << 20;
  const std::string content = read_file(path, kMaxBytes);
  std::vector<Setting> settings;
  if (path.ends_with(".toml")) {
    std::istringstream in(content);
    try {
      for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_config(in))
        if (item.name != "++" && item.name != "--")  // marks of where a table begins and ends
          settings.push_back({joined(item.parents), item.name, item.inputs});
    } catch (const CLI::Error& e) {
      throw Error(ErrorCode::kBadInput, kInOptions, concat(path, ": ", e.what()));
    }
    return settings;
  }
  const nlohmann::json parsed = nlohmann::json::parse(content, nullptr, false);
  DSRASQ_CHECK(parsed.is_object(), kBadInput, kInOptions, path,
               ": not a JSON object (a TOML file must be named *.toml)");
  collect(parsed, "", settings);
  return settings;
}

}  // namespace

bool wants_help(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word == "--help" || word == "-h") return true;
    if (word == "--") return false;
  }
  return false;
}

std::string help_page(const HelpText& help, const FieldList& fields) {
  CLI::App app;
  describe(app, help, fields);
  return app.help();
}

void load_config(const std::string& path, const std::string& command, const FieldList& fields,
                 const std::vector<std::string>& given) {
  for (const Setting& setting : read_settings(path)) {
    if (!setting.section.empty() && setting.section != command) continue;
    const Field* field = fields.find(setting.key);
    if (!field || setting.key == "config") {
      std::vector<std::string> keys;
      for (const Field& known : fields.fields()) keys.push_back(known.key());
      throw Error(ErrorCode::kInvalidArgument, kInOptions,
                  concat(path, ": unknown key \"", setting.key, "\" of ", command,
                         suggestion(setting.key, keys)));
    }
    if (std::find(given.begin(), given.end(), setting.key) != given.end()) continue;
    try {
      field->set(setting.texts);
    } catch (const Error& e) {
      const std::string_view what = e.what();
      throw Error(ErrorCode::kInvalidArgument, kInOptions,
                  concat(path, ": ", what.substr(what.find(' ') + 1)));
    }
  }
}

void parse_options(const HelpText& help, const FieldList& fields,
                   const std::vector<std::string>& given_words) {
  const std::vector<std::string> words = with_mark_behind_lists(given_words, fields);
  CLI::App app;
  const std::vector<CLI::Option*> options = describe(app, help, fields);
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ParseError& e) {
    throw Error(ErrorCode::kInvalidArgument, kInOptions, e.what());
  }
  refuse_rest(app.remaining(), help, fields);
  std::vector<std::string> given;
  std::string config_path;
  for (size_t i = 0; i < options.size(); ++i) {
    if (options[i]->count() == 0) continue;
    const Field& field = fields.fields()[i];
    given.push_back(field.key());
    const auto& texts = options[i]->results();
    field.set(field.is_list() ? texts : std::vector<std::string>{texts.back()});
    if (field.key() == "config") config_path = texts.back();
  }
  if (!config_path.empty()) load_config(config_path, help.command, fields, given);
}

}  // namespace dsrasq::cli
