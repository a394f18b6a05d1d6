"""Prints the rows of result files as Markdown tables.

    python3 tools/result_table.py docs/results/perplexity.json ...
"""
import json
import sys

# Columns in this order, where a result has them: key, heading, how it is shown.
COLUMNS = [
    ("length", "tokens", "{:,}"),
    ("policy", "policy", "{}"),
    ("perplexity", "perplexity", "{:.3f}"),
    ("change_percent", "change", "{:+.2f} %"),
    ("change_interval", "95 % interval", "{0[0]:+.2f} to {0[1]:+.2f} %"),
    ("change_far_percent", "from 2,048 on", "{:+.2f} %"),
    ("accuracy", "found", "{:.1%}"),
    ("accuracy_interval", "95 % interval", "{0[0]:.0%} to {0[1]:.0%}"),
    ("digit_accuracy", "digits right", "{:.1%}"),
    ("mean_retrieved", "retrieved", "{:.1f}"),
    ("cache_bytes", "memory, MB", "{0:.1f}"),
    ("peak_bytes", "peak, MB", "{0:.1f}"),
    ("tokens_per_s", "tokens/s", "{:.1f}"),
    ("samples", "samples", "{}"),
]


def shown(row, key, form):
    if key not in row:
        return ""
    return form.format(row[key] / 1e6 if key.endswith("_bytes") else row[key])


def table(rows):
    columns = [c for c in COLUMNS if any(c[0] in row for row in rows)]
    yield "| " + " | ".join(heading for _, heading, _ in columns) + " |"
    yield "| " + " | ".join("---" for _ in columns) + " |"
    for row in rows:
        yield "| " + " | ".join(shown(row, key, form) for key, _, form in columns) + " |"


def main():
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            print("\n".join([f"{path}", "", *table(json.load(file)["rows"]), ""]))


main()
