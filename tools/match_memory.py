"""How large a pool is as many bytes as the published methods' tokens: for `scripts/measure_comparison`.

    python3 tools/match_memory.py OUT_DIR CACHE WINDOW

Reads what the program says of its memory (OUT_DIR/parts/memory-warm-up.json and memory-joint.json: two caches of
streaming-llm, two pools of dsrasq, the larger one first), writes OUT_DIR/memory.json and prints the pools for a shell.

What a token costs is measured: the difference of two sizes. How many there are follows from the policies' rules, so that
neither the room that a GPU reserves for calls of 8,192 tokens counts, nor what is rounded up. dsrasq holds its window, and
a pool of which up to a block is leaving and which has the window's tokens too (docs/decisions/pool-on-arrival.md).
"""
import json
import os
import sys

BLOCK = 512  # tokens
PAGE = 16
DEFAULTS = (512, 16384)  # window and pool that dsrasq has unless told


def sizes(out, name):
    """[(policy, its options, bytes)] as measured."""
    with open(f"{out}/parts/memory-{name}.json", encoding="utf-8") as file:
        rows = json.load(file)["rows"]
    return [(row["policy"], dict(part.split("=") for part in row["policy"].split(":")[1:]), row["cache_bytes"])
            for row in rows]


def slope(larger, smaller, option):
    return (larger[2] - smaller[2]) / (int(larger[1][option]) - int(smaller[1][option]))


def main(out, cache, window):
    warm_up, joint = sizes(out, "warm-up"), sizes(out, "joint")
    kept = slope(*warm_up[:2], "cache")
    pooled = slope(*warm_up[2:], "pool")
    slots = joint[0][2] - warm_up[2][2]  # of the same pool

    def held(window, pool, slots):
        return round(window * kept + (window + pool + BLOCK) * pooled + slots)

    def equal_pool(slots):
        left = (cache * kept - held(window, 0, slots)) / pooled
        return max(PAGE, int(left) // PAGE * PAGE)

    pool, joint_pool = equal_pool(0), equal_pool(slots)
    of_policy = {f"dsrasq:window={window}:pool={pool}": held(window, pool, 0), "dsrasq": held(*DEFAULTS, 0),
                 "dsrasq:retrieve=topk": held(*DEFAULTS, slots), f"window:window={cache - 4}": round(cache * kept)}
    for name in ("random", "recency", "oracle"):
        of_policy[f"{name}:window={window}:pool={pool}"] = held(window, pool, 0)
    for retrieve in ("topk", "budget"):
        of_policy[f"dsrasq:retrieve={retrieve}:window={window}:pool={joint_pool}"] = held(window, joint_pool, slots)
    record = {"cache": cache, "cache_bytes": round(cache * kept), "kept_token_bytes": kept, "pool_token_bytes": pooled,
              "slots_bytes": slots, "window": window, "block": BLOCK, "pool": pool, "joint_pool": joint_pool,
              "held_bytes": of_policy}
    with open(f"{out}/memory.json.new", "w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)
    os.replace(f"{out}/memory.json.new", f"{out}/memory.json")
    print(f"pool={pool} joint_pool={joint_pool}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
