//! The master beside the original slapproxy on this machine, with the same content, in rounds so that noise hits both alike;
//! then the master alone with two thousand nodes. The bench shares the processors with what it measures.

mod comparison;
mod content;
mod crowd;
mod enrolment;
mod servers;

use anyhow::Result;

use crate::figures::Figure;
use crate::files::empty_folder;
use crate::host::Host;
use crate::load::raise_open_files;
use crate::product;
use servers::Program;

pub(super) async fn measure(host: &Host) -> Result<Vec<Figure>> {
    raise_open_files()?;
    let folder = product::target()?.join("qa/bench-master");
    empty_folder(&folder)?;
    let program = Program::build(host).await?;
    let mut figures = comparison::measure(host, &program, &folder).await?;
    figures.extend(crowd::measure(&program, &folder).await?);
    empty_folder(&folder)?;
    Ok(figures)
}
