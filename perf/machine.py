"""What the machine is, and what processes use of it, as far as Linux tells in /proc.

Nothing here names the machine or a place on it: results are published.
"""

import os
import pathlib
import platform
import resource
import statistics
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

# Positions in the first line of /proc/stat, after the word `cpu`.
IDLE, IOWAIT, GUEST = 3, 4, 8


def cores():
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def facts(directory):
    """Machine and medium, for a report. `directory` is where the servers keep their data."""
    return {
        "cores": cores(),
        "cpu": cpu_model(),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "file_system": file_system(directory),
        "durable_write_us": durable_write_us(directory),
    }


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"


def file_system(directory):
    """The type of the file system that holds a directory."""
    best, kind = "", "unknown"
    place = str(pathlib.Path(directory).resolve())
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, mount, name = line.split()[:3]
        inside = place == mount or place.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, name
    return kind


def durable_write_us(directory, samples=50):
    """Median time of a 16 KiB write and fdatasync there: what a commit waits for at least."""
    path = pathlib.Path(directory) / "durable-write"
    block = os.urandom(16 * 1024)
    times = []
    file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        os.posix_fallocate(file, 0, len(block) * samples)
        os.fsync(file)
        for number in range(samples):
            start = time.perf_counter()
            os.pwrite(file, block, number * len(block))
            os.fdatasync(file)
            times.append((time.perf_counter() - start) * 1e6)
    finally:
        os.close(file)
        path.unlink()
    return round(statistics.median(times), 1)


def cpu_seconds(pid):
    """User and system time that a process has used so far, all of its threads."""
    fields = stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def stat_fields(pid):
    """The fields of /proc/<pid>/stat that follow the program's name (which may contain anything)."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def written_bytes(pid):
    """What a process has sent to the medium so far."""
    for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
        name, value = line.split()
        if name == "write_bytes:":
            return int(value)
    return 0


def resident_bytes(pid):
    pages = pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def children_cpu_seconds():
    """What programs that this process has started, and waited for, have used."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def busy_seconds():
    """What all processes of the machine have used so far, what a hypervisor took away included."""
    counts = [int(word) for word in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(counts[:GUEST]) - counts[IDLE] - counts[IOWAIT]) / TICKS_PER_SECOND


def wait_quiet(pids, timeout_s, cpu_share=0.05, bytes_per_second=1 << 20):
    """Waits until each process uses next to no CPU and disk for a second; whether that came to pass."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        before = [(cpu_seconds(pid), written_bytes(pid)) for pid in pids]
        time.sleep(1)
        after = [(cpu_seconds(pid), written_bytes(pid)) for pid in pids]
        quiet = (now[0] - then[0] <= cpu_share and now[1] - then[1] <= bytes_per_second
                 for then, now in zip(before, after))
        if all(quiet):
            return True
    return False


def allow_many_files(count):
    """Raises this process's limit of open files (its children inherit it); fails if `count` is not allowed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < count:
        raise SystemExit(f"this needs {count} open files in one process, and {hard} are allowed: see `ulimit -Hn`")
