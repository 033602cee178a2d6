#!/usr/bin/env python3
"""Records what MariaDB answers to expressions, for the table test core/sql/tests/recorded.rs.

    tools/record/record.py core/sql/tests/recorded/FILE.txt ...

Each file holds expressions, one a line; the line after it, beginning with "= ", is the answer. The script starts a
server of its own in a temporary directory, asks it for every expression, and writes the answers anew. A line that begins
with "! " instead is MySQL's answer where MariaDB differs or does not know the expression; it is kept as it is, and so are
comments and empty lines.
"""

import pathlib
import socket
import subprocess
import sys
import tempfile
import time


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A MariaDB with an empty data directory, on a socket within it."""

    def __init__(self, root: pathlib.Path) -> None:
        self.socket = root / "s"
        data = root / "data"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        options = ["--no-defaults", f"--datadir={data}"]
        subprocess.run(
            ["mariadb-install-db", *options, "--auth-root-authentication-method=normal", "--skip-test-db"],
            check=True,
            **quiet,
        )
        self.process = subprocess.Popen(
            [
                "mariadbd",
                *options,
                f"--socket={self.socket}",
                f"--port={free_port()}",
                "--bind-address=127.0.0.1",
                "--user=root",
                "--innodb-buffer-pool-size=32M",
                "--character-set-server=utf8mb4",
                "--collation-server=utf8mb4_general_ci",
            ],
            **quiet,
        )
        for _ in range(300):
            if self.socket.exists() and self.ask("SELECT 1") == "1":
                return
            time.sleep(0.1)
        raise SystemExit("MariaDB did not start")

    def ask(self, expression: str) -> str:
        """The answer as text; an error as `ERROR number`."""
        select = expression if expression.upper().startswith("SELECT") else f"SELECT {expression}"
        setup = "SET NAMES utf8mb4; SET time_zone = '+00:00'; SET timestamp = 1704164645; "
        done = subprocess.run(
            ["mariadb", "--no-defaults", f"--socket={self.socket}", "-uroot", "-N", "--raw", "-e", setup + select],
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode:
            words = done.stderr.split()
            return f"ERROR {words[1]}" if words[:1] == ["ERROR"] else "ERROR ?"
        return done.stdout.rstrip("\n").replace("\n", "\\n")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)


def record(path: pathlib.Path, server: Server) -> None:
    lines = path.read_text().splitlines()
    out = []
    for number, line in enumerate(lines):
        if line.startswith("= "):
            continue
        out.append(line)
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if not line or line.startswith(("#", "! ")) or following.startswith("! "):
            continue
        out.append(f"= {server.ask(line)}")
    path.write_text("\n".join(out) + "\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        server = Server(pathlib.Path(root))
        try:
            for name in sys.argv[1:]:
                record(pathlib.Path(name), server)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
