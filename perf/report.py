"""Results: medians with their spread, as a table for people and as files that keep every raw figure.

A result file names the machine by its properties, never by name, and no place outside the repository.
"""

import datetime
import hashlib
import json
import pathlib
import re
import shlex
import socket
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "perf" / "results"


class Spread:
    """The median of some rounds, and how far they lie apart."""

    def __init__(self, values):
        known = [value for value in values if value is not None]
        self.count = len(known)
        self.median = statistics.median(known) if known else None
        self.low, self.high = (min(known), max(known)) if known else (None, None)

    def shown(self):
        if self.median is None:
            return "-"
        if self.count == 1:
            return number(self.median)
        return f"{number(self.median)} ({number(self.low)} … {number(self.high)})"

    def ratio(self, other):
        if not self.median or not other.median:
            return "-"
        return f"{self.median / other.median:.2f}"


def number(value):
    """Three or so significant digits: nobody measures more."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(head, rows):
    """A Markdown table that is also readable on a terminal. The first column is text, the others are figures."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = []
    for row in cells:
        padded = [cell.ljust(width) if column == 0 else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(row, widths))]
        lines.append("| " + " | ".join(padded) + " |")
    rule = ["-" * width if column == 0 else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    lines.insert(1, "| " + " | ".join(rule) + " |")
    return "\n".join(lines)


def machine_lines(machine):
    return [
        f"Machine: {machine['cores']} cores ({machine['cpu']}, {machine['architecture']}), "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, Linux {machine['kernel']}, {machine['file_system']}; "
        f"a 16 KiB write with fdatasync takes {machine['durable_write_us']:.0f} µs (median).",
    ]


def command_line(private=("--binary", "--dir")):
    """The command that was given, without the values of options that name places."""
    words, hide = [f"perf/{pathlib.Path(sys.argv[0]).name}"], False
    for word in sys.argv[1:]:
        name, equals, _ = word.partition("=")
        if hide:
            words.append("…")
        elif name in private and equals:
            words.append(f"{name}=…")
        else:
            words.append(shlex.quote(without_paths(word)))
        hide = not hide and word in private
    return " ".join(words)


def versions(binary=None, mariadb=False):
    """Versions of the programs, with the digest of Aquifer's so that a result can be traced to a build."""
    found = {"sysbench": first_line(["sysbench", "--version"])}
    if mariadb:
        found["mariadb"] = first_line(["/usr/sbin/mariadbd", "--version"])
    if binary:
        digest = hashlib.sha256(pathlib.Path(binary).read_bytes()).hexdigest()[:16]
        found["aquifer"] = f"{first_line([binary, '--version'])}, sha256 {digest}…"
        found["commit"] = commit()
    return {name: without_paths(text) for name, text in found.items()}


def versions_line(versions):
    """The same as a sentence."""
    programs = [text for name, text in versions.items() if name != "commit"]
    source = f"; source tree at {versions['commit']}" if "commit" in versions else ""
    return f"Versions: {', '.join(programs)}{source}."


def first_line(command):
    output = subprocess.run([str(word) for word in command], capture_output=True, text=True).stdout
    return output.strip().splitlines()[0] if output.strip() else "unknown"


def commit():
    """What the source tree is at. The build may be of something else: the digest decides."""
    git = ROOT / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        name = head.removeprefix("ref: ")
        if name == head:
            return head[:12]
        if (git / name).exists():
            return (git / name).read_text().strip()[:12]
        packed = (git / "packed-refs").read_text().splitlines()
        return next(line.split()[0] for line in packed if line.endswith(f" {name}"))[:12]
    except (OSError, StopIteration):
        return "unknown"


def without_paths(text):
    """Text of a program, without absolute paths (their last part stays) and without the host's name."""
    text = re.sub(r"(?<![\w.:/])(?:/[\w.+@-]+)+/([\w.+@-]+)", r"\1", text)
    return re.sub(rf"\b{re.escape(socket.gethostname())}\b", "host", text)


def write(case, raw, markdown):
    """Writes both files and returns their names relative to the repository. Never replaces a result."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    stem = f"{datetime.date.today().isoformat()}-{case}"
    taken, count = stem, 1
    while (RESULTS / f"{taken}.json").exists() or (RESULTS / f"{taken}.md").exists():
        count += 1
        taken = f"{stem}-{count}"
    text = json.dumps(raw, indent=1, ensure_ascii=False) + "\n"
    # Lists of numbers in one line each.
    text = re.sub(r"\[\s+([-\d.e,\s]+?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text)
    (RESULTS / f"{taken}.json").write_text(text)
    (RESULTS / f"{taken}.md").write_text(f"{markdown.rstrip()}\n\nRaw figures of every round: `{taken}.json`.\n")
    return [f"perf/results/{taken}.{end}" for end in ("json", "md")]


def progress(text):
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)
