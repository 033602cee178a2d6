"""Fetches what a suite is made of: source distributions from PyPI, source and binary packages from Debian, crates,
packages of npm."""

import os
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
    programs(suite.programs)
    install(suite, work)
    target = work / "source" / suite.name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for package in suite.unpacked:
        subprocess.run(["dpkg-deb", "--extract", binary(package, archives), target], check=True)
    if not (suite.debian or suite.crate or suite.npm or suite.distribution):
        return target
    if suite.debian:
        archive = source(suite.debian, archives)
    elif suite.crate:
        archive = crate(suite.crate, archives)
    elif suite.npm:
        archive = npm(suite.npm, archives)
    else:
        archive = pypi(suite.distribution, archives)
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    entries = list(target.iterdir())
    return entries[0] if len(entries) == 1 else target


def packages(suite_name, work):
    return work / "packages" / suite_name


def install(suite, work):
    """Python or Node packages that a suite needs and the tests' environment has not."""
    target = packages(suite.name, work)
    stamp = target / "installed.txt"
    wanted = "\n".join([*suite.requirements, *suite.modules])
    if not wanted or stamp.exists() and stamp.read_text() == wanted:
        return
    target.mkdir(parents=True, exist_ok=True)
    if suite.requirements:
        pip("install", "--target", str(target), "--upgrade", *suite.requirements)
    if suite.modules:
        options = ["--silent", "--no-save", "--ignore-scripts", "--prefix", target]
        subprocess.run(["npm", "install", *options, *suite.modules], check=True)
    stamp.write_text(wanted)


def programs(wanted):
    """Debian packages that must be installed, because what they hold runs."""
    state = lambda package: subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package], capture_output=True, text=True).stdout
    missing = [package for package in wanted if state(package) != "installed"]
    if missing:
        apt("update")
        apt("install", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", *missing)


def apt(*arguments, cwd=None):
    subprocess.run(["apt-get", "-qq", *map(str, arguments)], check=True, cwd=cwd, stdout=subprocess.DEVNULL,
                   env={"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})


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


def binary(package, archives):
    """A Debian package for this machine, not installed."""
    found = lambda: sorted(archives.glob(f"{package}_*.deb"))
    if not found():
        apt("-o", "APT::Sandbox::User=root", "download", package, cwd=archives)
    return found()[-1]


def source(package, archives):
    """The upstream archive of a Debian source package, of the newest version that the machine's mirrors have."""
    found = lambda: sorted(archives.glob(f"{package}_*.orig.tar.*z"))
    if found():
        return found()[0]
    options = source_lists(archives)
    apt(*options, "update")
    shown = subprocess.run(["apt-cache", *options, "showsrc", "--only-source", package], check=True,
                           capture_output=True, text=True).stdout
    versions = re.findall(r"^Version: (\S+)$", shown, flags=re.M)
    for version in sorted(set(versions), reverse=True):
        # An index may list a version whose files a mirror has not; what is beside the main archive may be missing.
        command = ["apt-get", *options, "-qq", "source", "--download-only", "--tar-only", f"{package}={version}"]
        subprocess.run(command, cwd=archives, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if found():
            return found()[0]
    raise SystemExit(f"no source of {package} in {versions}")


def source_lists(archives):
    """Options under which apt knows source packages, from the mirrors that the machine uses."""
    state = archives / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    listed = next(path for path in DEBIAN_SOURCES if path.exists())
    text = re.sub(r"^Types: deb$", "Types: deb-src", listed.read_text(), flags=re.M)
    text = re.sub(r"^deb ", "deb-src ", text, flags=re.M)
    own = state / ("own" + (listed.suffix or ".list"))
    own.write_text(text)
    return [
        "-o", f"Dir::Etc::sourcelist={own}", "-o", "Dir::Etc::sourceparts=/dev/null",
        "-o", f"Dir::State::lists={state / 'lists'}", "-o", f"Dir::Cache={state / 'cache'}",
        "-o", "APT::Sandbox::User=root",
    ]


def crate(name_version, archives):
    """A crate's archive, which cargo fetches when a package depends on it."""
    name, version = name_version.split("==")
    archive = archives / f"{name}-{version}.crate"
    if not archive.exists():
        home = archives / "cargo"
        probe = archives / f"probe-{name}"
        (probe / "src").mkdir(parents=True, exist_ok=True)
        (probe / "src/lib.rs").write_text("")
        (probe / "Cargo.toml").write_text(
            f'[package]\nname = "probe"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n[dependencies]\n'
            f'{name} = "={version}"\n')
        subprocess.run(["cargo", "fetch", "--quiet"], cwd=probe, check=True, env=cargo_environment(home))
        found = next((home / "registry/cache").glob(f"*/{archive.name}"))
        shutil.copy(found, archive)
    return archive


def npm(name_version, archives):
    """The archive of a package of npm's registry."""
    archive = archives / f"{name_version.replace('@', '-')}.tgz"
    if not archive.exists():
        subprocess.run(["npm", "pack", "--silent", name_version], cwd=archives, check=True, stdout=subprocess.DEVNULL)
    return archive


def cargo_environment(home):
    """The environment with a cargo home of the suites' own."""
    return {**os.environ, "CARGO_HOME": str(home)}
