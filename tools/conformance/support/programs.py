"""Runs each file below a directory as a program and records whether it ended well.

Usage: programs.py INTERPRETER DIRECTORY
"""

import json
import os
import pathlib
import subprocess
import sys

TIMEOUT_S = 60


def outcome(command):
    """What a test program did: it fails by its exit status."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        return "failed", f"no end after {TIMEOUT_S} s\n{(error.stdout or b'').decode(errors='replace')}"
    output = done.stdout.decode(errors="replace")
    return ("passed", "") if done.returncode == 0 else ("failed", output)


def main():
    interpreter, directory = sys.argv[1:]
    wanted = os.environ.get("CONFORMANCE_ONLY", "")
    for path in sorted(pathlib.Path(directory).rglob("test-*")):
        if wanted not in str(path):
            continue
        result, message = outcome([interpreter, str(path)])
        with open(os.environ["CONFORMANCE_RESULTS"], "a") as out:
            entry = {"test": str(path.relative_to(directory)), "outcome": result, "message": message[-4000:]}
            out.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    main()
