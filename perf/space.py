#!/usr/bin/env python3
"""How many bytes sysbench's tables take in Aquifer's store, in InnoDB and in MyRocks.

The same tables are loaded into each server through SQL, one server after the other. Then each brings its data into the
form that it keeps them in: Aquifer rests until flush and compaction have come to an end by themselves, InnoDB rebuilds
its tables, MyRocks flushes and compacts all levels. Logs, undo space and system tables of the others do not count.
"""

import argparse
import pathlib
import sys
import time

import machine
import report
import servers
from load import Load

MEMORY_MIB = 256
# Aquifer flushes a memtable at rest after a minute, and brings levels together after another.
QUIET_S = 150
REST_S = 1_200
SETTLE_S = 300

SIDES = ("aquifer", "innodb", "myrocks", "myrocks-zstd")
SHOWN = {"aquifer": "Aquifer", "innodb": "InnoDB", "myrocks": "MyRocks", "myrocks-zstd": "MyRocks, LZ4 and ZSTD"}
GOALS = {"innodb": "≤ 0.4", "myrocks": "≤ 1", "myrocks-zstd": "≤ 1"}


def main():
    options = parse_options()
    if "aquifer" in options.only:
        servers.use_binary(options.binary)
    found = []
    with servers.temporary_directory(options.dir) as base:
        about = {
            "what": "Space of sysbench's tables", "command": report.command_line(), "machine": machine.facts(base),
            "versions": report.versions(options.binary if "aquifer" in options.only else None,
                                        any(side != "aquifer" for side in options.only)),
            "tables": options.tables, "rows": options.table_size,
        }
        for side in options.only:
            found.append({"server": side} | measure(side, base / side, options))
            report.progress(f"{SHOWN[side]}: {found[-1]['bytes']:,} bytes")
    return finish(about, found, options)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    servers.add_options(parser)
    parser.add_argument("--tables", type=servers.positive, default=4)
    parser.add_argument("--table-size", type=servers.positive, default=250_000)
    parser.add_argument("--only", type=servers.names_list(SIDES), default=list(SIDES), help="some of the servers")
    return parser.parse_args()


def measure(side, base, options):
    base.mkdir(parents=True)
    load = Load(options.tables, options.table_size, threads=1)
    name, engine = {"aquifer": ("aquifer", "innodb"), "innodb": ("mariadb", "innodb")}.get(side, ("myrocks", "rocksdb"))
    arguments = servers.MYROCKS_ZSTD if side == "myrocks-zstd" else ()
    with servers.start(name, base, MEMORY_MIB, arguments) as server:
        seconds = load.prepare(server, f"--mysql-storage-engine={engine}")
        settle = {"aquifer": settle_aquifer, "innodb": settle_innodb}.get(side, settle_myrocks)
        return {"load_s": round(seconds, 1)} | settle(server, base, load)


def settle_aquifer(server, base, load):
    """Tables of the manifest, and what is still in links alone. What they have replaced goes with the window."""
    begin, last, since = time.monotonic(), None, time.monotonic()
    while time.monotonic() - begin < REST_S and time.monotonic() - since < QUIET_S:
        time.sleep(2)
        now = aquifer_status(server)
        if (now["sst_bytes"], now["memtable_bytes"]) != last:
            last, since = (now["sst_bytes"], now["memtable_bytes"]), time.monotonic()
    load.check(server)
    unflushed = now["memtable_bytes"] + now["frozen_memtable_bytes"]
    store = size_of((base / "aquifer").rglob("store/**/*"))
    return {"bytes": now["sst_bytes"] + unflushed, "tables": now["sst_bytes"], "unflushed": unflushed,
            "store_with_garbage": store, "settle_s": round(time.monotonic() - begin, 1)}


def aquifer_status(server):
    rows = server.query("SHOW GLOBAL STATUS LIKE 'Aquifer%'")
    names = ("sst_bytes", "memtable_bytes", "frozen_memtable_bytes")
    values = {name.lower(): value for name, value in rows}
    return {name: int(values[f"aquifer_{name}"]) for name in names}


def settle_innodb(server, base, load):
    """The tables' files, as loaded and rebuilt. The smaller sum counts."""
    machine.wait_quiet([server.pid], SETTLE_S)
    files = lambda: list((base / "mariadb" / "sbtest").glob("*.ibd"))
    loaded = size_of(files())
    for table in range(1, load.tables + 1):
        server.query(f"OPTIMIZE TABLE sbtest.sbtest{table}")
    machine.wait_quiet([server.pid], SETTLE_S)
    load.check(server)
    rebuilt = size_of(files())
    return {"bytes": min(loaded, rebuilt), "loaded": loaded, "rebuilt": rebuilt}


def settle_myrocks(server, base, load):
    """Its tables, flushed and compacted, without its log."""
    machine.wait_quiet([server.pid], SETTLE_S)
    server.query("SET GLOBAL rocksdb_force_flush_memtable_now = 1")
    loaded = size_of(sst_files(base))
    server.query("SET GLOBAL rocksdb_compact_cf = 'default'")
    machine.wait_quiet([server.pid], SETTLE_S)
    load.check(server)
    return {"bytes": size_of(sst_files(base)), "loaded": loaded}


def sst_files(base):
    return (base / "myrocks" / "mariadb" / "#rocksdb").glob("*.sst")


def size_of(paths):
    """What files occupy on the disk: InnoDB's have holes."""
    return sum(path.stat().st_blocks * 512 for path in map(pathlib.Path, paths) if path.is_file())


def finish(about, found, options):
    mine = next((side["bytes"] for side in found if side["server"] == "aquifer"), None)
    rows = []
    for side in found:
        ratio = mine / side["bytes"] if mine else None
        is_peer = side["server"] != "aquifer" and ratio is not None
        rows.append([SHOWN[side["server"]], f"{side['bytes'] / 2**20:.1f}",
                     f"{side['bytes'] / (options.tables * options.table_size):.1f}",
                     f"{ratio:.3f}" if is_peer else "", GOALS.get(side["server"], "") if is_peer else ""])
    text = report.table(["server", "MiB", "bytes a row", "Aquifer's part of it", "goal"], rows)
    print(f"\n{text}\n")
    if not options.no_results and mine and len(found) > 1:
        case = options.name or f"{options.tables}x{options.table_size}"
        for path in report.write(f"space-{case}", about | {"measured": found}, markdown(about, found, text)):
            print(path)
    return 0


def markdown(about, found, text):
    lines = [
        f"# Space: {about['tables']} tables of sysbench with {about['rows']:,} rows each",
        "",
        *report.machine_lines(about["machine"]),
        report.versions_line(about["versions"]),
        "",
        f"Command: `{about['command']}`",
        "",
        text,
        "",
    ]
    for side in found:
        parts = ", ".join(f"{key.replace('_', ' ')} {value:,}" for key, value in side.items() if key != "server")
        lines.append(f"* {SHOWN[side['server']]}: {parts}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
