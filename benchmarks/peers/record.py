"""The record of a comparison: one JSON file that is rewritten after each cell, and the table in it."""
import json
import os
import statistics
import subprocess

import cells
import llama_cpp

# What kernels are written for; more would name the machine.
FEATURES = ("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16",
            "amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "sve")


def machine_facts():
    with open("/proc/cpuinfo") as file:
        flags = next((line.partition(":")[2].split() for line in file if line.startswith(("flags", "Features"))), [])
    with open("/proc/meminfo") as file:
        total_kib = int(next(line.split()[1] for line in file if line.startswith("MemTotal")))
    return {"instruction_sets": [name for name in FEATURES if name in flags], "cores": os.cpu_count(),
            "memory_gib": round(total_kib / 2**20), "load_at_start": round(os.getloadavg()[0], 2)}


def output_of(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise llama_cpp.Failed(f"{command[0]} failed: {done.stdout.strip()[-300:]}")
    return done.stdout.strip()


def versions(dsrasq, bench):
    ours = json.loads(output_of([dsrasq, "version", "--json"]))
    return {"dsrasq": {"version": ours["version"], "libtorch": ours["libtorch"],
                       "sha256": llama_cpp.sha256_of(dsrasq)},
            "llama.cpp": {"from": f"{llama_cpp.PACKAGE} {llama_cpp.VERSION}",
                          "version": output_of([bench, "--version"])}}


def adapter_facts(dsrasq, adapter):
    """Its trained slots are read beside the window and the pool: none is less work than some."""
    found = json.loads(output_of([dsrasq, "inspect", str(adapter), "--json"]))
    return {"file": adapter.name, "sha256": llama_cpp.sha256_of(adapter),
            **{name: found[name] for name in ("slots", "lora_rank", "thresholds", "budget_heads")}}


def read(path):
    """The record at `path`, None where there is none."""
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text())
        if found["what"] != "peers":
            raise ValueError("it is none of a comparison")
        return found
    except (ValueError, KeyError, TypeError) as error:
        raise llama_cpp.Failed(f"{path} is no record to go on from: {error}; -o names another file") from error


def write(path, record):
    partial = path.with_name(path.name + ".partial")
    with open(partial, "w") as file:
        json.dump(record, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def refuse_other_settings(old, new, path):
    for key in sorted(set(old) | set(new)):
        if old.get(key) != new.get(key):
            raise llama_cpp.Failed(f"{path} was measured with {key} {old.get(key)}, now it is {new.get(key)}; "
                                   "-o names another file")


def table(results, topk):
    """A row for each kind and length: llama.cpp's faster way of attending, and the ratios measured beside it."""
    rows = []
    for kind in ("decode", "prefill"):
        for length in sorted({r["length"] for r in results if r["kind"] == kind}):
            ways = [r for r in results if (r["kind"], r["length"]) == (kind, length)]
            best = max(ways, key=lambda way: cells.best_peer(way)["median"])
            name = max(best["llama.cpp"], key=lambda name: best["llama.cpp"][name]["median"])
            row = {"kind": kind, "length": length, "ways_measured": len(ways),
                   "llama.cpp": {"format": name, "flash": best["flash"], **short(best["llama.cpp"][name])},
                   "target": cells.TARGETS.get((kind, length)), "peak_bytes": best["peak_bytes"]}
            for k in topk:
                ratios = cells.ratios(best, k)
                row[f"k={k}"] = {**short(best["dsrasq"][str(k)]), "ratio": statistics.median(ratios),
                                 "ratio_range": [min(ratios), max(ratios)]}
            rows.append(row)
    return rows


def short(speed):
    return {key: speed[key] for key in ("median", "slowest", "fastest")}


def table_text(rows, topk):
    head = ["", "tokens", "llama.cpp tokens/s", *(f"dsrasq, k = {k}" for k in topk),
            *(f"ratio, k = {k}" for k in topk), "target", "memory (llama.cpp / dsrasq)"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        peer, peaks = row["llama.cpp"], row["peak_bytes"]
        ours = max(value for name, value in peaks.items() if name != "llama.cpp")
        lines.append([
            row["kind"], f"{row['length']:,}",
            f"{speed_text(peer)} ({peer['format']}, flash {'on' if peer['flash'] else 'off'})",
            *(speed_text(row[f"k={k}"]) for k in topk),
            *("{:.2f} ({:.2f} to {:.2f})".format(row[f"k={k}"]["ratio"], *row[f"k={k}"]["ratio_range"]) for k in topk),
            f"{row['target']}" if row["target"] else "-",
            f"{peaks['llama.cpp'] / 2**20:.0f}{'*' if row['kind'] == 'decode' else ''} / {ours / 2**20:.0f} MiB"])
    return "\n".join(["| " + " | ".join(line) + " |" for line in lines] + ["* with llama-bench's copy of its cache"])


def speed_text(speed):
    return f"{speed['median']:.1f} ({speed['slowest']:.1f} to {speed['fastest']:.1f})"
