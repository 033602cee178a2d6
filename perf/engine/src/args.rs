//! The command line.

use std::path::PathBuf;

/// What to measure, with how much, and where to write it.
#[derive(Clone, Debug)]
pub struct Args {
    /// Names of cases; empty for all.
    pub cases: Vec<String>,
    /// Rows in the data set.
    pub rows: u64,
    /// Rounds of each measurement; medians are reported.
    pub rounds: usize,
    /// Operations of a round of the cheap cases; dear ones take a part of it.
    pub operations: u64,
    /// Where stores and caches are put while it runs.
    pub dir: PathBuf,
    /// Where results are written; `None` prints only.
    pub results: Option<PathBuf>,
    /// Goes into the names of the result files, after the case.
    pub name: String,
    /// The program's name, for the report.
    pub program: &'static str,
    /// Where the data are kept while the cases run that can choose.
    pub store: StoreKind,
    /// Decides the simulated store's draws.
    pub seed: u64,
    /// The words as they were given, for the report; without directories, which only this machine has.
    pub command: String,
}

/// The store below the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// A directory.
    Dir,
    /// S3 Standard as `aquifer_objstore::sim` imitates it, in real time.
    Sim,
}

/// What `--help` prints.
pub const HELP: &str = "\
engine-bench: what the storage engine costs, without SQL

  --case A,B       cases: memory, disk, cold, ingest, update, compaction, beside, compacting, open (default: all)
  --rows N         rows of 400 bytes in the data set (default 500000)
  --rounds N       rounds of each measurement (default 5)
  --operations N   operations of a round (default 200000; dear cases take a part of it)
  --store KIND     dir (default) or sim: S3 Standard, simulated in memory and in real time, as for its peer in
                   perf/slatedb; not for the cases open and compaction, which have their own
  --seed N         of the simulated store (default 1)
  --dir DIR        where the data are put meanwhile; a disk, not memory (default ./engine-bench-data)
  --results DIR    where to write the results (default perf/results); `none` prints only
  --name NAME      goes into the names of the result files
";

/// Options that say where things are, not what is measured.
const PLACES: [&str; 2] = ["--dir", "--results"];

fn told(words: &[String]) -> String {
    let pairs = words.chunks(2).filter(|pair| !PLACES.contains(&pair[0].as_str()));
    pairs.flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
}

impl Args {
    /// Reads the words after the program's name; `None` asks for help.
    ///
    /// # Errors
    /// A sentence about the word that is wrong.
    pub fn parse(words: &[String]) -> Result<Option<Self>, String> {
        let mut args = Self {
            cases: Vec::new(),
            rows: 500_000,
            rounds: 5,
            operations: 200_000,
            dir: PathBuf::from("engine-bench-data"),
            results: Some(PathBuf::from("perf/results")),
            name: String::new(),
            program: env!("CARGO_PKG_NAME"),
            store: StoreKind::Dir,
            seed: 1,
            command: told(words),
        };
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if matches!(word.as_str(), "--help" | "-h") {
                return Ok(None);
            }
            let value = rest.next().ok_or_else(|| format!("{word} needs a value"))?;
            args.set(word, value)?;
        }
        if args.rows < 10_000 || args.rounds == 0 || args.operations < 1_000 {
            return Err("at least 10000 rows, one round and 1000 operations are needed".to_owned());
        }
        Ok(Some(args))
    }

    fn set(&mut self, word: &str, value: &str) -> Result<(), String> {
        let number = |text: &str| text.parse().map_err(|_| format!("{word} {text}: not a number"));
        match word {
            "--case" => self.cases = value.split(',').map(str::to_owned).collect(),
            "--rows" => self.rows = number(value)?,
            "--rounds" => self.rounds = usize::try_from(number(value)?).map_err(|e| e.to_string())?,
            "--operations" => self.operations = number(value)?,
            "--seed" => self.seed = number(value)?,
            "--store" => {
                self.store = match value {
                    "dir" => StoreKind::Dir,
                    "sim" => StoreKind::Sim,
                    other => return Err(format!("--store {other}: dir or sim")),
                }
            }
            "--dir" => self.dir = PathBuf::from(value),
            "--results" => self.results = (value != "none").then(|| PathBuf::from(value)),
            "--name" => self.name = value.to_owned(),
            _ => return Err(format!("unknown option {word}; see --help")),
        }
        Ok(())
    }

    /// Whether a case is to run.
    #[must_use]
    pub fn wants(&self, case: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|wanted| wanted == case)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_in_a_result_names_no_directory() {
        let words = "--case open --dir /data/x --rounds 3 --results /data/y --name z";
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let args = Args::parse(&words).unwrap().unwrap();
        assert_eq!(args.command, "--case open --rounds 3 --name z");
        assert_eq!(args.dir, PathBuf::from("/data/x"));
    }
}
