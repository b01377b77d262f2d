//! The table that is printed.

use std::fmt;
use std::time::Duration;

/// What a row's comparison has to be.
#[derive(Clone, Copy)]
pub enum Target {
    /// Our time, in that of the other.
    AtMost(f64),
    /// How many times as fast.
    AtLeast(f64),
    /// For information.
    None,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "at most {limit}"),
            Self::AtLeast(limit) => write!(f, "at least {limit} times as fast"),
            Self::None => Ok(()),
        }
    }
}

pub fn head() {
    println!("| task | skopeo-index | beside | comparison | target |\n|---|---|---|---|---|");
}

/// A row that compares our time with another.
pub fn compare(task: &str, ours: Duration, other: Option<(&str, Duration)>, target: Target) {
    let Some((name, time)) = other else {
        return row(task, &ms(ours), "", "", "");
    };
    let (ours_s, other_s) = (ours.as_secs_f64(), time.as_secs_f64());
    let comparison = match target {
        Target::AtLeast(_) => format!("{:.1} times as fast", other_s / ours_s),
        Target::AtMost(_) | Target::None => format!("{:.2}", ours_s / other_s),
    };
    let beside = format!("{}, {name}", ms(time));
    row(task, &ms(ours), &beside, &comparison, &target.to_string());
}

/// A row of texts.
pub fn row(task: &str, ours: &str, beside: &str, comparison: &str, target: &str) {
    println!("| {task} | {ours} | {beside} | {comparison} | {target} |");
}

pub fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    let digits = usize::from(ms < 100.0);
    format!("{ms:.digits$} ms")
}
