//! The command line: a table of options, so that parsing, checking and `--help` cannot disagree.

use std::collections::BTreeMap;

/// What the user asked for.
pub enum Parsed {
    /// Start nodes.
    Run(Command),
    /// Print this and end.
    Show(String),
}

/// Which nodes, with their options.
pub struct Command {
    /// Which.
    pub role: Role,
    /// What follows the command without being an option.
    pub words: Vec<String>,
    options: BTreeMap<&'static str, String>,
}

/// What to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A writer and a reader.
    Up,
    /// A writer.
    Writer,
    /// A reader.
    Reader,
    /// No node: a check of a store.
    Verify,
    /// No node: what a store holds, as text.
    Inspect,
    /// No node: a state is to be kept.
    Pin,
    /// No node: a state need not be kept any more.
    Unpin,
}

struct OptionRow {
    name: &'static str,
    /// What stands for its value; empty for a switch.
    value: &'static str,
    roles: &'static [Role],
    help: &'static str,
}

use Role::{Inspect, Pin, Reader, Unpin, Up, Verify, Writer};

/// Whoever is told where the store is.
const STORES: [Role; 7] = [Up, Writer, Reader, Verify, Inspect, Pin, Unpin];

const OPTIONS: &[OptionRow] = &[
    row(
        "--data",
        "DIR",
        &[Up, Verify, Inspect, Pin, Unpin],
        "where everything is kept (default ./aquifer-data)",
    ),
    row("--store", "URL", &STORES, "the object store: s3://bucket/prefix or a directory"),
    row(
        "--local",
        "DIR",
        &[Writer, Reader, Inspect],
        "the node's own directory (default ./aquifer-data/<role>; inspect: that of the writer)",
    ),
    row("--bind", "ADDR", &[Up, Writer, Reader], "address to listen on (default 127.0.0.1)"),
    row(
        "--port",
        "N",
        &[Up, Writer, Reader, Inspect],
        "port of the node; of the writer with `up` (default 3306; reader 3307; inspect: none is asked)",
    ),
    row("--host", "NAME", &[Inspect], "where the node at --port is (default 127.0.0.1)"),
    row("--user", "NAME", &[Inspect], "who asks the node at --port (default root)"),
    row("--password-file", "FILE", &[Inspect], "the password of --user (default: none)"),
    row("--reader-port", "N", &[Up], "port of the reader (default 3307)"),
    row("--branch", "NAME", &[Reader, Inspect, Pin], "the branch to read (default main)"),
    row("--pin", "NAME", &[Reader], "serve the state that a pin keeps, and follow nothing"),
    row("--root-password-file", "FILE", &[Up, Writer], "password of root@localhost in a new database"),
    row("--s3-endpoint", "URL", &STORES, "address of an S3 store that is not AWS"),
    row("--s3-region", "NAME", &STORES, "its region"),
    row("--s3-path-style", "", &STORES, "name the bucket in the path"),
    row("--s3-virtual-hosted", "", &STORES, "name the bucket in the host"),
    row("--executors", "N", &[Up, Writer, Reader], "threads that serve clients (default: one a core)"),
    row(
        "--row-cache-bytes",
        "N",
        &[Up, Writer, Reader],
        "memory for rows (default: an eighth of all, of half with `up`)",
    ),
    row(
        "--block-cache-bytes",
        "N",
        &[Up, Writer, Reader],
        "memory for blocks (default: three eighths of all, of half with `up`)",
    ),
    row(
        "--disk-cache-bytes",
        "N",
        &[Up, Writer, Reader],
        "local file for blocks, 0 for none (default: a tenth of what is free)",
    ),
    row(
        "--memtable-bytes",
        "N",
        &[Up, Writer, Reader],
        "size at which a memtable is flushed (default: a 64th of all, of half with `up`, at most 64 MiB)",
    ),
    row("--last", "N", &[Inspect], "how many of the newest to print (default 40)"),
    row(
        "--outbox-bytes",
        "N",
        &[Up, Writer],
        "changes that may wait on the local disk while the store is away (default: 8 GiB, at most a quarter of \
         the free disk and half of the memory)",
    ),
    row(
        "--staleness-max-ms",
        "N",
        &[Up, Reader],
        "how old a reader's answer may be while links come rarely (default 100; 2000 on S3)",
    ),
    row(
        "--retention-s",
        "N",
        &[Up, Writer],
        "every state of the last N seconds stays in the store (default 86400, a day)",
    ),
    row(
        "--collection-interval-s",
        "N",
        &[Up, Writer],
        "least time between two deletions of what is no longer needed (default 3600)",
    ),
    row("--publish-interval-ms", "N", &[Up, Writer], "least time between two links (default 20; 200 on S3)"),
];

const fn row(
    name: &'static str,
    value: &'static str,
    roles: &'static [Role],
    help: &'static str,
) -> OptionRow {
    OptionRow { name, value, roles, help }
}

/// Reads the words after the program's name.
///
/// # Errors
/// A sentence that names the word and points to `--help`.
pub fn parse(words: &[String]) -> Result<Parsed, String> {
    let Some(first) = words.first() else { return Ok(Parsed::Show(help())) };
    let role = match first.as_str() {
        "up" => Up,
        "writer" => Writer,
        "reader" => Reader,
        "verify" => Verify,
        "inspect" => Inspect,
        "pin" => Pin,
        "unpin" => Unpin,
        "help" | "--help" | "-h" => return Ok(Parsed::Show(help())),
        "--version" | "-V" => return Ok(Parsed::Show(format!("aquifer {}\n", env!("CARGO_PKG_VERSION")))),
        other => return Err(format!("unknown command {other:?}; see aquifer --help")),
    };
    let (mut options, mut positional) = (BTreeMap::new(), Vec::new());
    let mut rest = words[1..].iter();
    while let Some(word) = rest.next() {
        if word == "--help" || word == "-h" {
            return Ok(Parsed::Show(help()));
        }
        if matches!(role, Inspect | Pin | Unpin) && !word.starts_with("--") {
            positional.push(word.clone());
            continue;
        }
        let (name, inline) =
            word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        let known = OPTIONS.iter().find(|option| option.name == name && option.roles.contains(&role));
        let Some(option) = known else {
            return Err(format!("unknown option {name} of aquifer {first}; see aquifer --help"));
        };
        let value = match (option.value, inline) {
            ("", None) => String::new(),
            ("", Some(_)) => return Err(format!("{name} takes no value")),
            (_, Some(value)) => value.to_owned(),
            (what, None) => {
                rest.next().cloned().ok_or_else(|| format!("{name} needs a value: {name} {what}"))?
            }
        };
        options.insert(option.name, value);
    }
    Ok(Parsed::Run(Command { role, words: positional, options }))
}

impl Command {
    /// The value of an option, if it was given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// Whether a switch was given.
    pub fn has(&self, name: &str) -> bool {
        self.options.contains_key(name)
    }

    /// The value of an option as a number.
    ///
    /// # Errors
    /// A sentence that names the option.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let parse = |text: &str| text.parse().map_err(|_| format!("{name} {text}: not a number in range"));
        self.get(name).map(parse).transpose()
    }
}

fn help() -> String {
    let mut text = String::from(
        "Aquifer: a MySQL-compatible database whose data live in an object store.\n\n\
         aquifer up      [options]   start a writer and a reader on this machine\n\
         aquifer writer  [options]   start a writer; give it a --store\n\
         aquifer reader  [options]   start a reader of the same --store, here or elsewhere\n\
         aquifer verify  [options]   check every object of a store; changes nothing\n\
         aquifer pin NAME [options]   keep the present state of a branch; aquifer unpin NAME lets it go\n\
         aquifer inspect WHAT [options]   print what a store holds:\n",
    );
    text += &crate::inspect::usage();
    text += "\nOptions:\n";
    for option in OPTIONS {
        let roles = option.roles.iter().map(|role| match role {
            Up => "up",
            Writer => "writer",
            Reader => "reader",
            Verify => "verify",
            Inspect => "inspect",
            Pin => "pin",
            Unpin => "unpin",
        });
        let usage = format!("{} {}", option.name, option.value);
        text += &format!("  {usage:28} {} [{}]\n", option.help, roles.collect::<Vec<_>>().join(", "));
    }
    text += "\nCredentials for S3 come from the environment, profile files or the machine's role, as for the AWS\n\
             command line. Ctrl-C or SIGTERM stops cleanly.\n";
    text
}
