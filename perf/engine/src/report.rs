//! Results: a table for people and the raw figures, one pair of files for each case.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::args::Args;

/// In which direction a figure is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// Reported without a goal.
    None,
}

/// One figure with what every round gave.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// Its unit.
    pub unit: &'static str,
    /// What it must reach.
    pub goal: Goal,
    /// One value a round.
    pub rounds: Vec<f64>,
}

/// All figures of one case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, as given to `--case`.
    pub name: &'static str,
    /// What was done, in a sentence or two.
    pub about: String,
    /// The figures.
    pub figures: Vec<Figure>,
    /// What a reader has to know beside the figures.
    pub notes: Vec<String>,
    /// The data, if they are not the rows of the command line.
    pub data: Option<&'static str>,
}

impl Case {
    /// A case without figures.
    #[must_use]
    pub fn new(name: &'static str, about: impl Into<String>) -> Self {
        Self { name, about: about.into(), figures: Vec::new(), notes: Vec::new(), data: None }
    }

    /// Adds a figure.
    pub fn add(&mut self, what: impl Into<String>, unit: &'static str, goal: Goal, rounds: Vec<f64>) {
        let figure = Figure { what: what.into(), unit, goal, rounds };
        println!("  {}", line(&figure));
        self.figures.push(figure);
    }
}

impl Figure {
    /// The median of the rounds.
    #[must_use]
    pub fn median(&self) -> f64 {
        let mut sorted = self.rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    fn lowest(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn highest(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    fn verdict(&self) -> (String, &'static str) {
        let median = self.median();
        let word = |reached: bool| if reached { "reached" } else { "missed" };
        match self.goal {
            Goal::AtMost(limit) => (format!("≤ {limit}"), word(median <= limit)),
            Goal::AtLeast(limit) => (format!("≥ {limit}"), word(median >= limit)),
            Goal::None => (String::new(), ""),
        }
    }
}

fn line(figure: &Figure) -> String {
    let (goal, verdict) = figure.verdict();
    let (low, high) = (short(figure.lowest()), short(figure.highest()));
    let median = short(figure.median());
    format!("{}: {median} {} ({low} … {high}) {goal} {verdict}", figure.what, figure.unit)
}

/// Three significant digits, or all of them before the point.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Writes both files of a case; a result is never overwritten.
///
/// # Errors
/// What the file system says.
pub fn write(args: &Args, machine: &str, case: &Case) -> Result<(), String> {
    let Some(dir) = &args.results else { return Ok(()) };
    fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let stem = free_stem(dir, &stem(args, case));
    let put = |name: String, text: String| {
        let path = dir.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    put(format!("{stem}.md"), markdown(args, machine, case, &stem))?;
    put(format!("{stem}.json"), json(args, machine, case))
}

fn stem(args: &Args, case: &Case) -> String {
    let date = today();
    let name = if args.name.is_empty() { String::new() } else { format!("-{}", args.name) };
    format!("{date}-engine-{}{name}", case.name)
}

/// The date, UTC, as `2026-01-31`.
fn today() -> String {
    // SAFETY: an all-zero tm is a valid value of that plain C struct.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: a null pointer asks for the result alone.
    let now = unsafe { libc::time(std::ptr::null_mut()) };
    // SAFETY: both are valid for the time of the call.
    unsafe { libc::gmtime_r(&raw const now, &raw mut parts) };
    format!("{}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday)
}

fn free_stem(dir: &Path, stem: &str) -> String {
    let is_free = |stem: &String| !dir.join(format!("{stem}.md")).exists();
    let numbered = (2..).map(|number| format!("{stem}-{number}"));
    std::iter::once(stem.to_owned()).chain(numbered).find(is_free).unwrap_or_else(|| stem.to_owned())
}

fn markdown(args: &Args, machine: &str, case: &Case, stem: &str) -> String {
    let mut text = format!("# Engine: {}\n\n{}\n\nMachine: {machine}.\n", case.name, case.about);
    let rows = format!("{} rows of 400 bytes and 12 bytes of key", args.rows);
    let _ = writeln!(text, "Data: {}.\n", case.data.unwrap_or(&rows));
    let _ = writeln!(text, "Command: `{} {}`\n", args.program, args.command);
    text += "CPU is user and system time (the clocks of thread and process). Medians, lowest and highest round in brackets.\n\n";
    text += "| figure | unit | median (lowest … highest) | goal | |\n|---|---|---|---|---|\n";
    for figure in &case.figures {
        let (goal, verdict) = figure.verdict();
        let (low, high) = (short(figure.lowest()), short(figure.highest()));
        let _ = writeln!(
            text,
            "| {} | {} | {} ({low} … {high}) | {goal} | {verdict} |",
            figure.what,
            figure.unit,
            short(figure.median())
        );
    }
    text.push('\n');
    for note in &case.notes {
        let _ = writeln!(text, "* {note}");
    }
    let _ = writeln!(text, "\nRaw figures of every round: `{stem}.json`.");
    text
}

fn json(args: &Args, machine: &str, case: &Case) -> String {
    let figures: Vec<String> = case
        .figures
        .iter()
        .map(|figure| {
            let rounds: Vec<String> = figure.rounds.iter().map(|value| format!("{value:.6}")).collect();
            format!(
                "    {{\"what\": {}, \"unit\": {}, \"median\": {:.6}, \"rounds\": [{}]}}",
                quoted(&figure.what),
                quoted(figure.unit),
                figure.median(),
                rounds.join(", ")
            )
        })
        .collect();
    let notes: Vec<String> = case.notes.iter().map(|note| quoted(note)).collect();
    format!(
        "{{\n  \"case\": {},\n  \"machine\": {},\n  \"command\": {},\n  \"rows\": {},\n  \"notes\": [{}],\n  \
         \"figures\": [\n{}\n  ]\n}}\n",
        quoted(case.name),
        quoted(machine),
        quoted(&args.command),
        args.rows,
        notes.join(", "),
        figures.join(",\n")
    )
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            letter if letter < ' ' => out += &format!("\\u{:04x}", u32::from(letter)),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// Cores, processor, memory, kernel and how busy the machine is; nothing that names it.
#[must_use]
pub fn machine() -> String {
    let read = |path: &str| fs::read_to_string(PathBuf::from(path)).unwrap_or_default();
    let field = |text: &str, name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.split_once(':'))
            .map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let processor = field(&read("/proc/cpuinfo"), "model name");
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("unknown");
    format!(
        "{cores} cores ({processor}), {memory} of memory, Linux {}, load {load} at the start",
        kernel.trim()
    )
}
