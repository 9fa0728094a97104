"""Two or more sides of a benchmark, run in turn: each is a process that answers "go" with "seconds <s>"."""
import os, statistics, subprocess, sys


class Side:
    def __init__(self, name, command):
        self.name = name
        self.p = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.times = []

    def go(self, keep=True):
        self.p.stdin.write("go\n"); self.p.stdin.flush()
        for line in self.p.stdout:
            if line.startswith("seconds "):
                if keep:
                    self.times.append(float(line.split()[1]))
                return
        sys.exit(f"{self.name}: ended without an answer")

    def done(self):
        self.p.stdin.close(); self.p.wait()
        return statistics.median(self.times)


def in_turn(sides, rounds=5):
    """One pass each to warm up, then `rounds` passes in turn; medians by name."""
    for s in sides:
        s.go(keep=False)
    for _ in range(rounds):
        for s in sides:
            s.go()
    return {s.name: s.done() for s in sides}


def side_program():
    return os.environ.get("ASSAY_SIDE", "build/cc/bench/side")


def machine():
    name = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?")
    return f"{name}, {os.cpu_count()} cores"
