//! The bar that shows how far a training run is.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error over all steps of a run of which `done` are over; invisible when `quiet`.
pub(crate) fn step_bar(steps: u64, done: u64, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(steps), target);
    let template = "step {human_pos}/{human_len} [{bar:30}] {msg} ({eta} left)";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_position(done);
    bar.reset_eta(); // a resumed run's rate is that of its own steps
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}
