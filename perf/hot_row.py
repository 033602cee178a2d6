#!/usr/bin/env python3
"""64 clients that increment one row, on Aquifer and on InnoDB in turns: commits a second, and how fairly.

Fairness is the number of commits of the luckiest client over that of the unluckiest.
"""

import argparse
import multiprocessing
import statistics
import sys
import time

import MySQLdb

import machine
import report
import servers

MEMORY_MIB = 256
CLIENTS_A_PROCESS = 8


def work(port, start, seconds, queue):
    """Clients of one process, a thread each."""
    import threading

    counts = [0] * CLIENTS_A_PROCESS
    connections = [MySQLdb.connect(host="127.0.0.1", port=port, user="root", db="hot", autocommit=True)
                   for _ in range(CLIENTS_A_PROCESS)]

    def client(number):
        cursor = connections[number].cursor()
        time.sleep(max(0.0, start - time.time()))
        while time.time() < start + seconds:
            cursor.execute("UPDATE counter SET n = n + 1 WHERE id = 1")
            counts[number] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS_A_PROCESS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.put(counts)


def measure(port, options):
    connection = MySQLdb.connect(host="127.0.0.1", port=port, user="root", autocommit=True)
    cursor = connection.cursor()
    cursor.execute("DROP DATABASE IF EXISTS hot")
    cursor.execute("CREATE DATABASE hot")
    cursor.execute("CREATE TABLE hot.counter (id INT PRIMARY KEY, n BIGINT NOT NULL)")
    cursor.execute("INSERT INTO hot.counter VALUES (1, 0)")
    queue = multiprocessing.Queue()
    start = time.time() + 2
    processes = [multiprocessing.Process(target=work, args=(port, start, options.seconds, queue))
                 for _ in range(options.clients // CLIENTS_A_PROCESS)]
    for process in processes:
        process.start()
    counts = [count for _ in processes for count in queue.get()]
    for process in processes:
        process.join()
    cursor.execute("SELECT n FROM hot.counter")
    stored = cursor.fetchone()[0]
    assert stored == sum(counts), f"{sum(counts)} increments were acknowledged, {stored} are stored"
    connection.close()
    return {"commits_per_s": sum(counts) / options.seconds, "luckiest": max(counts), "unluckiest": min(counts),
            "fairness": max(counts) / max(1, min(counts))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    servers.add_options(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, default=64)
    options = parser.parse_args()
    servers.use_binary(options.binary)
    rows = []
    with servers.temporary_directory(options.dir) as base:
        print(report.command_line(), machine.facts(base))
        for number in range(1, options.rounds + 1):
            names = ["mariadb", "aquifer"] if number % 2 else ["aquifer", "mariadb"]
            for name in names:
                with servers.start(name, base / f"{name}{number}", MEMORY_MIB, (), options.clients + 50) as server:
                    rows.append({"round": number, "server": name} | measure(server.port, options))
                print(rows[-1], flush=True)
    for name in ("aquifer", "mariadb"):
        own = [row for row in rows if row["server"] == name]
        rates = [row["commits_per_s"] for row in own]
        print(f"{name}: {statistics.median(rates):.0f} commits/s ({min(rates):.0f} to {max(rates):.0f}), "
              f"luckiest over unluckiest at most {max(row['fairness'] for row in own):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
