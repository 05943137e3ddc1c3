# SPDX-License-Identifier: Apache-2.0
"""What `make bench` measured, as a table on the terminal, docs/benchmarks.md and a plot."""
import datetime
import math
import os
import platform
from xml.sax.saxutils import escape

HEAD = """# Benchmarks

Written by `make bench`: the agent (the static program of the image unless a row says otherwise) against OpenBao's own
agent, `sops` and bare clients, on the same server in the same run. {when}, {machine}; medians.

{verdict}

![ours, theirs and the least that is possible, on a logarithmic scale](benchmarks.svg)

| what | goal | ours | compared with | ratio | |
|---|---|---|---|---|---|
"""

NOTES = """
## How to read it

- *exec → published* runs from the program's exec until the last file has its final name (`serve`, `bao agent`) or
  until the program ends (`serve --once`). The server is on loopback, the sign-in is AppRole.
- The *bare client* (`tests/bench/fetch.c`) signs in, asks once about the mount and reads the same secrets over
  keep-alive connections of plain sockets; it parses, checks and writes nothing. Of 1 and 8 connections the faster
  counts.
- *Anonymous and locked* is `Anonymous` of `/proc/PID/smaps_rollup` and the arena of the secrets, which `status` reports
  as `hardening.memory_locked_bytes`. Goals are for what stays once the connections to the server were given up (35 s);
  *when just published* is what a refresh takes again for moments. MB are MiB.
- CPU is user and system time of all threads as the scheduler counts it. Per read it is divided by {reads} reads of one
  field with 64 keep-alive connections; the client runs on the same machine, so the rate that was seen is a lower bound.
- *away* is the longest of some thousand reads of the socket during ten seconds in which look-ups time out and are tried
  again, less what reader and agent waited for a core; the SIGTERM comes in the middle of a look-up.
- `bare libuv + llhttp` (`tests/bench/floor.c`) answers every request with the same bytes.

To repeat: `make bench`. One part: `tests/bench/run build reads` (or start_up, requests, idle, connections,
encrypted_files, public_roots, name_server, size), which prints without writing.
"""

OURS, THEIRS, LEAST = "#2f6f9f", "#c9804a", "#9a9a9a"


def machine():
    name = platform.machine()
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    return f"{os.cpu_count()} × {name}, Linux {platform.release().split('-')[0]}, load {os.getloadavg()[0]:.1f}"


class Report:
    def __init__(self):
        self.rows = []
        self.plot = []
        self.machine = machine()

    def row(self, title, goal, ours, peer, ratio, met):
        self.rows.append((title, goal, ours, peer, ratio, "met" if met else "**NOT MET**"))
        print(" | ".join(cell for cell in self.rows[-1] if cell), flush=True)

    def skip(self, title, goal, why):
        self.rows.append((title, goal, "", "", "", f"not measured: {why}"))
        print(f"{title} | {goal} | not measured: {why}", flush=True)

    def bars(self, title, unit, ours, theirs, least=None, goal=None):
        """A group of the plot; `goal` is the most that ours may be."""
        self.plot.append((title, unit, ours, theirs, least, goal))

    def verdict(self):
        """One line that says what is met and what is not."""
        met = [row[0] for row in self.rows if row[-1] == "met"]
        others = [f"{row[0]} ({', '.join(filter(None, (row[2], row[4]))) or row[-1]})" for row in self.rows if row[-1] != "met"]
        return f"{len(met)} of {len(self.rows)} goals are met." + (" Not met: " + "; ".join(others) + "." if others else "")

    def write(self, folder):
        when = datetime.date.today().isoformat()
        with open(os.path.join(folder, "benchmarks.md"), "w") as file:
            file.write(HEAD.format(when=when, machine=self.machine, verdict=self.verdict()))
            for row in self.rows:
                file.write("| " + " | ".join(row) + " |\n")
            file.write(NOTES.format(reads="200 000"))
        with open(os.path.join(folder, "benchmarks.svg"), "w") as file:
            file.write(draw(self.plot))


def number(value):
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def draw(plot):
    """Horizontal bars on one logarithmic scale, a group for each row of the plot; units stand at the numbers, and what
    ours should stay left of is a line across the group."""
    left, width, bar, gap = 260, 470, 13, 12
    values = [value for row in plot for value in row[2:] if value]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    top, groups = 62, []

    def place(value):
        return left + width * (math.log10(value) - low) / (high - low)

    y = top
    for title, unit, ours, theirs, least, goal in plot:
        begin = y
        bars = [(value, colour) for value, colour in ((ours, OURS), (theirs, THEIRS), (least, LEAST)) if value]
        groups.append(
            f'<text x="{left - 10}" y="{y + len(bars) * bar / 2 + 4:.0f}" text-anchor="end">{escape(title)}</text>'
        )
        numbers = ""
        for value, colour in bars:
            groups.append(
                f'<rect x="{left}" y="{y}" width="{max(place(value) - left, 1):.1f}" height="{bar - 2}" fill="{colour}"/>'
            )
            numbers += f'<text x="{max(place(value), left) + 5:.1f}" y="{y + bar - 4}" class="n">{number(value)} {unit}</text>'
            y += bar
        if goal:
            x = f"{place(goal):.1f}"
            groups.append(f'<line x1="{x}" y1="{begin - 3}" x2="{x}" y2="{y + 1}" class="t"/>')
        groups.append(numbers)
        y += gap
    lines = "".join(
        f'<text x="{place(10**e):.1f}" y="{top - 13}" text-anchor="middle" class="n">{10.0**e:g}</text>'
        f'<line x1="{place(10**e):.1f}" y1="{top - 8}" x2="{place(10**e):.1f}" y2="{y - gap + 4}" class="g"/>'
        for e in range(low, high + 1)
    )
    legend, x = "", left
    for text, colour in (("agent", OURS), ("bao agent / sops", THEIRS), ("the least possible", LEAST)):
        legend += f'<rect x="{x}" y="18" width="11" height="11" fill="{colour}"/><text x="{x + 16}" y="28">{text}</text>'
        x += 40 + 7 * len(text)
    legend += f'<line x1="{x + 5}" y1="16" x2="{x + 5}" y2="31" class="t"/><text x="{x + 16}" y="28">goal: left of it</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 90} {y}" role="img" '
        'aria-label="ours, theirs and the least that is possible">\n<style>text{font:12px sans-serif;fill:#222}'
        ".n{font-size:10px;fill:#444;paint-order:stroke;stroke:#fff;stroke-width:3px}.g{stroke:#ddd}.t{stroke:#111;stroke-width:2}</style>\n"
        '<rect width="100%" height="100%" fill="#fff"/>\n'
        f'<text x="{left - 10}" y="28" text-anchor="end">logarithmic scale</text>{legend}\n{lines}\n' + "\n".join(groups) + "\n</svg>\n"
    )
