#include "cli/answer.h"

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"

namespace dsrasq::cli {

Answer answer_prompt(session::Session& session, std::span<const int32_t> prompt,
                     const AnswerOptions& options, bool recording,
                     const std::function<void(std::string_view)>& on_text,
                     const session::ReadProgress& progress) {
  Answer answer;
  answer.prompt_tokens = static_cast<int64_t>(prompt.size());
  if (recording) session.policy().start_recording();
  const auto start = std::chrono::steady_clock::now();
  session.read(prompt, progress);
  const double read_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  answer.generated = session.generate(options.generate_options(), on_text);
  answer.first_token_ms = read_ms + answer.generated.first_token_ms;
  if (recording) answer.retrieved = session.policy().take_recording();
  return answer;
}

Answer print_answer(session::Session& session, std::span<const int32_t> prompt,
                    const AnswerOptions& options, bool recording, const Console& console) {
  Answer answer = answer_prompt(session, prompt, options, recording,
                                [&](std::string_view text) { console.result(text); });
  if (!answer.generated.text.ends_with('\n')) console.result("\n");
  if (answer.generated.finish_reason == "interrupted") check_interrupt();
  return answer;
}

nlohmann::ordered_json answer_json(const session::Session& session, const Answer& answer,
                                   const ReadSpeed& reading) {
  return {{"answer", answer.generated.text},
          {"finish_reason", answer.generated.finish_reason},
          {"answer_tokens", answer.generated.n_tokens},
          {"context_tokens", reading.tokens},
          {"policy", session.policy().name()},
          {"cache_bytes", session.policy().bytes()},
          {"peak_rss_bytes", peak_rss_bytes()},
          {"prefill_tokens_per_s", reading.tokens_per_s()},
          {"first_token_ms", answer.first_token_ms},
          {"decode_tokens_per_s", answer.generated.decode_tokens_per_s},
          {"mean_retrieved", session.policy().mean_retrieved()}};
}

nlohmann::ordered_json passages_json(const std::vector<session::Passage>& passages) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const session::Passage& passage : passages)
    list.push_back({{"file", passage.file},
                    {"start", passage.start},
                    {"end", passage.end},
                    {"weight", passage.weight},
                    {"text", passage.text}});
  return list;
}

std::string passages_text(const std::vector<session::Passage>& passages, bool reread) {
  if (passages.empty()) return "\nNothing was retrieved from the pool for this answer.\n";
  std::string out = reread ? "\nThe answer was read from these passages:\n"
                           : "\nThe answer read these passages most:\n";
  for (size_t i = 0; i < passages.size(); ++i) {
    char share[32];
    std::snprintf(share, sizeof share, "%.1f %%", 100 * passages[i].weight);
    out += concat("\n[", i + 1, "] ", passages[i].file, ", bytes ", passages[i].start, " to ",
                  passages[i].end, " (", share, " of the weight)\n");
    out += "    ";
    for (const char c : passages[i].text) out += c == '\n' ? "\n    " : std::string(1, c);
    out += '\n';
  }
  return out;
}

}  // namespace dsrasq::cli
