//! Installs what the tests need: servers and clients from Debian, drivers and the S3 server from PyPI.

use std::path::Path;
use std::process::Command;

use crate::shell;

/// What must be on the machine, as (a file that proves it, the Debian package).
const PACKAGES: &[(&str, &str)] = &[
    ("/usr/sbin/mariadbd", "mariadb-server"),
    ("/usr/bin/mariadb", "mariadb-client"),
    ("/usr/bin/sysbench", "sysbench"),
    ("/usr/include/mariadb/mysql.h", "libmariadb-dev"),
    ("/usr/bin/python3", "python3"),
    ("/usr/share/doc/python3-venv", "python3-venv"),
    ("/usr/share/doc/python3-dev", "python3-dev"),
    ("/usr/bin/gcc", "gcc"),
    ("/usr/bin/pkg-config", "pkg-config"),
];

/// The Python packages, each pinned so that the tests mean the same next year.
const REQUIREMENTS: &str = "tools/e2e/requirements.txt";

/// Installs what is missing and does nothing where all is there.
///
/// # Errors
/// What could not be installed.
pub fn run() -> Result<(), String> {
    debian()?;
    python()
}

fn debian() -> Result<(), String> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(proof, _)| !Path::new(proof).exists())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing {}", missing.join(", "));
    let apt = |args: &[&str]| {
        shell::run_with(
            Command::new("apt-get")
                .args(["-qq", "-o", "Dpkg::Use-Pty=0"])
                .args(args)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    apt(&["update"])?;
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(&missing);
    apt(&install)
}

fn python() -> Result<(), String> {
    let venv = shell::venv();
    let python = venv.join("bin/python");
    let stamp = venv.join("requirements.installed");
    let wanted = std::fs::read_to_string(shell::root().join(REQUIREMENTS))
        .map_err(|error| format!("{REQUIREMENTS}: {error}"))?;
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    shell::run_with(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    shell::run_with(Command::new(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        REQUIREMENTS,
    ]))?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}
