//! `cargo qa bench`: the product's figures, each with its goal and how far it is from it.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// One measured figure.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// How much it was.
    pub value: f64,
    /// In what.
    pub unit: &'static str,
    /// How much it may be.
    pub goal: Option<f64>,
    /// Whether the goal was reached.
    pub ok: bool,
}

impl Figure {
    /// A figure that may be at most `goal`.
    pub fn at_most(goal: f64, name: &str, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit,
            goal: Some(goal),
            ok: value <= goal,
        }
    }

    fn row(&self) -> String {
        let goal = self
            .goal
            .map_or_else(String::new, |goal| format!("≤ {goal}"));
        let ratio = self
            .goal
            .map_or_else(String::new, |goal| format!("{:.2}", self.value / goal));
        let verdict = if self.ok { "" } else { "NOT REACHED" };
        format!(
            "{:44} {:>10.2} {:5} {:>8} {:>6}  {verdict}",
            self.name, self.value, self.unit, goal, ratio
        )
    }
}

/// Measures everything and prints it.
#[expect(clippy::unused_async, reason = "the machines' figures are awaited")]
pub async fn bench(json: bool) -> Result<()> {
    let figures: Vec<Figure> = Vec::new();
    print(&figures, json)
}

fn print(figures: &[Figure], json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for figure in figures {
        let line = if json {
            serde_json::to_string(figure).context("a figure is always JSON")?
        } else {
            figure.row()
        };
        writeln!(out, "{line}").context("cannot write the figures")?;
    }
    Ok(())
}
