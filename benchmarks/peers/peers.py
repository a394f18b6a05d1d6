#!/usr/bin/env python3
"""dsrasq against llama.cpp on the CPU, in turns on the same cores: speed of generating and reading, and memory.

    python3 benchmarks/peers/peers.py --quick             builds llama.cpp (minutes), tries everything on short texts
    python3 benchmarks/peers/peers.py -o peers.json       measures; a run that was stopped goes on
    python3 benchmarks/peers/peers.py --plan              what a run would measure, and how long it takes
    python3 benchmarks/peers/peers.py --pack llama.tar.xz    the sources alone, for a machine without a network

llama.cpp is measured by its own llama-bench, with every format of --formats and both ways of attending where that is
cheap, with the fastest beyond. In each round one side stands still (SIGSTOP) while the other one measures; a ratio is
that of a round. dsrasq reads the model's file as it is, with an adapter; the record says how many slots that has.
"""
import argparse
import os
import pathlib
import signal
import sys
import tempfile
import time

import cells
import comparison
import llama_cpp
import record
import turns

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def parse_arguments():
    def numbers(text):
        return sorted({int(word) for word in text.split(",")})
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--sdist", type=pathlib.Path, help="the sdist of llama-cpp-python; downloaded with pip when nothing is given")
    add("--source", type=pathlib.Path, help="a folder of llama.cpp's sources, or what --pack wrote")
    add("--llama-bin", type=pathlib.Path, help="a folder with llama-bench and llama-quantize, built already")
    add("--pack", type=pathlib.Path, metavar="OUT.tar.xz", help="write the sources that the build needs, and end")
    add("--build", action="store_true", help="build llama.cpp and make the model's files, and end")
    add("--work", type=pathlib.Path, default=ROOT / ".cache/peers", help="for llama.cpp, model files and outputs")
    add("--jobs", type=int, default=os.cpu_count(), help="of the build")
    add("--model", type=pathlib.Path, default=ROOT / "models/SmolLM2-135M-Instruct.Q4_1.gguf")
    add("--adapter", type=pathlib.Path, default=ROOT / "adapters/SmolLM2-135M-Instruct.safetensors", help="of dsrasq")
    add("--dsrasq", type=pathlib.Path, default=ROOT / "build/release/bin/dsrasq", help="the program")
    add("-o", "--output", type=pathlib.Path, help="the record; .cache/peers/record.json (quick.json)")
    add("--only", choices=("decode", "prefill"))
    add("--depths", type=numbers, help="to generate at; default 0,8192,16384,32768")
    add("--lengths", type=numbers, help="to read; default 512,8192,32768")
    add("--longest", type=int, default=1 << 30, metavar="N", help="leave out what is longer")
    add("--quick", action="store_true", help="depths 0 to 1,024, to try everything")
    add("--rounds", type=int, default=5, help="fewer where reading takes long")
    add("--topk", type=numbers, default=[64, 256])
    add("--pool", type=int, default=16384)
    add("--window", type=int, default=512)
    add("--formats", default=",".join(llama_cpp.FORMATS), help="of llama.cpp's files")
    add("--keep-slower", action="store_true", help="measure both ways of attending at every length")
    add("--threads", type=int, default=2)
    add("--cores", help="to run on, e.g. 0,1; default: one thread of as many cores as needed")
    add("--parallel", type=int, default=1, metavar="N", help="cells measured at once, each on --threads cores")
    add("--minutes", type=float, help="end by then; cells that would not fit are left out")
    add("--plan", action="store_true", help="print what would be measured and the time it takes")
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.threads, arguments.parallel, arguments.jobs) < 1:
        parser.error("rounds, threads, parallel and jobs have to be 1 or more")
    if min(arguments.depths or [0]) < 0 or min(arguments.lengths or [1]) < 1:
        parser.error("depths have to be 0 or more, lengths 1 or more")
    unknown = set(arguments.formats.split(",")) - set(llama_cpp.FORMATS)
    if unknown:
        parser.error(f"unknown format {sorted(unknown)[0]}, want some of {','.join(llama_cpp.FORMATS)}")
    default = {"decode": cells.QUICK, "prefill": cells.QUICK[1:]} if arguments.quick else {
        "decode": cells.DEPTHS, "prefill": cells.LENGTHS}
    arguments.tokens = {"decode": arguments.depths or default["decode"],
                        "prefill": arguments.lengths or default["prefill"]}
    arguments.output = arguments.output or arguments.work / ("quick.json" if arguments.quick else "record.json")
    return arguments


def core_groups(arguments):
    """The cores of each cell that runs at the same time, as taskset takes them."""
    allowed = sorted(os.sched_getaffinity(0))
    if arguments.cores:
        cores = turns.core_list(arguments.cores)
    else:
        siblings = {core: pathlib.Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
                    for core in allowed}
        first = {core: turns.core_list(path.read_text().strip())[0] if path.exists() else core
                 for core, path in siblings.items()}
        cores = [core for core in allowed if first[core] == core]
    wanted = arguments.threads * arguments.parallel
    if len(cores) < wanted or not set(cores) <= set(allowed):
        raise llama_cpp.Failed(f"{arguments.parallel} times {arguments.threads} threads want {wanted} cores, "
                               f"there are {len(set(cores) & set(allowed))}: {','.join(map(str, cores))}")
    groups = [cores[i:i + arguments.threads] for i in range(0, wanted, arguments.threads)]
    return [",".join(map(str, group)) for group in groups]


def prepare(arguments):
    """llama.cpp's programs and the model's files."""
    programs = arguments.llama_bin
    if programs is None:
        source = arguments.source or arguments.sdist or llama_cpp.get_sdist(arguments.work)
        programs = llama_cpp.build(llama_cpp.unpack(source, arguments.work), arguments.work, arguments.jobs)
    for path in (programs / "llama-bench", programs / "llama-quantize", arguments.dsrasq, arguments.model,
                 arguments.adapter):
        if not path.is_file():
            raise llama_cpp.Failed(f"{path} is not there")
    return programs, llama_cpp.make_models(arguments.model, arguments.formats.split(","), programs, arguments.work,
                                           arguments.threads)


def facts_of(arguments, programs):
    """What the record says of the run, and the settings that one record has to have in common."""
    facts = {"machine": record.machine_facts(), "cells_at_once": arguments.parallel,
             "memory_bandwidth_shared": arguments.parallel > 1}
    settings = {"versions": record.versions(arguments.dsrasq, programs / "llama-bench"),
                "model": {"file": arguments.model.name, "sha256": llama_cpp.sha256_of(arguments.model)},
                "adapter": record.adapter_facts(arguments.dsrasq, arguments.adapter),
                "parallel": arguments.parallel, "formats": arguments.formats,
                **{name: getattr(arguments, name) for name in ("threads", "rounds", "topk", "pool", "window")}}
    return facts, settings


def run_of(arguments, programs, models, folder):
    end = time.monotonic() + arguments.minutes * 60 if arguments.minutes else float("inf")
    same = {name: getattr(arguments, name) for name in ("threads", "rounds", "topk", "pool", "window")}
    return cells.Run(peer=str(programs / "llama-bench"), dsrasq=str(arguments.dsrasq), model=str(arguments.model),
                     adapter=str(arguments.adapter), models=models, folder=folder, deadline=end, **same)


def compare(arguments):
    if arguments.pack:
        llama_cpp.pack(arguments.sdist or llama_cpp.get_sdist(arguments.work), arguments.pack)
        print(f"{arguments.pack}: {arguments.pack.stat().st_size:,} bytes, "
              f"SHA-256 {llama_cpp.sha256_of(arguments.pack)}")
        return 0
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
        run = run_of(arguments, pathlib.Path(), dict.fromkeys(arguments.formats.split(",")), pathlib.Path(folder))
        if arguments.plan:
            print(comparison.Comparison(arguments, run).plan_text())
            return 0
        programs, models = prepare(arguments)
        if arguments.build:
            return 0
        run.peer, run.models = str(programs / "llama-bench"), models
        facts, settings = facts_of(arguments, programs)
        all_cells = comparison.Comparison(arguments, run, settings, facts)
        all_cells.go(core_groups(arguments))
    if all_cells.results:
        print(record.table_text(record.table(all_cells.results, arguments.topk), arguments.topk))
    for line in all_cells.failed or ([] if all_cells.results else ["nothing was measured"]):
        print(f"peers: {line}", file=sys.stderr)
    return 0 if all_cells.results and not all_cells.failed else 1


def main():
    def interrupt(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)
    try:
        return compare(parse_arguments())
    except llama_cpp.Failed as error:
        print(f"peers: {error}", file=sys.stderr)
        return 3
    except OSError as error:
        print(f"peers: {error.filename}: {error.strerror}", file=sys.stderr)
        return 5
    except KeyboardInterrupt:
        print("peers: stopped; the same command goes on with the cells that are left", file=sys.stderr)
        return 130
    finally:
        turns.stop_all()


if __name__ == "__main__":
    sys.exit(main())
