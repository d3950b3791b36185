//! `cargo qa bench`: the product's figures, each with its goal and how much of the goal it takes.
//! Prints; what is measured and how is in the modules below.

mod boots;
mod image;
mod native;

use std::io::Write as _;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::host::Host;
use crate::product::Product;
use crate::story::act;
use crate::up;

/// One measured figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// How much it was.
    pub value: f64,
    /// In what.
    pub unit: &'static str,
    /// How much it may be; nothing where it is only watched.
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

    /// A figure that has no goal.
    pub fn watched(name: &str, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit,
            goal: None,
            ok: true,
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
        let row = format!(
            "{:48} {:>9.2} {:5} {:>7} {:>7}  {verdict}",
            self.name, self.value, self.unit, goal, ratio
        );
        row.trim_end().to_owned()
    }
}

/// Measures everything and prints it.
pub async fn bench(json: bool) -> Result<()> {
    let host = Host::prepare().await?;
    up::build(&host).await?;
    let product = Product::find()?;
    let mut figures = image::measure(&product)?;
    act("the image is measured; next is what it does on this machine and in machines");
    figures.extend(native::measure().await?);
    figures.extend(boots::measure(product).await?);
    print(&figures, json)
}

fn print(figures: &[Figure], json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if !json {
        let heading = format!(
            "{:48} {:>9} {:5} {:>7} {:>7}",
            "figure", "value", "unit", "goal", "ratio"
        );
        writeln!(out, "{}", heading.trim_end()).context("cannot write the figures")?;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_above_its_goal_is_named() {
        let figure = Figure::at_most(16.0, "agent's memory", 20.0, "MB");
        assert!(
            figure.row().ends_with("≤ 16    1.25  NOT REACHED"),
            "{}",
            figure.row()
        );
    }

    #[test]
    fn the_json_of_a_figure_is_one_object() {
        let json = serde_json::to_string(&Figure::at_most(2.0, "a", 1.5, "s")).unwrap();
        assert_eq!(
            json,
            r#"{"name":"a","value":1.5,"unit":"s","goal":2.0,"ok":true}"#
        );
        let json = serde_json::to_string(&Figure::watched("b", 3.0, "")).unwrap();
        assert_eq!(
            json,
            r#"{"name":"b","value":3.0,"unit":"","goal":null,"ok":true}"#
        );
    }
}
