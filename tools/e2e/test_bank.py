"""1,000 accounts, 64 clients, SIGKILL: the sum never changes, on the writer nor on a reader at any LSN.

AQUIFER_BANK_SECONDS sets for how long (default 20; the release check uses 600).
"""

import os
import time

import bank
import harness

SECONDS = float(os.environ.get("AQUIFER_BANK_SECONDS", "20"))
CLIENTS = 64
KILL_EVERY_S = 6


def test_sum_of_the_bank_never_changes_under_kills(cluster):
    port = harness.free_port()
    writer = cluster.writer(port=port)
    bank.open_bank(writer)
    reader = cluster.reader()
    harness.wait_until(lambda: has_money(reader), 60, "the bank on the reader")
    clients = bank.Clients(port, CLIENTS)
    auditors = bank.Auditors([port, reader.port])
    end = time.monotonic() + SECONDS
    kills = 0
    while time.monotonic() < end:
        before = clients.total()
        time.sleep(min(KILL_EVERY_S, SECONDS / 3))
        harness.wait_until(lambda: clients.total() > before, 120, "a transfer")
        writer.kill()
        kills += 1
        writer = cluster.writer(port=port)
    clients.stop()
    lsn = writer.visible_lsn()
    harness.wait_until(lambda: reader.visible_lsn() >= lsn, 60, "the reader at the last LSN")
    for node in (writer, reader):
        assert node.query("SELECT COUNT(*), CAST(SUM(balance) AS SIGNED) FROM bank.account") == ((bank.ACCOUNTS, bank.TOTAL),)
    auditors.stop()
    assert auditors.looks > 0 and kills > 0
    print(f"{clients.total()} transfers, {sum(clients.gave_way)} gave way, {kills} kills, {auditors.looks} looks")


def has_money(reader):
    try:
        return reader.query("SELECT COUNT(*) FROM bank.account") == ((bank.ACCOUNTS,),)
    except harness.pymysql.err.ProgrammingError:
        return False
