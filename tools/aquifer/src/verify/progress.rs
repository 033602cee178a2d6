//! A progress bar on the terminal, for work that takes longer than a moment.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::inspect::text::bytes;

const WIDTH: u64 = 30;

/// Nothing is shown before this.
const PATIENCE: Duration = Duration::from_millis(500);

/// Time between two drawings.
const REDRAW: Duration = Duration::from_millis(200);

/// Progress in objects and bytes; drawn on standard error if that is a terminal.
pub struct Progress {
    objects: usize,
    bytes: u64,
    objects_done: usize,
    bytes_done: u64,
    begun: Instant,
    drawn: Option<Instant>,
    is_shown: bool,
}

impl Progress {
    /// Nothing is done yet.
    pub fn new(objects: usize, bytes: u64) -> Self {
        let is_shown = std::io::stderr().is_terminal();
        Self { objects, bytes, objects_done: 0, bytes_done: 0, begun: Instant::now(), drawn: None, is_shown }
    }

    /// One more object is done.
    pub fn done(&mut self, bytes: u64) {
        self.objects_done += 1;
        self.bytes_done += bytes;
        let due = self.drawn.map_or(self.begun + PATIENCE, |drawn| drawn + REDRAW);
        if self.is_shown && Instant::now() >= due {
            self.drawn = Some(Instant::now());
            let line =
                line((self.objects_done, self.objects), (self.bytes_done, self.bytes), self.begun.elapsed());
            eprint!("\r{line}\x1b[K");
            // A terminal that cannot be written to shows no progress.
            let _ = std::io::stderr().flush();
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if self.drawn.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

/// The bar as text: `[#####     ]  17 %  123 of 800 objects, 1.2 of 3.4 GiB, 3 min left`.
fn line(objects: (usize, usize), read: (u64, u64), elapsed: Duration) -> String {
    // An object costs a request, whatever its length: count it as 64 KiB.
    let weight = |objects: usize, bytes: u64| bytes + (objects as u64) * (64 << 10);
    let (done, all) = (weight(objects.0, read.0), weight(objects.1, read.1).max(1));
    let filled = usize::try_from(done * WIDTH / all).unwrap_or(0);
    let bar = format!("{:<width$}", "#".repeat(filled), width = usize::try_from(WIDTH).unwrap_or(0));
    let left = elapsed.as_millis() * u128::from(all - done.min(all)) / u128::from(done.max(1)) / 1000;
    let left = if left >= 120 { format!("{} min", left / 60) } else { format!("{left} s") };
    format!(
        "[{bar}] {:3} %  {} of {} objects, {} of {}, {left} left",
        done * 100 / all,
        objects.0,
        objects.1,
        bytes(read.0),
        bytes(read.1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_shows_share_and_time_left() {
        let text = line((5, 10), (1 << 30, 2 << 30), Duration::from_secs(60));
        assert!(text.starts_with("[###############               ]  50 %"), "{text}");
        assert!(text.ends_with("5 of 10 objects, 1.0 GiB of 2.0 GiB, 60 s left"), "{text}");
    }
}
