//! A moto server (an S3 lookalike in Python that honours conditional PUTs) for one test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aquifer_objstore::{S3Options, Store, StoreOptions, StoreUrl};

const MISSING: &str = "moto does not start: run these tests with `cargo xtask test`, which installs it, or name a \
                       Python that has it in AQUIFER_PYTHON";

/// Starts moto so that its conditional PUTs are atomic.
const SERIAL_MOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/e2e/serial_moto.py");

pub const BUCKET: &str = "aquifer-test";

/// The server process; it ends with the value.
pub struct Moto {
    process: Child,
    pub port: u16,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

impl Moto {
    /// Starts a server with an empty bucket.
    pub fn start() -> Self {
        let moto = Self::launch(&[]);
        moto.create_bucket();
        moto
    }

    /// Starts a server and waits until it accepts connections.
    pub fn launch(arguments: &[&str]) -> Self {
        let port = free_port();
        let python = std::env::var_os("AQUIFER_PYTHON").unwrap_or_else(|| "python3".into());
        let process = Command::new(python)
            .arg(SERIAL_MOTO)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{MISSING} ({error})"));
        let mut moto = Self { process, port };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(moto.process.try_wait().expect("its child").is_none(), "{MISSING}");
            assert!(Instant::now() < deadline, "moto does not answer on port {port}");
            std::thread::sleep(Duration::from_millis(50));
        }
        moto
    }

    /// A server that has just begun to listen may reset a connection: it is asked again.
    fn create_bucket(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.try_create_bucket() {
                Ok(answer) => return assert!(answer.starts_with("HTTP/1.1 200"), "{answer}"),
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn try_create_bucket(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let request = format!(
            "PUT /{BUCKET} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A store in the bucket, reached through `endpoint`.
    pub fn store_at(endpoint: &str, prefix: &str) -> Store {
        let url = StoreUrl::S3 { bucket: BUCKET.to_owned(), prefix: prefix.to_owned() };
        let s3 = S3Options { endpoint: Some(endpoint.to_owned()), ..S3Options::default() };
        let options = StoreOptions { s3, retry: super::PATIENT, ..StoreOptions::default() };
        Store::open(&url, &options).expect("opens")
    }

    pub fn store(&self, prefix: &str) -> Store {
        Self::store_at(&self.endpoint(), prefix)
    }
}

/// Whether the process that runs the test gets credentials.
#[derive(Clone, Copy, PartialEq)]
pub enum Credentials {
    Given,
    None,
}

const CHILD: &str = "AQUIFER_TEST_S3_CHILD";

/// Runs the body of the calling test in a process of its own, whose environment holds what the SDK is to
/// find and nothing else of AWS. (A process must not change its own environment while it has threads.)
pub fn in_child(credentials: Credentials, extra: &[(&str, &str)], body: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return body();
    }
    let name = std::thread::current().name().expect("the harness names the thread").to_owned();
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", &name, "--nocapture"]);
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("AWS_") {
            command.env_remove(variable);
        }
    }
    command.env(CHILD, "1").env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent");
    if credentials == Credentials::Given {
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    }
    command.envs(extra.iter().copied());
    assert!(command.status().expect("started").success(), "see the output above");
}
