//! The learning rate as a pure function of the step.
//!
//! Steps count from 1. With `w` steps of warm-up and `n` in all, the rate rises as `peak * s / w` up to step `w` and
//! then falls as `peak * (n + 1 - s) / (n + 1 - w)`, so that no step, the first and the last included, is spent at a
//! rate of zero.

use crate::config::{PretrainConfig, ScheduleConfig, ScheduleKind};

/// Rates of a whole run: one or more stretches, each with a warm-up of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    stretches: Vec<Stretch>,
}

#[derive(Debug, Clone, PartialEq)]
struct Stretch {
    /// Steps of the run before this stretch.
    before: u64,
    steps: u64,
    warmup: u64,
    peak: f64,
    kind: ScheduleKind,
}

impl Schedule {
    /// One stretch of `steps` with a peak rate of `peak`.
    pub fn single(kind: ScheduleKind, peak: f64, warmup: u64, steps: u64) -> Self {
        Self { stretches: vec![Stretch { before: 0, steps, warmup, peak, kind }] }
    }

    /// The schedule of a pre-training run: `[schedule]` over all phases, but a phase with its own restarts there.
    pub fn of_run(config: &PretrainConfig) -> Self {
        let stretch = |schedule: &ScheduleConfig, before| Stretch {
            before,
            steps: 0,
            warmup: schedule.warmup_steps,
            peak: schedule.lr.unwrap_or(config.optimizer.lr),
            kind: schedule.kind,
        };
        let mut stretches = Vec::new();
        let mut current = stretch(&config.schedule, 0);
        for phase in &config.phase {
            if let Some(own) = &phase.schedule {
                let before = current.before + current.steps;
                if current.steps > 0 {
                    stretches.push(current);
                }
                current = stretch(own, before);
            }
            current.steps += phase.steps;
        }
        stretches.push(current);
        Self { stretches }
    }

    /// The rate of step `step`, counted from 1; zero after the end.
    pub fn rate(&self, step: u64) -> f64 {
        self.stretches
            .iter()
            .rfind(|stretch| stretch.before < step)
            .map_or(0.0, |stretch| stretch.rate(step - stretch.before))
    }
}

impl Stretch {
    fn rate(&self, step: u64) -> f64 {
        let Self { steps, warmup, peak, kind, .. } = *self;
        if step > steps {
            0.0
        } else if step < warmup {
            peak * step as f64 / warmup as f64
        } else {
            match kind {
                ScheduleKind::Constant => peak,
                // Without a warm-up step 1 is the peak.
                ScheduleKind::Linear => peak * (steps + 1 - step) as f64 / (steps + 1 - warmup.max(1)) as f64,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn linear_rises_to_the_peak_and_falls_to_one_share_at_the_last_step() {
        let schedule = Schedule::single(ScheduleKind::Linear, 2.0, 4, 13);
        close(schedule.rate(1), 0.5);
        close(schedule.rate(4), 2.0);
        close(schedule.rate(9), 1.0);
        close(schedule.rate(13), 0.2);
        close(schedule.rate(14), 0.0);
    }

    #[test]
    fn without_warm_up_the_first_step_has_the_peak() {
        let schedule = Schedule::single(ScheduleKind::Linear, 3.0, 0, 10);
        close(schedule.rate(1), 3.0);
        close(schedule.rate(10), 0.3);
        let constant = Schedule::single(ScheduleKind::Constant, 3.0, 2, 10);
        close(constant.rate(1), 1.5);
        close(constant.rate(10), 3.0);
    }

    #[test]
    fn one_schedule_spans_the_phases_and_a_phase_of_its_own_restarts() {
        let mut config = PretrainConfig::load("base", &["data.input=[\"sample\"]".into()]).unwrap();
        let paper = Schedule::of_run(&config);
        close(paper.rate(10_000), 1e-4);
        close(paper.rate(900_001), 1e-4 * 100_000.0 / 990_001.0);
        close(paper.rate(1_000_000), 1e-4 / 990_001.0);

        config.phase[1].schedule =
            Some(ScheduleConfig { kind: ScheduleKind::Linear, warmup_steps: 1000, lr: Some(5e-5) });
        let restarted = Schedule::of_run(&config);
        close(restarted.rate(900_000), 1e-4 / 890_001.0);
        close(restarted.rate(900_500), 2.5e-5);
        close(restarted.rate(901_000), 5e-5);
    }
}
