//! What was measured, what was aimed at, and how both are shown.

use anyhow::Result;
use serde_json::{Value, json};

/// One quantity, once per round.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    name: String,
    unit: &'static str,
    rounds: Vec<f64>,
}

impl Figure {
    pub(crate) fn median(&self) -> f64 {
        median(&self.rounds)
    }

    /// The ratio of two quantities of the same rounds, per round: the median of these.
    pub(crate) fn over(&self, other: &Self) -> f64 {
        let ratios: Vec<f64> = self.rounds.iter().zip(&other.rounds).map(|(a, b)| a / b).collect();
        median(&ratios)
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Aim {
    name: String,
    figure: f64,
    bound: Bound,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Aim {
    pub(crate) fn at_least(name: impl Into<String>, figure: f64, bound: f64) -> Self {
        Self { name: name.into(), figure, bound: Bound::AtLeast(bound) }
    }

    pub(crate) fn at_most(name: impl Into<String>, figure: f64, bound: f64) -> Self {
        Self { name: name.into(), figure, bound: Bound::AtMost(bound) }
    }

    fn is_reached(&self) -> bool {
        match self.bound {
            Bound::AtLeast(bound) => self.figure >= bound,
            Bound::AtMost(bound) => self.figure <= bound,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Report {
    machine: Vec<(&'static str, String)>,
    figures: Vec<Figure>,
    aims: Vec<Aim>,
    /// What the long log is held against, in MB.
    pub(crate) short_log_peak: Option<f64>,
}

impl Report {
    pub(crate) fn new(machine: Vec<(&'static str, String)>) -> Self {
        Self { machine, figures: Vec::new(), aims: Vec::new(), short_log_peak: None }
    }

    pub(crate) fn print_machine(&self) {
        for (name, value) in &self.machine {
            println!("{name:<12} {value}");
        }
    }

    #[allow(clippy::unused_self, reason = "the report decides where headlines go")]
    pub(crate) fn headline(&self, text: &str) {
        println!("\n{text}");
    }

    /// Keeps and prints a figure; rounds that could not be measured are left out.
    pub(crate) fn figure(&mut self, name: &str, unit: &'static str, rounds: Vec<f64>) -> Figure {
        let figure = Figure { name: name.to_owned(), unit, rounds };
        if figure.rounds.is_empty() {
            println!("  {name:<52} not measured here");
            return figure;
        }
        let (low, high) =
            figure.rounds.iter().fold((f64::MAX, f64::MIN), |(low, high), it| (low.min(*it), high.max(*it)));
        let range = match figure.rounds.len() {
            1 => String::new(),
            _ => format!("  ({} to {})", number(low), number(high)),
        };
        println!("  {name:<52} {:>10} {unit}{range}", number(figure.median()));
        self.figures.push(figure.clone());
        figure
    }

    pub(crate) fn aim(&mut self, aim: Aim) {
        self.aims.push(aim);
    }

    pub(crate) fn print_aims(&self) {
        self.headline("aims");
        for aim in &self.aims {
            let verdict = if aim.is_reached() { "reached" } else { "MISSED" };
            let bound = match aim.bound {
                Bound::AtLeast(bound) => format!(">= {}", number(bound)),
                Bound::AtMost(bound) => format!("<= {}", number(bound)),
            };
            println!("  {:<52} {:>10}  aim {bound:<9} {verdict}", aim.name, number(aim.figure));
        }
    }

    pub(crate) fn to_json(&self) -> Result<String> {
        let machine: serde_json::Map<String, Value> =
            self.machine.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let figures: Vec<Value> = self
            .figures
            .iter()
            .map(|it| json!({"name": it.name, "unit": it.unit, "median": it.median(), "rounds": it.rounds}))
            .collect();
        let aims: Vec<Value> = self.aims.iter().map(Aim::to_json).collect();
        let all = json!({"machine": machine, "figures": figures, "aims": aims});
        Ok(serde_json::to_string_pretty(&all)? + "\n")
    }
}

impl Aim {
    fn to_json(&self) -> Value {
        let (bound, value) = match self.bound {
            Bound::AtLeast(value) => ("at_least", value),
            Bound::AtMost(value) => ("at_most", value),
        };
        json!({"name": self.name, "figure": self.figure, bound: value, "reached": self.is_reached()})
    }
}

/// Three significant digits are more than a busy machine gives.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1_000.0 => {
            let digits = format!("{value:.0}");
            let mut text = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at) % 3 == 0 && !text.ends_with('-') {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
