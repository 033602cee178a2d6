"""Fetches the source of a suite: from PyPI as a source distribution, or from Debian as a source package."""

import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

DEBIAN_SOURCES = (pathlib.Path("/etc/apt/sources.list.d/debian.sources"), pathlib.Path("/etc/apt/sources.list"))


def fetch(suite, work):
    """The directory of the suite's source, unpacked anew, with what it needs beside it (`packages`)."""
    archives = work / "archives"
    archives.mkdir(exist_ok=True)
    archive = debian(suite, archives) if suite.debian else pypi(suite.distribution, archives)
    target = work / "source" / suite.name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    entries = list(target.iterdir())
    install(suite, work)
    return entries[0] if len(entries) == 1 else target


def packages(suite_name, work):
    return work / "packages" / suite_name


def install(suite, work):
    """Python packages that a suite needs and the tests' environment has not."""
    target = packages(suite.name, work)
    stamp = target / "installed.txt"
    wanted = "\n".join(suite.requirements)
    if not suite.requirements or stamp.exists() and stamp.read_text() == wanted:
        return
    pip("install", "--target", str(target), "--upgrade", *suite.requirements)
    stamp.write_text(wanted)


def pip(*arguments):
    subprocess.run(
        [sys.executable, "-m", "pip", arguments[0], "--quiet", "--disable-pip-version-check", *arguments[1:]],
        check=True,
    )


def pypi(distribution, archives):
    name, version = distribution.split("==")
    found = lambda: [p for p in archives.iterdir() if p.name.lower() == f"{name}-{version}.tar.gz".lower()]
    if not found():
        pip("download", "--no-binary", ":all:", "--no-deps", "-d", str(archives), distribution)
    return found()[0]


def debian(suite, archives):
    """The upstream archive of a Debian source package, from the mirrors that the machine uses."""
    found = lambda: sorted(archives.glob(f"{suite.debian}_*.orig.tar.*"))
    if found():
        return found()[0]
    state = archives / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    listed = next(path for path in DEBIAN_SOURCES if path.exists())
    text = re.sub(r"^Types: deb$", "Types: deb-src", listed.read_text(), flags=re.M)
    text = re.sub(r"^deb ", "deb-src ", text, flags=re.M)
    own = state / ("own" + (listed.suffix or ".list"))
    own.write_text(text)
    options = [
        "-o", f"Dir::Etc::sourcelist={own}", "-o", "Dir::Etc::sourceparts=/dev/null",
        "-o", f"Dir::State::lists={state / 'lists'}", "-o", f"Dir::Cache={state / 'cache'}",
        "-o", "APT::Sandbox::User=root", "-qq",
    ]
    subprocess.run(["apt-get", *options, "update"], check=True)
    subprocess.run(["apt-get", *options, "source", "--download-only", suite.debian], check=True, cwd=archives,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return found()[0]
