//! Telling a person how far a long piece of work has come, without the library knowing about terminals.

use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

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

/// Progress bars on standard error. Where that is not a terminal only the closing line of each stage is written.
#[derive(Debug, Default)]
pub struct Bars {
    current: Mutex<Option<ProgressBar>>,
}

impl Bars {
    /// Bars that draw on standard error.
    pub fn new() -> Self {
        Self::default()
    }

    fn with_current<T>(&self, f: impl FnOnce(&mut Option<ProgressBar>) -> T) -> T {
        // A poisoned lock only means that another thread panicked while drawing: the bar itself is still good.
        let mut current = self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        f(&mut current)
    }
}

impl Progress for Bars {
    fn start(&self, what: &str, total: Option<u64>, unit: &str) {
        let (counter, bytes) = match unit {
            "bytes" => ("{bytes}", true),
            _ => ("{human_pos}", false),
        };
        let template = match total {
            Some(_) if bytes => {
                "{prefix:<28} [{bar:30}] {bytes}/{total_bytes} ({bytes_per_sec}, {eta} left)  {wide_msg}".to_string()
            }
            Some(_) => format!(
                "{{prefix:<28}} [{{bar:30}}] {{human_pos}}/{{human_len}} {unit} ({{per_sec}}, {{eta}} left)  {{wide_msg}}"
            ),
            None => format!("{{prefix:<28}} {{spinner}} {counter} {unit} ({{elapsed}})"),
        };
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(what.to_string());
        bar.enable_steady_tick(Duration::from_millis(200));
        self.with_current(|current| {
            if let Some(old) = current.replace(bar) {
                old.finish_and_clear();
            }
        });
    }

    fn advance(&self, n: u64) {
        self.with_current(|current| {
            if let Some(bar) = current {
                bar.inc(n);
            }
        });
    }

    fn note(&self, text: &str) {
        self.with_current(|current| {
            if let Some(bar) = current {
                bar.set_message(text.to_string());
            }
        });
    }

    fn finish(&self, message: &str) {
        self.with_current(|current| {
            if let Some(bar) = current.take() {
                bar.finish_and_clear();
            }
        });
        eprintln!("{message}");
    }
}
