"""Puts the results of `scripts/measure_comparison` into tables: OUT_DIR/table.md and table.json.

    python3 tools/comparison_table.py OUT_DIR

Reads OUT_DIR/memory.json and OUT_DIR/parts/TASK.SET.json. Scores and their 95 % intervals are those of the result files;
where a file has several tasks, and for the differences to full attention, which stand in other files, they are over
all samples, by a paired bootstrap. Of a job that was stopped count the answers that it gave (TASK.SET.jsonl).
"""
import glob
import json
import math
import os
import random
import statistics
import sys

DRAWS = 2000
FIGURES = ("perplexity", "bleu", "f1a", "f1", "rougeL", "string_match", "accuracy")  # the first that a sample has
CORPUS = ("bleu", "f1a")  # over all samples at once: only as the file says
ROUNDING = 1e-3  # a difference that says nothing: sums are done in another order
COLUMNS = 6  # tasks side by side
ORDER = ("full", "window", "streaming-llm", "h2o", "tova", "snapkv", "pyramidkv", "quest", "razor", "infini", "attentionrag",
         "random", "recency", "oracle", "dsrasq", "alone")
HOLDS_PROMPT = ("snapkv", "pyramidkv")  # until it ends (docs/decisions/compared-methods.md)


def scores_of(samples):
    """Figure, and {sample: its statistics}."""
    if "found" in samples[0]:
        return "found", {str(s["sample"]): [float(s["found"])] for s in samples}
    figure = next(name for name in FIGURES if name in samples[0]["scores"])
    scores = {}
    for sample in samples:
        score = sample["scores"][figure]
        scores[f"{sample['task']}/{sample['id']}"] = score if isinstance(score, list) else [score]
    return figure, scores


def value_of(figure, chosen):
    if figure == "perplexity":
        return math.exp(sum(s[0] for s in chosen) / sum(s[1] for s in chosen))
    return sum(s[0] for s in chosen) / len(chosen)


def bootstrap(n, value, draws={}):
    """Percentiles 2.5 and 97.5 of `value` over samples drawn with return, the same draws for the same n."""
    if n not in draws:
        rng = random.Random(n)
        draws[n] = [rng.choices(range(n), k=n) for _ in range(DRAWS)]
    values = sorted(value(draw) for draw in draws[n])
    return [values[DRAWS // 40], values[-DRAWS // 40 - 1]]


def cell_of(result, policy):
    """What one policy did on one task."""
    samples = [s for s in result["samples"] if s["policy"] == policy]
    rows = [r for r in result["rows"] if r["policy"] == policy and r.get("task") != "all"]
    figure, scores = scores_of(samples)
    chosen = list(scores.values())
    name = "accuracy" if figure == "found" else figure
    cell = {"figure": figure, "samples": len(samples), "scores": scores}
    if len(rows) == 1:
        cell |= {"score": rows[0][name], "interval": rows[0][name + "_interval"]}
    elif figure not in CORPUS:
        cell |= {"score": value_of(figure, chosen),
                 "interval": bootstrap(len(chosen), lambda draw: value_of(figure, [chosen[i] for i in draw]))}
    cell["prompt_tokens"] = statistics.mean(s.get("prompt_tokens", s.get("length")) for s in samples)
    cell["cache_bytes"] = statistics.mean(s["cache_bytes"] for s in samples)
    cell["mean_retrieved"] = statistics.mean(s["mean_retrieved"] for s in samples)
    cell["seconds"] = statistics.mean(s["seconds"] for s in samples)
    if any(row.get("trained") is False for row in rows):
        cell["trained"] = False
    return cell


def add_difference(cell, full):
    common = [key for key in cell["scores"] if key in full["scores"]]
    figure = cell["figure"]
    if cell is full or figure in CORPUS or not common:
        return
    here, there = ([c["scores"][key] for key in common] for c in (cell, full))

    def difference(draw):
        return value_of(figure, [here[i] for i in draw]) - value_of(figure, [there[i] for i in draw])

    cell["difference"] = difference(range(len(common)))
    cell["difference_interval"] = bootstrap(len(common), difference)


def read_cells(out):
    """{"asked" or "agnostic": {policy: {task: cell}}}, policies in the order of ORDER."""
    cells = {"asked": {}, "agnostic": {}}
    for path in sorted(glob.glob(f"{out}/parts/*.json*")):
        stem, _, kind = path.rpartition(".")
        task, _, group = os.path.basename(stem).partition(".")
        if not group or kind == "jsonl" and os.path.exists(stem + ".json"):
            continue
        try:
            with open(path, encoding="utf-8") as file:
                result = json.load(file) if kind == "json" else \
                    {"samples": [json.loads(line) for line in file], "rows": []}
        except ValueError as error:
            sys.exit(f"error: {path} is no result: {error}")
        side = cells["agnostic" if group == "agnostic" else "asked"]
        for policy in dict.fromkeys(s["policy"] for s in result["samples"]):
            name = policy + (" (joint)" if group == "joint" and policy != "alone" else "")
            if task not in side.setdefault(name, {}):
                side[name][task] = {**cell_of(result, policy), "policy": policy}

    def place(name):
        family = name.split(":")[0].split(" ")[0]
        return ORDER.index(family) if family in ORDER else len(ORDER), "(joint)" in name

    return {name: {policy: side[policy] for policy in sorted(side, key=place)} for name, side in cells.items()}


def shown(cell, fewer):
    if cell is None or "score" not in cell:
        return ""
    scale = 1 if cell["figure"] in ("perplexity", "bleu") else 100
    low, high = (scale * x for x in cell["interval"])
    text = f"{scale * cell['score']:.1f} ({low:.0f} to {high:.0f})"
    if "difference_interval" in cell:
        low, high = cell["difference_interval"]
        text += " +" if low > ROUNDING else " -" if high < -ROUNDING else ""
    return text + (f" n={cell['samples']}" if fewer else "")


def memory(cells, held):
    """MB: what a policy holds by its rule, or the least and the most of what it had."""
    policy = next(iter(cells.values()))["policy"]
    sizes = [held[policy]] if policy in held else [cell["cache_bytes"] for cell in cells.values()]
    low, high = min(sizes) / 1e6, max(sizes) / 1e6
    note = ", whole prompt first" if policy in HOLDS_PROMPT else ", grows" if high > 1.05 * low else ""
    return (f"{low:.1f}" if high < 1.05 * low else f"{low:.0f} to {high:.0f}") + note


def table(title, side, tasks, held):
    yield from (f"## {title}", "")
    full = side["full"]
    for first in range(0, len(tasks), COLUMNS):
        part = tasks[first:first + COLUMNS]
        yield "| policy | memory, MB | retrieved | " + " | ".join(part) + " |"
        yield "| --- |" + " --- |" * (len(part) + 2)
        yield "| score | | | " + " | ".join(full[t]["figure"] for t in part) + " |"
        yield "| prompt, tokens | | | " + " | ".join(f"{full[t]['prompt_tokens']:,.0f}" for t in part) + " |"
        yield "| samples | | | " + " | ".join(str(full[t]["samples"]) for t in part) + " |"
        for policy, cells in side.items():
            here = {t: cells[t] for t in part if t in cells}
            if not here:
                continue
            name = policy + (" (untrained)" if any(c.get("trained") is False for c in here.values()) else "")
            row = [shown(cells.get(t), t in cells and cells[t]["samples"] != full[t]["samples"]) for t in part]
            retrieved = statistics.mean(cell["mean_retrieved"] for cell in here.values())
            yield f"| {name} | {memory(here, held)} | {retrieved:.0f} | " + " | ".join(row) + " |"
        yield ""


HEAD = """# All policies on all data sets

Made by `scripts/measure_comparison` ([how it is made equal](../../decisions/comparison-table.md)). Scores are percent but for
bleu and perplexity (lower is better), in brackets their 95 % intervals; `+` and `-` behind one: above or below full
attention over the same samples, with 95 % confidence. Equal memory is {equal:.1f} MB, {cache} tokens of the published methods; what grows or
holds the whole prompt first is marked. Random, recency and oracle read as dsrasq's memory would let them; what runs on the
joint adapter's changed weights is marked (joint). Columns are in the order of the prompts' lengths: where prompts are
shorter than {cache} tokens, policies drop nothing, and what differs is what dsrasq reads.
"""


def main(out):
    with open(f"{out}/memory.json", encoding="utf-8") as file:
        sizes = json.load(file)
    cells = read_cells(out)
    if "full" not in cells["asked"]:
        sys.exit(f"error: {out}/parts has no result of full attention")
    full = cells["asked"]["full"]
    left_out = set()
    for side in cells.values():
        for policy, of_policy in side.items():
            left_out |= of_policy.keys() - full.keys()
            side[policy] = {task: cell for task, cell in of_policy.items() if task in full}
            for task, cell in side[policy].items():
                add_difference(cell, full[task])
    if left_out:
        print(f"left out, as full attention is not measured: {', '.join(sorted(left_out))}", file=sys.stderr)
    asked = cells["asked"]
    tasks = sorted(full, key=lambda t: full[t]["prompt_tokens"])
    # Policies that never look ahead have kept the same, whether the question follows or not.
    agnostic = {name: of_policy for name, of_policy in (asked | cells["agnostic"]).items()
                if name != "attentionrag" and (name not in HOLDS_PROMPT or name in cells["agnostic"])}
    with_question = [t for t in tasks if any(t in of_policy for of_policy in cells["agnostic"].values())]
    lines = [HEAD.format(equal=sizes["cache_bytes"] / 1e6, cache=sizes["cache"])]
    lines += table("The question may choose what is kept", asked, tasks, sizes["held_bytes"])
    lines += table("What is kept is chosen before the question", agnostic, with_question, sizes["held_bytes"])
    record = {side: {name: {task: {k: v for k, v in cell.items() if k != "scores"} for task, cell in of_policy.items()}
                     for name, of_policy in table_cells.items()}
              for side, table_cells in (("question_aware", asked), ("question_agnostic", cells["agnostic"]))}
    for name, text in (("table.md", "\n".join(lines)), ("table.json", json.dumps({"memory": sizes, **record}, indent=1))):
        with open(f"{out}/{name}.new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{out}/{name}.new", f"{out}/{name}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
