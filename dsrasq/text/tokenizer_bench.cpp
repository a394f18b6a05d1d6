// Encoding speed in bytes of text a second on one core: plain prose and code (seeds.txt, repeated),
// and the hostile mixture of the tests. First calls, so no word is known yet, and warm ones.

#include <benchmark/benchmark.h>

#include <filesystem>

#include "dsrasq/core/file.h"
#include "dsrasq/text/golden_text.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::text {
namespace {

constexpr const char* kFiles[] = {
    "tests/golden/tokenizers/gpt2.json",  "tests/golden/tokenizers/llama3.json",
    "tests/golden/tokenizers/qwen2.json", "tests/golden/tokenizers/tekken.json",
    "tests/golden/tokenizers/gemma.json", "models/SmolLM2-135M-Instruct.Q4_1.gguf",
    "models/gemma-3-270m.Q4_K_M.gguf"};

std::string prose() {
  const std::string seeds = read_file(std::string(kGoldenFolder) + "/seeds.txt");
  std::string text;
  while (text.size() < (1 << 20)) text += seeds;
  return text;
}

void run(benchmark::State& state, const std::string& text) {
  const char* path = kFiles[state.range(0)];
  state.SetLabel(path);
  if (!std::filesystem::exists(path)) {
    state.SkipWithError("the model is not here");
    return;
  }
  const auto tokenizer = load_tokenizer(path);
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer->encode(text));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}

void BM_Prose(benchmark::State& state) { run(state, prose()); }
void BM_Mixture(benchmark::State& state) { run(state, golden_text()); }
// Every word is new: letters at random.
void BM_NewWords(benchmark::State& state) {
  GoldenRng rng(1);
  std::string text;
  while (text.size() < (1 << 20)) {
    for (uint64_t n = 1 + rng.below(12); n > 0; --n)
      text.push_back(static_cast<char>('a' + rng.below(26)));
    text.push_back(' ');
  }
  run(state, text);
}
void BM_OneLongWord(benchmark::State& state) { run(state, std::string(1 << 20, 'a')); }
void BM_Load(benchmark::State& state) {
  const char* path = kFiles[state.range(0)];
  state.SetLabel(path);
  if (!std::filesystem::exists(path)) {
    state.SkipWithError("the model is not here");
    return;
  }
  for (auto _ : state) benchmark::DoNotOptimize(load_tokenizer(path));
}

BENCHMARK(BM_Prose)->DenseRange(0, 6);
BENCHMARK(BM_Mixture)->DenseRange(0, 6);
BENCHMARK(BM_NewWords)->DenseRange(0, 6);
BENCHMARK(BM_OneLongWord)->DenseRange(0, 6);
BENCHMARK(BM_Load)->DenseRange(5, 6)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace dsrasq::text
