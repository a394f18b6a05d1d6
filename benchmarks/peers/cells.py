"""The cells of the comparison: what is measured in each, in which order, how long it may take, and the measuring."""
import dataclasses
import json
import statistics
import time

import turns

DEPTHS, LENGTHS = (0, 8192, 16384, 32768), (512, 8192, 32768)
QUICK = (0, 512, 1024)
TARGETS = {("decode", 0): 1.1, ("decode", 8192): 6, ("decode", 16384): 10, ("decode", 32768): 20,
           ("prefill", 512): 1.8, ("prefill", 8192): 3.5, ("prefill", 32768): 12}
# The slower of llama.cpp's two ways of attending is left out beyond a length where both were measured, from here on: on
# shorter texts the linear layers hide which one grows faster.
DECIDED_AT = 2048
# llama-bench loads each model and frees its context in between, and rests as dsrasq does.
REST_S, LOAD_S = 1, 0.7
DSRASQ_TOKENS = 64
# How many of llama.cpp's formats are measured where reading takes long: those that were the fastest where it did not.
FEW_FORMATS = {"decode": 2, "prefill": 1}


@dataclasses.dataclass(frozen=True)
class Cell:
    """Reading `length` tokens, or generating behind them, against one of llama.cpp's ways of attending."""
    kind: str  # decode or prefill
    length: int
    flash: bool

    @property
    def name(self):
        return f"{self.kind}-{self.length}-{'flash' if self.flash else 'noflash'}"

    @property
    def is_short(self):
        return self.length < 2048

    @property
    def peer_tokens(self):
        return 32 if self.length < 4096 else 16

    def rounds(self, wanted):
        return wanted if self.kind == "decode" else max(1, min(wanted, 16384 // self.length))


@dataclasses.dataclass
class Run:
    """What all cells share."""
    peer: str  # llama-bench
    dsrasq: str
    model: str
    adapter: str
    models: dict  # format: path, for llama.cpp
    threads: int
    rounds: int
    topk: list
    pool: int
    window: int
    folder: object  # outputs of the programs
    deadline: float = float("inf")

    def peer_command(self, cell, formats):
        # Libraries that dsrasq may need a path for are not llama.cpp's: LibTorch brings an OpenMP of its own.
        command = ["env", "-u", "LD_LIBRARY_PATH", self.peer, "-t", str(self.threads), "-fa",
                   "on" if cell.flash else "off", "-r", "1", "-o", "jsonl"]
        if cell.kind == "decode":
            command += ["-p", "0", "-n", str(cell.peer_tokens), "-d", str(cell.length), "--delay", str(REST_S)]
            formats = list(formats) * cell.rounds(self.rounds)
        else:
            # 512 tokens before what counts stand for the warm-up, which would read everything twice.
            command += ["-n", "0", "-p", f"512,{cell.length}", "--no-warmup"]
        return command + [word for name in formats for word in ("-m", str(self.models[name]))]

    def dsrasq_command(self, cell, k):
        command = [self.dsrasq, "bench", cell.kind, "--json", "--model", self.model, "--adapter", self.adapter,
                   "--threads", str(self.threads), "--policy", f"dsrasq:topk={k}", "--pool", str(self.pool), "--window",
                   str(self.window), "--lengths", str(max(1, cell.length))]
        if cell.kind == "decode":
            command += ["--decode-tokens", str(DSRASQ_TOKENS), "--repeats", str(cell.rounds(self.rounds)),
                        "--delay", str(REST_S)]
        return command


def all_cells(only, lengths, longest):
    """In the order of their expected time."""
    cells = [Cell(kind, length, flash) for kind in ("decode", "prefill") if only in (None, kind)
             for length in lengths[kind] if length <= longest for flash in (True, False)]
    return sorted(cells, key=lambda cell: (sum(expected_seconds(cell, 3, 4, 2).values()), not cell.flash))


def expected_seconds(cell, rounds, n_formats, n_topk):
    """By side, roughly, on two cores; what was measured corrects it (Comparison.seconds_for)."""
    def peer_reads(n):
        return n / 450 + 1.5e-6 * n * n / 2

    def dsrasq_reads(n):
        return (n + 512) / 300 + 1
    rounds = cell.rounds(rounds)
    if cell.kind == "prefill":
        return {"llama.cpp": rounds * n_formats * (LOAD_S + peer_reads(512) + peer_reads(cell.length)),
                "dsrasq": rounds * n_topk * dsrasq_reads(cell.length)}
    peer_token = 0.012 + (11e-6 if cell.flash else 7e-6) * cell.length
    return {"llama.cpp": peer_reads(cell.length) + rounds * n_formats * (
                REST_S + LOAD_S + cell.peer_tokens * peer_token),
            "dsrasq": n_topk * (dsrasq_reads(cell.length) + rounds * (REST_S + DSRASQ_TOKENS * 0.02))}


def cell_of(result):
    return Cell(result["kind"], result["length"], result["flash"])


def done_of(results, kind, flash):
    """[(length, result)] from the shortest."""
    return sorted(((r["length"], r) for r in results if r["kind"] == kind and r["flash"] == flash),
                  key=lambda pair: pair[0])


def reason_to_skip(cell, results):
    """Why a cell's way of attending is out; None where it may yet be the faster."""
    ways = [dict(done_of(results, cell.kind, flash)) for flash in (cell.flash, not cell.flash)]
    both = [length for length in ways[0] if length in ways[1] and DECIDED_AT <= length < cell.length]
    if not both:
        return None
    at = max(both)
    own, other = (best_peer(way[at])["median"] for way in ways)
    if own >= other:
        return None
    return f"{own:.1f} tokens/s at {at} against {other:.1f} the other way"


def formats_for(cell, results, models):
    """All formats where they are cheap, else those that were the fastest in the longest cell with all of them."""
    full = [r for length, r in done_of(results, cell.kind, cell.flash)
            if length < cell.length and len(r["llama.cpp"]) == len(models)]
    if cell.is_short or not full:
        return list(models)
    speeds = full[-1]["llama.cpp"]
    return sorted(speeds, key=lambda name: -speeds[name]["median"])[:FEW_FORMATS[cell.kind]]


def spread(samples):
    values = [sample["tokens_per_s"] for sample in samples]
    return {"median": statistics.median(values), "slowest": min(values), "fastest": max(values), "samples": samples}


def best_peer(result):
    return max(result["llama.cpp"].values(), key=lambda speed: speed["median"])


def ratios(result, k):
    """dsrasq's speed over llama.cpp's, a number a round: the fastest of its formats in that round."""
    peers = [speed["samples"] for speed in result["llama.cpp"].values()]
    return [ours["tokens_per_s"] / max(peer[i]["tokens_per_s"] for peer in peers)
            for i, ours in enumerate(result["dsrasq"][str(k)]["samples"])]


def measure(cell, run, formats, cores):
    """Measures a cell; a result for the record. What it started has ended when it returns or throws."""
    took = time.monotonic()
    peers = {name: [] for name in formats}
    ours = {k: [] for k in run.topk}
    details = (decode if cell.kind == "decode" else prefill)(cell, run, formats, cores, peers, ours)
    return {"kind": cell.kind, "length": cell.length, "flash": cell.flash, "rounds": cell.rounds(run.rounds),
            "cores": cores, "llama.cpp": {name: spread(samples) for name, samples in peers.items()},
            "dsrasq": {str(k): spread(samples) for k, samples in ours.items()}, **details,
            "commands": [shown(run.peer_command(cell, formats)), *(shown(run.dsrasq_command(cell, k)) for k in ours)],
            "seconds": round(time.monotonic() - took, 1)}


def shown(command):
    """As one would type it, without this machine's folders."""
    return " ".join(word.rpartition("/")[2] for word in command)


def last_json(text, name):
    try:
        return json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise turns.Broken(f"{name} printed no JSON but '{text.strip()[-200:]}'") from None


def peer_sample(row, took):
    tokens = row["n_prompt"] + row["n_gen"]
    return {"tokens_per_s": tokens / (row["samples_ns"][0] * 1e-9), "tokens": tokens, **took}


def decode(cell, run, formats, cores, peers, ours):
    """Both sides read once, then generate in turns: each stands still while another one measures."""
    seconds, started = {"llama.cpp": 0.0, "dsrasq": 0.0}, []

    def turn(side, program, is_measurement):
        before = time.monotonic()
        line, took = program.turn(is_measurement, run.deadline)
        seconds[side] += time.monotonic() - before
        return line, took

    def begin(command, name, lines_on):
        started.append(turns.InTurns(command, cores, run.folder, f"{cell.name}-{name}", lines_on))
        return started[-1]
    try:
        peer = begin(run.peer_command(cell, formats), "llama.cpp", "stdout")
        us = {}
        for _ in range(cell.rounds(run.rounds)):
            for name in formats:
                line, took = turn("llama.cpp", peer, lambda text: text.startswith("{"))
                peers[name].append(peer_sample(json.loads(line), took))
            for k in run.topk:
                if k not in us:
                    us[k] = begin(run.dsrasq_command(cell, k), f"dsrasq-{k}", "stderr")
                _, took = turn("dsrasq", us[k], lambda text: text.startswith("measured "))
                ours[k].append(took)
        peaks = {"llama.cpp": peer.finish(run.deadline)[0]}
        for k, program in us.items():
            peaks[f"dsrasq:{k}"], output = program.finish(run.deadline)
            repeats = last_json(output, f"{cell.name}-dsrasq-{k}")["rows"][0]["seconds"]
            for sample, measured in zip(ours[k], repeats, strict=True):
                sample.update(tokens_per_s=DSRASQ_TOKENS / measured, tokens=DSRASQ_TOKENS)
    finally:
        for program in started:
            program.kill()
    return {"side_seconds": {side: round(value, 1) for side, value in seconds.items()}, "peak_bytes": peaks}


def prefill(cell, run, formats, cores, peers, ours):
    """A process for each measurement: nothing read before is of use."""
    seconds, peaks = {"llama.cpp": 0.0, "dsrasq": 0.0}, {}

    def once(side, command, name):
        output, took = turns.run_once(command, cores, run.folder, f"{cell.name}-{name}", run.deadline)
        seconds[side] += took["wall_s"]
        peak = took.pop("peak_bytes")
        return output, took, peak
    for _ in range(cell.rounds(run.rounds)):
        for name in formats:
            output, took, peak = once("llama.cpp", run.peer_command(cell, [name]), "llama.cpp")
            peers[name].append(peer_sample(last_json(output, f"{cell.name}-llama.cpp"), took))
            peaks["llama.cpp"] = min(peak, peaks.get("llama.cpp", peak))
        for k in run.topk:
            output, took, peak = once("dsrasq", run.dsrasq_command(cell, k), f"dsrasq-{k}")
            speed = last_json(output, f"{cell.name}-dsrasq-{k}")["rows"][0]["tokens_per_s"]
            ours[k].append({"tokens_per_s": speed, "tokens": cell.length, **took})
            peaks[f"dsrasq:{k}"] = peak
    return {"side_seconds": {side: round(value, 1) for side, value in seconds.items()}, "peak_bytes": peaks}
