//! `cargo qa bench [PART…]`: the product's figures, each with its goal and how much of the goal it takes.
//! Prints; what is measured and how is in the modules below.

mod boots;
mod chaos;
mod image;
mod master;
mod mesh;
mod native;
mod node;
mod storm;

use std::io::Write as _;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::Serialize;

use crate::evidence;
use crate::host::Host;
use crate::lab::Lab;
use crate::product::Product;
use crate::story::{act, detail};
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
    /// How much it may be, or must be; nothing where it is only watched.
    pub goal: Option<f64>,
    #[serde(skip)]
    bound: &'static str,
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
            bound: "≤",
            ok: value <= goal,
        }
    }

    /// A figure that must be at least `goal`.
    pub fn at_least(goal: f64, name: &str, value: f64, unit: &'static str) -> Self {
        Self {
            bound: "≥",
            ok: value >= goal,
            ..Self::at_most(goal, name, value, unit)
        }
    }

    /// A figure that has no goal.
    pub fn watched(name: &str, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit,
            goal: None,
            bound: "",
            ok: true,
        }
    }

    fn row(&self) -> String {
        let goal = self
            .goal
            .map_or_else(String::new, |goal| format!("{} {goal}", self.bound));
        let ratio = self
            .goal
            .filter(|&goal| goal > 0.0)
            .map_or_else(String::new, |goal| format!("{:.2}", self.value / goal));
        let verdict = if self.ok { "" } else { "NOT REACHED" };
        let row = format!(
            "{:54} {:>9.2} {:5} {:>7} {:>7}  {verdict}",
            self.name, self.value, self.unit, goal, ratio
        );
        row.trim_end().to_owned()
    }
}

/// Figures, of which each is told when it is there: the whole takes long.
#[derive(Debug, Default)]
struct Told(Vec<Figure>);

impl Told {
    fn extend(&mut self, figures: impl IntoIterator<Item = Figure>) {
        for figure in figures {
            detail(figure.row());
            self.0.push(figure);
        }
    }
}

/// What can be measured apart from the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Part {
    /// What the image weighs.
    Image,
    /// 200 partitions on this machine, as root.
    Native,
    /// A master and a node in machines.
    Boots,
    /// The master beside the original slapproxy, and under load.
    Master,
    /// A node with 200 instances, and the original's node beside it.
    Node,
    /// A service in a machine while 199 others are changed.
    Storm,
    /// Overlays of 3 to 10 nodes: the original's, and ours.
    Mesh,
    /// Our overlay alone, only where it is named: who works on it need not wait for the original's.
    MeshAlone,
    /// Half an hour in which everything happens to our overlay that may, only where it is named.
    Chaos,
}

/// Measures the named parts, or all, and prints the figures.
pub async fn bench(parts: &[Part], json: bool) -> Result<()> {
    let is_meant = |part| parts.is_empty() || parts.contains(&part);
    let host = Host::prepare().await?;
    if !matches!(
        parts,
        [Part::Master | Part::Mesh | Part::MeshAlone | Part::Chaos]
    ) {
        up::build(&host).await?;
    }
    let mut figures = Vec::new();
    if is_meant(Part::Image) {
        act("what the image weighs");
        figures.extend(image::measure(&Product::find()?)?);
    }
    if is_meant(Part::Native) {
        act("200 partitions on this machine");
        figures.extend(native::measure().await?);
    }
    if is_meant(Part::Boots) {
        act("a master and a node in machines");
        figures.extend(boots::measure(Product::find()?).await?);
    }
    if is_meant(Part::Master) {
        act("the master beside slapproxy, and under load");
        figures.extend(master::measure(&host).await?);
    }
    if is_meant(Part::Node) {
        act("a node with 200 instances");
        figures.extend(node::measure(&host).await?);
    }
    if is_meant(Part::Storm) {
        act("a storm in a machine");
        figures.extend(storm::measure(Product::find()?).await?);
    }
    if is_meant(Part::Mesh) {
        act("the original's overlay, and ours");
        figures.extend(mesh::measure(&host, mesh::Whose::Both).await?);
    } else if parts.contains(&Part::MeshAlone) {
        act("our overlay");
        figures.extend(mesh::measure(&host, mesh::Whose::Ours).await?);
    }
    if parts.contains(&Part::Chaos) {
        act("half an hour of chaos");
        figures.extend(chaos::measure(&host).await?);
    }
    print(&figures, json)
}

/// Measures in a lab of its own, which goes when that went well.
async fn in_a_lab(
    name: &str,
    product: Product,
    play: impl AsyncFnOnce(&mut Lab) -> Result<Vec<Figure>>,
) -> Result<Vec<Figure>> {
    let mut lab = Lab::open(name, product)?;
    match play(&mut lab).await {
        Ok(figures) => {
            lab.clear()?;
            Ok(figures)
        }
        Err(error) => {
            evidence::show(lab.folder(), &format!("{error:#}"));
            Err(error)
        }
    }
}

fn print(figures: &[Figure], json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if !json {
        let heading = format!(
            "{:54} {:>9} {:5} {:>7} {:>7}",
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
    fn a_figure_below_its_goal_is_named_where_more_is_better() {
        let figure = Figure::at_least(100.0, "times as many", 90.0, "");
        assert!(figure.row().ends_with("≥ 100    0.90  NOT REACHED"));
        assert!(Figure::at_least(100.0, "times as many", 100.0, "").ok);
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
