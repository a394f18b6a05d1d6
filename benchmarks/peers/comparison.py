"""All cells of a comparison, one after another or several at once, and the record that grows with them."""
import concurrent.futures
import sys
import threading
import time

import cells
import record
import turns

NOTES = ["Both sides read random tokens of the model's vocabulary and generate without sampling.",
         "Depth 0 of dsrasq is depth 1: a session generates after at least one token.",
         "llama-bench keeps a copy of its cache while it generates at a depth, which its memory there includes.",
         "others_cpu_s is CPU time that anything else took of the cores during a turn."]


class Comparison:
    """Goes through the cells, on several groups of cores at once, and keeps the record."""

    def __init__(self, arguments, run, settings=None, facts=None):
        self.output, self.keep_slower = arguments.output, arguments.keep_slower
        self.run, self.settings, self.facts = run, settings, facts
        self.lock, self.started = threading.Condition(), time.monotonic()
        found = record.read(self.output) or {"settings": settings, "cells": []}
        if settings:
            record.refuse_other_settings(found["settings"], settings, self.output)
        self.results, self.left_out, self.failed = found["cells"], {}, []
        done = {cells.cell_of(result) for result in self.results}
        self.pending = [cell for cell in cells.all_cells(arguments.only, arguments.tokens, arguments.longest)
                        if cell not in done]
        self.running = set()

    def expected(self, cell, n_formats):
        return cells.expected_seconds(cell, self.run.rounds, n_formats, len(self.run.topk))

    def seconds_for(self, cell):
        """What a cell will take, by how much longer than expected the cells took that are done."""
        n_formats = len(cells.formats_for(cell, self.results, self.run.models))
        if self.waits(cell):
            n_formats = min(n_formats, cells.FEW_FORMATS[cell.kind])
        total = 0
        for side, value in self.expected(cell, n_formats).items():
            measured = sum(r["side_seconds"][side] for r in self.results)
            expected = sum(self.expected(cells.cell_of(r), len(r["llama.cpp"]))[side] for r in self.results)
            total += value * (measured / expected if expected else 1)
        return total

    def minutes_left(self):
        return sum(map(self.seconds_for, self.pending)) / 60

    def plan_text(self):
        lines = [f"{cell.name}: {self.seconds_for(cell):.0f} s" for cell in self.pending]
        return "\n".join([*lines, f"at most, one after another: {self.minutes_left():.0f} minutes"])

    def waits(self, cell):
        """Whether a cell depends on one that is not done: short ones tell which formats long ones need."""
        return not cell.is_short and any(other.is_short and (other.kind, other.flash) == (cell.kind, cell.flash)
                                         for other in [*self.running, *self.pending])

    def reason_to_leave_out(self, cell):
        reason = None if self.keep_slower else cells.reason_to_skip(cell, self.results)
        left = self.run.deadline - time.monotonic()
        if not reason and self.seconds_for(cell) > left:
            reason = f"it would take {self.seconds_for(cell):.0f} s, {max(0, left):.0f} are left"
        return reason

    def next_cell(self):
        """The next cell that waits for nothing; None at the end."""
        with self.lock:
            while self.pending:
                ready = [cell for cell in self.pending if not self.waits(cell)]
                if not ready:
                    self.lock.wait()
                    continue
                cell = ready[0]
                self.pending.remove(cell)
                reason = self.reason_to_leave_out(cell)
                if not reason:
                    self.running.add(cell)
                    return cell
                self.left_out[cell.name] = reason
                self.note(f"{cell.name}: left out: {reason}")
                self.lock.notify_all()
            return None

    def work(self, cores):
        while (cell := self.next_cell()) is not None:
            formats = cells.formats_for(cell, self.results, self.run.models)
            result, problem = None, None
            try:
                result = cells.measure(cell, self.run, formats, cores)
            except turns.TimeUp:
                self.left_out[cell.name] = "the time was over"
            except turns.Broken as error:
                problem = str(error)
            with self.lock:
                self.running.remove(cell)
                if problem:
                    self.failed.append(problem)
                if result:
                    self.results.append(result)
                    self.save()
                    self.tell(cell, result)
                self.lock.notify_all()

    def tell(self, cell, result):
        ours = ", ".join(f"k={k} {result['dsrasq'][str(k)]['median']:.1f}" for k in self.run.topk)
        self.note(f"{cell.name}: llama.cpp {cells.best_peer(result)['median']:.1f}, dsrasq {ours} tokens/s in "
                  f"{result['seconds']:.0f} s; cells left: {len(self.pending)}, for at most "
                  f"{self.minutes_left():.0f} minutes")

    def note(self, text):
        print(f"[{time.monotonic() - self.started:.0f} s] {text}", file=sys.stderr, flush=True)

    def save(self):
        record.write(self.output, {
            "what": "peers", **self.facts, "settings": self.settings, "notes": NOTES, "left_out": self.left_out,
            "failed": self.failed, "table": record.table(self.results, self.run.topk), "cells": self.results})

    def go(self, groups):
        """Measures on each of the groups of cores; returns when no cell is left."""
        try:
            with concurrent.futures.ThreadPoolExecutor(len(groups)) as pool:
                workers = [pool.submit(self.work, cores) for cores in groups]
                try:
                    for worker in concurrent.futures.as_completed(workers):
                        worker.result()
                except BaseException:
                    self.pending.clear()
                    turns.stop_all()
                    raise
        finally:
            if self.results:
                self.save()
