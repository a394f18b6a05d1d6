"""Fails when a file breaks a rule that neither the compiler nor the linker sees."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUFFIXES = {".h", ".cpp", ".cu", ".cuh"}


def ladder():
    """Folder name -> layer, read from each folder's CMakeLists.txt."""
    layers = {"cli": 99}
    for path in (ROOT / "dsrasq").glob("*/CMakeLists.txt"):
        found = re.search(r"dsrasq_library\((\w+) +LAYER (\d+)", path.read_text())
        if found:
            layers[found[1]] = int(found[2])
    return layers


def problems_of(path, layers):
    parts = path.relative_to(ROOT).parts
    folder = parts[0] if parts[0] == "cli" else parts[1]
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) > 500:
        yield f"{path.relative_to(ROOT)}: {len(lines)} lines, want at most 500"
    for number, line in enumerate(lines, 1):
        where = f"{path.relative_to(ROOT)}:{number}"
        if not line.isascii() or len(line) > 100:
            yield f"{where}: want ASCII and at most 100 columns"
        if "<torch/torch.h>" in line or (path.suffix == ".h" and "<torch/" in line):
            yield f"{where}: {line.strip()} is too heavy; include ATen/core/Tensor.h or ATen/ops/x.h"
        used = re.match(r'#include "dsrasq/(\w+)/', line)
        if used and used[1] != folder and layers.get(used[1], 0) >= layers[folder]:
            yield f"{where}: {folder} may not include {used[1]}"


def main():
    layers = ladder()
    files = [p for top in ("dsrasq", "cli") for p in sorted((ROOT / top).rglob("*"))
             if p.suffix in SUFFIXES]
    problems = [problem for path in files for problem in problems_of(path, layers)]
    print("\n".join(problems) or f"ok: {len(files)} files")
    return bool(problems)


sys.exit(main())
