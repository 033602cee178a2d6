//! From options to running nodes, and what the user is told of them.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aquifer_objstore::{S3PathStyle, StoreUrl};
use aquifer_reader::{Reader, TailOptions};
use aquifer_shard::boot::{self, NodeOptions};
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::status::OnFatal;
use aquifer_types::{BranchName, ErrorKind};
use aquifer_writer::{Writer, WriterSettings};

use crate::args::{Command, Role};

/// Where everything is kept unless the command says otherwise.
pub const DATA_DEFAULT: &str = "./aquifer-data";
const WRITER_PORT: u16 = 3306;
const READER_PORT: u16 = 3307;

/// The nodes of this process.
pub struct Nodes {
    writer: Option<Writer>,
    reader: Option<Reader>,
}

impl Nodes {
    /// Stops them cleanly, the reader first.
    ///
    /// # Errors
    /// What did not end well.
    pub fn stop(self) -> NodeResult<()> {
        let reader = self.reader.map_or(Ok(()), Reader::stop);
        self.writer.map_or(Ok(()), Writer::stop)?;
        reader
    }
}

/// Starts what the command asks for and says so.
///
/// # Errors
/// One sentence with the remedy.
pub fn start(command: &Command, on_fatal: &OnFatal) -> NodeResult<Nodes> {
    let plan = Plan::new(command)?;
    let mut nodes = Nodes { writer: None, reader: None };
    if let Some(options) = &plan.writer {
        let password = plan.root_password()?;
        let writer = Writer::start(options, &plan.writer_settings(options)?, &password, on_fatal.clone())
            .map_err(|error| plan.explain(error, options))?;
        say_writer(&writer, options, &password);
        nodes.writer = Some(writer);
    }
    if let Some(options) = &plan.reader {
        let started = Reader::start(options, &plan.branch()?, plan.tail_options()?, on_fatal.clone());
        let reader = match started {
            Ok(reader) => reader,
            Err(error) => {
                nodes.stop()?;
                return Err(plan.explain(error, options));
            }
        };
        println!("reader  ready on {} (read-only), LSN {}", reader.address(), reader.first_lsn());
        nodes.reader = Some(reader);
    }
    plan.say_how_to_connect();
    Ok(nodes)
}

fn say_writer(writer: &Writer, options: &NodeOptions, password: &[u8]) {
    let facts = writer.facts();
    println!("writer  ready on {}, LSN {}, epoch {}", writer.address(), facts.last_lsn, facts.epoch);
    println!("data    in {} (store) and {} (commit log, caches)", options.store, options.local.display());
    if facts.is_new {
        let how = if password.is_empty() { "without a password" } else { "with the given password" };
        println!("account root@localhost was created {how}; it can log in from this machine only");
    }
}

/// The options of a command that only reads a store.
///
/// # Errors
/// One sentence with the remedy.
pub fn store_options(command: &Command) -> NodeResult<NodeOptions> {
    let (store, data) = store_url(command)?;
    node_options(command, store, data, 0)
}

fn store_url(command: &Command) -> NodeResult<(StoreUrl, PathBuf)> {
    let data = PathBuf::from(command.get("--data").unwrap_or(DATA_DEFAULT));
    let default = data.join("store").display().to_string();
    Ok((StoreUrl::parse(command.get("--store").unwrap_or(&default))?, data))
}

/// What the command's options come to.
struct Plan<'a> {
    command: &'a Command,
    is_s3: bool,
    writer: Option<NodeOptions>,
    reader: Option<NodeOptions>,
}

impl<'a> Plan<'a> {
    fn new(command: &'a Command) -> NodeResult<Self> {
        let (store, data) = store_url(command)?;
        let is_s3 = matches!(store, StoreUrl::S3 { .. });
        let local = |role: &str| command.get("--local").map_or_else(|| data.join(role), PathBuf::from);
        let port = number::<u16>(command, "--port")?;
        let writer_port = port.unwrap_or(WRITER_PORT);
        let reader_port = match command.role {
            Role::Up => number(command, "--reader-port")?.unwrap_or(READER_PORT),
            _ => port.unwrap_or(READER_PORT),
        };
        let options = |role: &str, port| node_options(command, store.clone(), local(role), port);
        let writer = (command.role != Role::Reader).then(|| options("writer", writer_port)).transpose()?;
        let reader = (command.role != Role::Writer).then(|| options("reader", reader_port)).transpose()?;
        Ok(Self { command, is_s3, writer, reader })
    }

    fn root_password(&self) -> NodeResult<Vec<u8>> {
        let Some(file) = self.command.get("--root-password-file") else { return Ok(Vec::new()) };
        let mut password =
            std::fs::read(file).map_err(|error| NodeError::io("read", Path::new(file), &error))?;
        while password.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            password.pop();
        }
        Ok(password)
    }

    fn writer_settings(&self, options: &NodeOptions) -> NodeResult<WriterSettings> {
        let mut settings = WriterSettings::new(options.local.clone());
        settings.address = options.listen.to_string();
        settings.memtable_bytes = number(self.command, "--memtable-bytes")?.unwrap_or(options.memtable_bytes);
        settings.frozen_bytes_max = settings.memtable_bytes.saturating_mul(4);
        settings.spill_bytes = settings.memtable_bytes / 4;
        settings.outbox_bytes_max = match number(self.command, "--outbox-bytes")? {
            Some(bytes) => bytes,
            None => settings.outbox_bytes_max.min(boot::local_bytes_for_backlog(&options.local)),
        };
        if let Some(seconds) = number(self.command, "--retention-s")? {
            settings.retention = Duration::from_secs(seconds);
        }
        if let Some(seconds) = number(self.command, "--collection-interval-s")? {
            settings.collection_interval = Duration::from_secs(seconds);
        }
        let default = if self.is_s3 { 200 } else { 20 };
        let millis = number(self.command, "--publish-interval-ms")?.unwrap_or(default);
        settings.publish_interval = Duration::from_millis(millis);
        Ok(settings)
    }

    fn tail_options(&self) -> NodeResult<TailOptions> {
        let (min, staleness) = if self.is_s3 { (50, 2_000) } else { (2, 100) };
        let staleness = number(self.command, "--staleness-max-ms")?.unwrap_or(staleness);
        let invalid = |text: String| NodeError::new(ErrorKind::Invalid, text);
        let pin = self.command.get("--pin").map(BranchName::new).transpose().map_err(invalid)?;
        Ok(TailOptions {
            pin,
            probe_interval_min: Duration::from_millis(staleness.min(min)),
            staleness_max: Duration::from_millis(staleness),
            memtable_bytes: number(self.command, "--memtable-bytes")?.unwrap_or(16 << 20),
        })
    }

    fn branch(&self) -> NodeResult<BranchName> {
        let name = self.command.get("--branch").unwrap_or("main");
        BranchName::new(name).map_err(|text| NodeError::new(ErrorKind::Invalid, text))
    }

    /// Adds which option changes what an error complains about.
    fn explain(&self, error: NodeError, options: &NodeOptions) -> NodeError {
        let text = error.to_string();
        let port_option = match self.command.role {
            Role::Up if options.listen.port() != self.writer_port() => "--reader-port",
            _ => "--port",
        };
        let data_option = if self.command.role == Role::Up { "--data" } else { "--local" };
        let hint = if text.contains("is in use by another process (") || text.contains("may not listen") {
            format!(" ({port_option} chooses it)")
        } else if text.contains(&options.local.display().to_string()) {
            format!(" ({data_option} chooses the directory)")
        } else if !self.is_s3 && text.contains(&options.store.to_string()) {
            let store_option = if self.command.get("--store").is_some() { "--store" } else { data_option };
            format!(" ({store_option} chooses the directory)")
        } else {
            return error;
        };
        NodeError::new(error.kind(), format!("{text}{hint}"))
    }

    fn writer_port(&self) -> u16 {
        self.writer.as_ref().map_or(0, |writer| writer.listen.port())
    }

    fn say_how_to_connect(&self) {
        let Some(node) = self.writer.as_ref().or(self.reader.as_ref()) else { return };
        let host =
            if node.listen.ip().is_unspecified() { IpAddr::from([127, 0, 0, 1]) } else { node.listen.ip() };
        println!("connect mariadb -h {host} -P {} -u root     (or any MySQL client)", node.listen.port());
        println!("stop    with Ctrl-C");
    }
}

fn node_options(command: &Command, store: StoreUrl, local: PathBuf, port: u16) -> NodeResult<NodeOptions> {
    let bind = command.get("--bind").unwrap_or("127.0.0.1");
    let address: IpAddr = bind.parse().map_err(|_| {
        NodeError::new(
            ErrorKind::Invalid,
            format!("--bind {bind}: not an IP address; 0.0.0.0 is all of them"),
        )
    })?;
    let nodes = if command.role == Role::Up { 2 } else { 1 };
    let mut options = NodeOptions::new(store, local, SocketAddr::new(address, port), nodes);
    options.executors = number(command, "--executors")?;
    if let Some(bytes) = number(command, "--row-cache-bytes")? {
        options.row_cache_bytes = bytes;
    }
    if let Some(bytes) = number(command, "--block-cache-bytes")? {
        options.block_cache_bytes = bytes;
    }
    if let Some(bytes) = number(command, "--disk-cache-bytes")? {
        options.disk_cache_bytes = bytes;
    }
    let s3 = &mut options.store_options.s3;
    s3.endpoint = command.get("--s3-endpoint").map(str::to_owned);
    s3.region = command.get("--s3-region").map(str::to_owned);
    s3.path_style = match (command.has("--s3-path-style"), command.has("--s3-virtual-hosted")) {
        (true, true) => {
            let text = "--s3-path-style and --s3-virtual-hosted exclude each other";
            return Err(NodeError::new(ErrorKind::Invalid, text));
        }
        (true, false) => S3PathStyle::Path,
        (false, true) => S3PathStyle::Virtual,
        (false, false) => S3PathStyle::Auto,
    };
    Ok(options)
}

fn number<T: std::str::FromStr>(command: &Command, name: &str) -> NodeResult<Option<T>> {
    command.number(name).map_err(|text| NodeError::new(ErrorKind::Invalid, text))
}
