//! The `aquifer` command: `up`, `writer`, `reader`, `verify`, `inspect`, `pin`, `unpin`.

mod args;
mod inspect;
mod pin;
mod signals;
mod up;
mod verify;

use std::process::ExitCode;
use std::sync::mpsc;

use aquifer_shard::affinity::{self, Urgency};
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::event;
use aquifer_shard::status::OnFatal;

use crate::args::{Command, Parsed, Role};

#[global_allocator]
static ALLOCATOR: jemallocator::Jemalloc = jemallocator::Jemalloc;

/// Why the process ends.
pub enum End {
    /// Ctrl-C or SIGTERM.
    Signal,
    /// A node cannot go on.
    Fatal(NodeError),
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match args::parse(&words) {
        Ok(Parsed::Run(command)) => run(command),
        Ok(Parsed::Show(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("aquifer: {message}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> ExitCode {
    if let Some(outcome) = run_tool(&command) {
        return match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("aquifer: {error}");
                ExitCode::FAILURE
            }
        };
    }
    raise_file_limit();
    die_of_panics();
    // Threads are as urgent as the one that starts them: all but the log thread and the bulk lane as executors.
    affinity::set_urgency(Urgency::Executor);
    // Before any other thread, so that all of them leave signals to the one that waits for them.
    let (sender, ends) = mpsc::channel();
    if let Err(error) = signals::forward(sender.clone()) {
        eprintln!("aquifer: cannot handle signals: {error}");
        return ExitCode::FAILURE;
    }
    let on_fatal = OnFatal::new(move |error| {
        // The receiver lives as long as the nodes do.
        let _ = sender.send(End::Fatal(error));
    });
    match up::start(&command, &on_fatal) {
        Ok(nodes) => wait(nodes, &ends),
        Err(error) => {
            eprintln!("aquifer: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command that starts no node; `None` for the others.
fn run_tool(command: &Command) -> Option<NodeResult<()>> {
    let tool = match command.role {
        Role::Verify => verify::verify,
        Role::Inspect => return Some(inspect::inspect(command)),
        Role::Pin => return Some(pin::pin(command)),
        Role::Unpin => return Some(pin::unpin(command)),
        Role::Up | Role::Writer | Role::Reader => return None,
    };
    Some(up::store_options(command).and_then(|options| tool(&options)))
}

fn wait(nodes: up::Nodes, ends: &mpsc::Receiver<End>) -> ExitCode {
    match ends.recv() {
        Ok(End::Signal) => {
            event::info("stopping");
            match nodes.stop() {
                Ok(()) => {
                    event::info("stopped");
                    ExitCode::SUCCESS
                }
                Err(error) => {
                    event::error(&error.to_string());
                    ExitCode::FAILURE
                }
            }
        }
        Ok(End::Fatal(error)) => {
            event::error(&error.to_string());
            // No clean stop: the node that failed must not publish anything more.
            std::process::exit(1)
        }
        Err(mpsc::RecvError) => ExitCode::FAILURE,
    }
}

/// A panic is a broken invariant: the process must not publish anything after it.
fn die_of_panics() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::abort();
    }));
}

/// Each connection needs a file descriptor: as many as the system allows.
fn raise_file_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct is writable for the time of the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: the struct was filled in by the call above. A refusal leaves the limit as it was.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}
