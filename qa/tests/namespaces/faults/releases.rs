//! Releases that cannot be had, or must not be. (That hostile archives do no harm is tested where they are unpacked.)

use anyhow::{Context as _, Result};
use slap::SupplyState;
use slapbox_qa::archive::Image;
use slapbox_qa::shelf::Shelf;

use super::stage::{Scene, Stage, play};

const FAULTS: [(&str, &str); 3] = [
    ("missing", "failed to fetch it: its server answers 404"),
    ("spoilt", "has another digest: sha256:"),
    (
        "leaving",
        "has a path that leaves the image: `../../etc/planted`",
    ),
];

#[tokio::test]
async fn releases_that_cannot_be_had_are_reported_and_come_when_they_can() -> Result<()> {
    let scene = Scene {
        name: "faults-releases",
        disk: None,
        builds: false,
    };
    play(scene, async |stage| {
        put(stage, "spoilt", Image::of(&stage.product.demo)?.spoilt()?)?;
        let leaving = Image::of(&stage.product.demo)?.with_layer(leaving()?)?;
        put(stage, "leaving", leaving)?;
        for (name, _) in FAULTS {
            stage
                .master
                .supply(&url(name), SupplyState::Available)
                .await?;
        }
        for (name, words) in FAULTS {
            stage.hears_of_release(&url(name), words).await?;
            stage.says(&url(name), words).await?;
        }
        stage.shell("! ls /etc/planted /srv/etc/planted /srv/slapgrid/etc 2>/dev/null")?;
        for (name, _) in FAULTS {
            put(stage, name, Image::of(&stage.product.demo)?)?;
        }
        for (name, _) in FAULTS {
            stage.hears_of_release(&url(name), "available").await?;
        }
        stage.is_as_wanted().await
    })
    .await
}

fn url(name: &str) -> String {
    Shelf::address(&format!("{name}.oci.tar"))
}

fn put(stage: &Stage<'_>, name: &str, image: Image) -> Result<()> {
    image.write(&stage.things.join(format!("{name}.oci.tar")))
}

/// A layer with a file outside the image, and a device. The library would not write such a name by itself.
fn leaving() -> Result<Vec<u8>> {
    let mut layer = tar::Builder::new(Vec::new());
    let mut device = tar::Header::new_ustar();
    device.set_entry_type(tar::EntryType::Block);
    device.set_size(0);
    device.set_mode(0o666);
    layer.append_data(&mut device, "dev/sda", std::io::empty())?;
    let mut outside = tar::Header::new_ustar();
    let name = b"../../etc/planted";
    outside.as_old_mut().name[..name.len()].copy_from_slice(name);
    outside.set_size(0);
    outside.set_mode(0o644);
    outside.set_cksum();
    layer.append(&outside, std::io::empty())?;
    layer.into_inner().context("cannot pack a layer")
}
