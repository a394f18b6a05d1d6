"""Turns the Debian Policy Manual, as its Debian package has it, into one plain text to read.

    python3 tools/make_document.py policy.txt.gz debian-policy.txt

The table of contents goes (every heading would stand in the text twice) and the lines that were
wrapped at 70 columns are joined again; headings, lists, examples and tables stay as they are. The
same input gives the same bytes everywhere.
"""
import gzip
import re
import sys

WRAP_COLUMNS = 70
RULE = re.compile(r"[*=~^\"'-]{3,}$")
BROKEN_WORD = re.compile(r"[A-Za-z]-$")
ITEM = re.compile(r"\s*(\*|\d+\.|[a-z]\.|\[\d+\])\s+")


def without_contents(lines):
    """The lines up to the table of contents, then those from the first chapter's heading on."""
    first = next(i for i, line in enumerate(lines) if line.startswith("* 1. "))
    title = lines[first][2:]
    heading = next(i for i in range(first + 1, len(lines) - 1)
                   if lines[i] == title and RULE.match(lines[i + 1]))
    return lines[:first] + lines[heading:]


def text_column(line):
    """Where the text of a line starts, behind its list mark."""
    item = ITEM.match(line)
    return item.end() if item else len(line) - len(line.lstrip())


def continues(line, following):
    """True when `following` is there only because `line` was full."""
    if not line.strip() or not following.strip() or len(line) > WRAP_COLUMNS:
        return False
    if RULE.match(following) or ITEM.match(following):
        return False
    if line.lstrip()[0] in "+|#$" or following.lstrip()[0] in "+|#$":
        return False
    if len(following) - len(following.lstrip()) != text_column(line):
        return False
    return len(line) + 1 + len(following.split()[0]) > WRAP_COLUMNS


def unwrapped(lines):
    out = []
    column = last = None
    for line in lines:
        joins = last is not None and continues(last, line) and column == text_column(line)
        if joins:
            out[-1] += ("" if BROKEN_WORD.search(out[-1]) else " ") + line.strip()
        else:
            out.append(line.rstrip())
            column = text_column(line)
        # What the next line is compared with: this line as it was, at the paragraph's column.
        last = " " * column + line.strip() if joins else line.rstrip()
    return out


def main():
    source, target = sys.argv[1:]
    with gzip.open(source, "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")
    text = "\n".join(unwrapped(without_contents(lines)))
    text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    with open(target, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


if __name__ == "__main__":
    main()
