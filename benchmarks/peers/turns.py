"""Programs that measure in turns on the same cores, and what the cores did meanwhile."""
import os
import select
import signal
import subprocess
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
running, running_lock = set(), threading.Lock()


class TimeUp(Exception):
    """The time that the user gave is over."""


class Broken(Exception):
    """A program failed, with what it said last."""


def stop_all():
    """Kills what still runs, also what waits for its turn."""
    with running_lock:
        for process in running:
            os.killpg(process.pid, signal.SIGKILL)


def start(command, cores, **streams):
    process = subprocess.Popen(["taskset", "-c", cores, *command], start_new_session=True, **streams)
    with running_lock:
        running.add(process)
    return process


def ended(process, status):
    with running_lock:
        running.discard(process)
    process.returncode = os.waitstatus_to_exitcode(status)


def core_list(cores):
    """Numbers of "0,2-3"."""
    numbers = []
    for part in cores.split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def busy_seconds(cores):
    """CPU time that anything took of the cores so far, a hypervisor's other guests included."""
    wanted = {f"cpu{core}" for core in core_list(cores)}
    ticks = 0
    with open("/proc/stat") as file:
        for line in file:
            name, *counts = line.split()
            if name in wanted:
                user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, counts[:8])
                ticks += user + nice + system + irq + softirq + steal
    return ticks / TICKS


def process_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Clock:
    """Wall time, CPU time and CPU time that others took of the cores, from its making on."""

    def __init__(self, cores, own=0.0):
        self.cores, self.own = cores, own
        self.wall, self.busy = time.monotonic(), busy_seconds(cores)

    def read(self, own):
        busy = busy_seconds(self.cores) - self.busy
        return {"wall_s": round(time.monotonic() - self.wall, 3), "cpu_s": round(own - self.own, 2),
                "others_cpu_s": round(max(0.0, busy - (own - self.own)), 2)}


class InTurns:
    """A program that writes a line after each of its measurements and stands still until the next one is asked for."""

    def __init__(self, command, cores, folder, name, lines_on="stdout"):
        self.name, self.cores = name, cores
        self.kept_path = folder / f"{name}.{'stderr' if lines_on == 'stdout' else 'stdout'}"
        self.last_lines, self.buffer = [], b""
        with open(self.kept_path, "wb") as kept:
            streams = {"stdout": kept, "stderr": kept, lines_on: subprocess.PIPE}
            self.process = start(command, cores, **streams)
        self.pipe = self.process.stdout if lines_on == "stdout" else self.process.stderr

    def turn(self, is_measurement, deadline):
        """Lets it go on to its next measurement. Returns that line and what the turn took."""
        clock = Clock(self.cores, process_seconds(self.process.pid))
        os.killpg(self.process.pid, signal.SIGCONT)
        while True:
            line = self._line(deadline)
            if line is None:
                self.finish(deadline)
                raise Broken(f"{self.name} ended early: {self._said()}")
            if is_measurement(line):
                os.killpg(self.process.pid, signal.SIGSTOP)
                return line, clock.read(process_seconds(self.process.pid))
            self.last_lines = [*self.last_lines, line][-5:]

    def finish(self, deadline):
        """Lets it end. Returns its peak memory in bytes and what it wrote to the other stream."""
        os.killpg(self.process.pid, signal.SIGCONT)
        while self._line(deadline) is not None:
            pass
        _, status, usage = os.wait4(self.process.pid, 0)
        ended(self.process, status)
        if self.process.returncode != 0:
            raise Broken(f"{self.name} failed: {self._said()}")
        return usage.ru_maxrss * 1024, self.kept_path.read_text()

    def kill(self):
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            ended(self.process, os.waitpid(self.process.pid, 0)[1])

    def _said(self):
        return " ".join(self.last_lines).strip() or self.kept_path.read_text().strip()[-300:] or "it said nothing"

    def _line(self, deadline):
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeUp()
            if not select.select([self.pipe], [], [], min(left, 1.0))[0]:
                continue
            block = os.read(self.pipe.fileno(), 1 << 16)
            if not block:
                return None
            self.buffer += block
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode(errors="replace")


def run_once(command, cores, folder, name, deadline):
    """A program from start to end. Returns its output and what it took, its peak memory included."""
    clock = Clock(cores)
    with open(folder / f"{name}.stdout", "wb") as out, open(folder / f"{name}.stderr", "wb") as err:
        process = start(command, cores, stdout=out, stderr=err)
    while True:
        is_late = time.monotonic() > deadline
        if is_late:
            os.killpg(process.pid, signal.SIGKILL)
        pid, status, usage = os.wait4(process.pid, 0 if is_late else os.WNOHANG)
        if pid:
            break
        time.sleep(0.02)
    ended(process, status)
    if is_late:
        raise TimeUp()
    if process.returncode != 0:
        said = (folder / f"{name}.stderr").read_text(errors="replace").strip()
        raise Broken(f"{name} failed: {said[-300:] or 'it said nothing'}")
    took = clock.read(usage.ru_utime + usage.ru_stime)
    return (folder / f"{name}.stdout").read_text(), {**took, "peak_bytes": usage.ru_maxrss * 1024}
