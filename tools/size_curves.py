"""Perplexity and KL against tokens retrieved, and what a learned rule saves at equal quality.

    python3 tools/size_curves.py docs/results/sizes/*.json [--json]

Reads results of `eval perplexity` whose first policy is `full`. Rules belong to a family (fixed k, one threshold,
a threshold a layer, a budget head, ...). What a budget head saves against a family is 1 - |S| / |S'|, where |S'| is
where the family's curve, straight in log |S|, has the head's perplexity or KL, nothing where it does not reach it.
Intervals: 95 %, bootstrap over books; draws in which the curve does not reach the head's value are left out.
"""
import json
import math
import pathlib
import random
import sys

RESAMPLES = 2000
FAMILIES = [("retrieve=budget", "budget head"), ("retrieve=threshold", "a threshold a layer"),
            ("min-share=", "one threshold"), ("oracle", "ideal"), ("recency", "latest"),
            ("random", "random"), ("topk=", "fixed k")]


def family_of(label):
    return next((name for mark, name in FAMILIES if mark in label), label)


class Rule:
    """A policy's samples: by book the mean negative log-likelihood and KL, and those of full attention."""

    def __init__(self, source, label, samples, full):
        self.source, self.label, self.family = source, label, family_of(label)
        self.books = {}
        for sample in samples:
            base = full[sample["sample"]]
            tokens = sum(sample["quarter_tokens"])
            change = (sum(sample["quarter_nll"]) - sum(base["quarter_nll"])) / tokens
            self.books[sample["sample"]] = (change, sample["kl"] / tokens, sample["mean_retrieved"])

    def mean(self, column, books):
        return sum(self.books[b][column] for b in books) / len(books)

    def point(self, books):
        """(tokens, {"perplexity": log ratio, "kl": KL}) over the books, with repeats."""
        return self.mean(2, books), {"perplexity": self.mean(0, books), "kl": self.mean(1, books)}


def read_rules(paths):
    for path in paths:
        with open(path, encoding="utf-8") as file:
            result = json.load(file)
        by_policy = {}
        for sample in result["samples"]:
            by_policy.setdefault(sample["policy"], []).append(sample)
        full = {sample["sample"]: sample for sample in by_policy.pop("full")}
        for label, samples in by_policy.items():
            yield Rule(pathlib.Path(path).stem, label, samples, full)


def tokens_at(points, value):
    """|S| where the curve through (tokens, value) points has `value`; beyond its ends None."""
    points = sorted(points)
    for (n, a), (m, b) in zip(points, points[1:]):
        if min(a, b) <= value <= max(a, b) and a != b:
            return math.exp(math.log(n) + (math.log(m) - math.log(n)) * (value - a) / (b - a))
    return None


def saving(head, rules, measure, books):
    tokens, quality = head.point(books)
    points = [(t, q[measure]) for t, q in (rule.point(books) for rule in rules) if t > 0]
    other = tokens_at(points, quality[measure])
    return None if other is None else 1 - tokens / other


def savings(rules):
    """For every budget head, family and measure: (value, low, high), where the curve reaches that far."""
    families = {}
    for rule in rules:
        families.setdefault(rule.family, []).append(rule)
    dice = random.Random(0)
    for head in families.get("budget head", []):
        books = sorted(head.books)
        resamples = [[dice.choice(books) for _ in books] for _ in range(RESAMPLES)]
        for family in ("fixed k", "one threshold", "a threshold a layer"):
            for measure in ("perplexity", "kl"):
                curve = families.get(family, [])
                value = saving(head, curve, measure, books)
                if value is None:
                    continue
                drawn = sorted(s for s in (saving(head, curve, measure, r) for r in resamples) if s is not None)
                low, high = (drawn[int(len(drawn) * p)] for p in (0.025, 0.975))
                yield {"head": head.source, "against": family, "measure": measure, "saving": value,
                       "interval": [low, high]}


def points_table(rules):
    yield "| rule | trained as | retrieved | perplexity | KL |"
    yield "| --- | --- | --- | --- | --- |"
    order = {name: i for i, (_, name) in enumerate(FAMILIES)}
    for rule in sorted(rules, key=lambda r: (order.get(r.family, 99), r.point(sorted(r.books))[0])):
        tokens, quality = rule.point(sorted(rule.books))
        change = 100 * math.expm1(quality["perplexity"])
        trained = rule.source if "retrieve=" in rule.label else ""
        yield f"| {rule.label} | {trained} | {tokens:.1f} | {change:+.2f} % | {quality['kl']:.5f} |"


def savings_table(found):
    yield "| head | against | at equal | saves | 95 % interval |"
    yield "| --- | --- | --- | --- | --- |"
    for s in found:
        low, high = s["interval"]
        yield (f"| {s['head']} | {s['against']} | {s['measure']} | {s['saving']:.0%} | "
               f"{low:.0%} to {high:.0%} |")


def main():
    paths = [a for a in sys.argv[1:] if a != "--json"]
    rules = list(read_rules(paths))
    found = list(savings(rules))
    if "--json" in sys.argv:
        print(json.dumps(found))
    else:
        print("\n".join([*points_table(rules), "", *savings_table(found)]))


main()
