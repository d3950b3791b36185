//! What 200 partitions cost on this machine itself, without a machine around them.

use anyhow::Result;

use crate::figures::Figure;
use crate::host::is_root;
use crate::namespace::Namespace;
use crate::partitions::Partitions;
use crate::product;
use crate::story::detail;

pub(super) async fn measure() -> Result<Vec<Figure>> {
    if !is_root() {
        detail("200 partitions are not measured natively: that needs root");
        return Ok(Vec::new());
    }
    let namespace = Namespace::make(&product::target()?.join("qa/bench-native")).await?;
    let partitions = Partitions::of(&namespace, 200)?;
    let first = partitions.lay_out()?;
    let again = partitions.lay_out()?;
    Ok(vec![
        Figure::at_most(
            2.0,
            "200 partitions natively, first time",
            first.seconds,
            "s",
        ),
        Figure::at_most(
            1.0,
            "200 partitions natively, nothing to change",
            again.seconds,
            "s",
        ),
    ])
}
