"""Compares the perplexity of result files with that of the first one, on the texts that all of them read.

    python3 tools/compare_perplexity.py docs/results/slots/perplexity-16384-*.json

For results that no single `eval perplexity` can make, as of several adapters or pools. Each file's first policy counts.
Intervals: 95 %, paired bootstrap over texts.
"""
import json
import math
import random
import sys

DRAWS = 10_000


def texts_of(path):
    """{text: (nll, tokens)} of a file's first policy."""
    with open(path) as file:
        result = json.load(file)
    policy = result["rows"][0]["policy"]
    return {(sample["sample"], sample["source"]): (sum(sample["quarter_nll"]), sum(sample["quarter_tokens"]))
            for sample in result["samples"] if sample["policy"] == policy}


def perplexity(texts, keys):
    return math.exp(sum(texts[key][0] for key in keys) / sum(texts[key][1] for key in keys))


def main(paths):
    results = [texts_of(path) for path in paths]
    keys = sorted(set.intersection(*(set(texts) for texts in results)))
    if not keys:
        sys.exit("error: the files have no text in common")
    first, rng = results[0], random.Random(0)
    draws = [rng.choices(keys, k=len(keys)) for _ in range(DRAWS)]
    print(f"{len(keys)} texts\n\n| file | perplexity | change | 95 % interval |\n| --- | --- | --- | --- |")
    for path, texts in zip(paths, results):
        row = f"| {path} | {perplexity(texts, keys):.3f} |"
        if texts is first:
            print(row, "| |")
            continue
        changes = sorted(100 * (perplexity(texts, draw) / perplexity(first, draw) - 1) for draw in draws)
        change = 100 * (perplexity(texts, keys) / perplexity(first, keys) - 1)
        print(row, f"{change:+.2f} % | {changes[DRAWS // 40]:+.2f} to {changes[-DRAWS // 40]:+.2f} % |")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1:])
