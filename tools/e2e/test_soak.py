"""The soak, short: see `soak.py`, which runs as long as it is told to."""

import soak


def test_nothing_is_lost_and_limits_hold_while_the_store_fails_and_writers_die(tmp_path):
    run = soak.Soak(tmp_path, seconds=60, seed=7)
    try:
        run.run()
    finally:
        print(run.table())
    assert run.kills >= 3 and run.outages >= 2 and run.looks > 10
    # Each kind of fault has happened.
    assert all(run.s3.counts[name] > 0 for name in ("slow_down", "reset", "lost_answer", "truncated", "delay"))
