//! Telling a person how far a long piece of work has come, without the library knowing about terminals.

use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// Off a terminal a stage's first line comes after this time, the next one after twice as long, and so on.
const FIRST_LINE: Duration = Duration::from_secs(10);
/// Longest wait between two lines.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Receives the progress of a piece of work, one stage after the other.
pub trait Progress: Sync {
    /// A stage begins: what it does, how many units it has when that is known, and the unit's name ("bytes", "merges").
    fn start(&self, what: &str, total: Option<u64>, unit: &str);
    /// `n` more units are done. May be called from several threads.
    fn advance(&self, n: u64);
    /// Something about the stage so far that a person may want to know, such as what was dropped.
    fn note(&self, _text: &str) {}
    /// The stage ended; the message says what came of it.
    fn finish(&self, message: &str);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _what: &str, _total: Option<u64>, _unit: &str) {}
    fn advance(&self, _n: u64) {}
    fn finish(&self, _message: &str) {}
}

/// Progress on standard error: bars on a terminal; elsewhere, as in the log of a batch job, a line from time to time.
#[derive(Debug, Default)]
pub struct Bars {
    current: Mutex<Option<Stage>>,
}

/// The stage that is under way.
#[derive(Debug)]
enum Stage {
    Bar(ProgressBar),
    Lines(Lines),
}

impl Bars {
    /// Bars that draw on standard error.
    pub fn new() -> Self {
        Self::default()
    }

    fn with_current<T>(&self, f: impl FnOnce(&mut Option<Stage>) -> T) -> T {
        // A poisoned lock only means that another thread panicked while drawing: the bar itself is still good.
        let mut current = self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        f(&mut current)
    }
}

impl Progress for Bars {
    fn start(&self, what: &str, total: Option<u64>, unit: &str) {
        let stage = match std::io::stderr().is_terminal() {
            true => Stage::Bar(bar(what, total, unit)),
            false => Stage::Lines(Lines::new(what, total, unit, Instant::now())),
        };
        self.with_current(|current| {
            if let Some(Stage::Bar(old)) = current.replace(stage) {
                old.finish_and_clear();
            }
        });
    }

    fn advance(&self, n: u64) {
        self.with_current(|current| match current {
            Some(Stage::Bar(bar)) => bar.inc(n),
            Some(Stage::Lines(lines)) => {
                if let Some(line) = lines.advance(n, Instant::now()) {
                    eprintln!("{line}");
                }
            }
            None => {}
        });
    }

    fn note(&self, text: &str) {
        self.with_current(|current| match current {
            // On a line of its own: beside the bar a window of 80 columns has no room.
            Some(Stage::Bar(bar)) => bar.set_message(format!("\n  {text}")),
            Some(Stage::Lines(lines)) => lines.note = text.to_string(),
            None => {}
        });
    }

    fn finish(&self, message: &str) {
        self.with_current(|current| {
            if let Some(Stage::Bar(bar)) = current.take() {
                bar.finish_and_clear();
            }
        });
        eprintln!("{message}");
    }
}

/// A bar for a terminal.
fn bar(what: &str, total: Option<u64>, unit: &str) -> ProgressBar {
    let (counter, bytes) = match unit {
        "bytes" => ("{bytes}", true),
        _ => ("{human_pos}", false),
    };
    let template = match total {
        Some(_) if bytes => {
            "{prefix:<28} [{bar:30}] {bytes}/{total_bytes} ({bytes_per_sec}, {eta} left){msg}".to_string()
        }
        Some(_) => {
            format!("{{prefix:<28}} [{{bar:30}}] {{human_pos}}/{{human_len}} {unit} ({{rate}}/s, {{eta}} left){{msg}}")
        }
        None => format!("{{prefix:<28}} {{spinner}} {counter} {unit} ({{elapsed}}){{msg}}"),
    };
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::no_length(),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(&template) {
        // `per_sec` shows four decimals, whatever the rate.
        let rate = |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{}", HumanCount(state.per_sec() as u64));
        };
        bar.set_style(style.with_key("rate", rate).progress_chars("=> "));
    }
    bar.set_prefix(what.to_string());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A stage told in lines.
#[derive(Debug)]
struct Lines {
    what: String,
    total: Option<u64>,
    unit: String,
    begun: Instant,
    done: u64,
    note: String,
    /// When the next line is due.
    next: Instant,
    wait: Duration,
}

impl Lines {
    fn new(what: &str, total: Option<u64>, unit: &str, now: Instant) -> Self {
        let (what, unit) = (what.to_string(), unit.to_string());
        Lines { what, total, unit, begun: now, done: 0, note: String::new(), next: now + FIRST_LINE, wait: FIRST_LINE }
    }

    /// Counts, and gives the line that is due.
    fn advance(&mut self, n: u64, now: Instant) -> Option<String> {
        self.done += n;
        if now < self.next {
            return None;
        }
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.next = now + self.wait;
        Some(self.line(now.duration_since(self.begun)))
    }

    /// `tokenizing: 25%, 10 MiB of 40 MiB, 1 MiB/s, 30 seconds left; left out: 3 redirects`
    fn line(&self, elapsed: Duration) -> String {
        let is_bytes = self.unit == "bytes";
        let amount = |n: u64| if is_bytes { HumanBytes(n).to_string() } else { HumanCount(n).to_string() };
        let unit = if is_bytes { String::new() } else { format!(" {}", self.unit) };
        let rate = self.done as f64 / elapsed.as_secs_f64().max(1e-3);
        let mut line = format!("{}: ", self.what);
        // Writing into a String cannot fail.
        let _ = match self.total {
            Some(total) => {
                let percent = 100.0 * self.done as f64 / total.max(1) as f64;
                write!(line, "{percent:.0}%, {} of {}{unit}", amount(self.done), amount(total))
            }
            None => write!(line, "{}{unit}", amount(self.done)),
        };
        let _ = write!(line, ", {}{unit}/s", amount(rate as u64));
        if let Some(total) = self.total
            && self.done > 0
        {
            let left = Duration::from_secs_f64(total.saturating_sub(self.done) as f64 / rate);
            let _ = write!(line, ", {} left", HumanDuration(left));
        }
        if !self.note.is_empty() {
            let _ = write!(line, "; {}", self.note);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_rate_time_left_and_what_was_dropped() {
        let begin = Instant::now();
        let mut lines = Lines::new("tokenizing", Some(40 << 20), "bytes", begin);
        lines.note = "left out: 3 redirects".into();
        assert_eq!(
            lines.advance(10 << 20, begin + Duration::from_secs(10)).as_deref(),
            Some("tokenizing: 25%, 10.00 MiB of 40.00 MiB, 1.00 MiB/s, 30 seconds left; left out: 3 redirects")
        );
        let mut lines = Lines::new("counting", None, "words", begin);
        assert_eq!(
            lines.advance(24_000, begin + Duration::from_secs(12)).as_deref(),
            Some("counting: 24,000 words, 2,000 words/s")
        );
        let mut nothing = Lines::new("x", Some(0), "files", begin);
        assert_eq!(nothing.advance(0, begin + FIRST_LINE).as_deref(), Some("x: 0%, 0 of 0 files, 0 files/s"));
    }

    #[test]
    fn lines_come_at_growing_intervals_and_not_with_every_unit() {
        let begin = Instant::now();
        let mut lines = Lines::new("x", Some(10_000), "documents", begin);
        let told: Vec<u64> = (0..400).filter(|&s| lines.advance(1, begin + Duration::from_secs(s)).is_some()).collect();
        assert_eq!(told, [10, 30, 70, 130, 190, 250, 310, 370]);
    }
}
