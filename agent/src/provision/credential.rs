//! Documents that the machine's firmware or its hypervisor hands over: credentials, fw_cfg, the kernel command line.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::disk;
use crate::places::Places;

const NAME: &str = "slapbox.configuration";

/// The credential, from the unit's own folder or from the system's, where systemd puts those of SMBIOS and fw_cfg.
pub(super) fn systemd(places: &Places) -> anyhow::Result<Option<Vec<u8>>> {
    if let Some(own) = &places.credentials
        && let Some(document) = disk::read(&own.join(NAME))?
    {
        return Ok(Some(document));
    }
    Ok(disk::read(
        &places.at("run/credentials/@system").join(NAME),
    )?)
}

/// The plain file of fw_cfg.
pub(super) fn fw_cfg(places: &Places) -> anyhow::Result<Option<Vec<u8>>> {
    let file = "sys/firmware/qemu_fw_cfg/by_name/opt/slapbox/configuration/raw";
    Ok(disk::read(&places.at(file))?)
}

/// The kernel command line.
pub(super) fn command_line(places: &Places) -> anyhow::Result<Option<Vec<u8>>> {
    let line = disk::read_text(&places.at("proc/cmdline"))?.unwrap_or_default();
    let Some(coded) = argument(&line) else {
        return Ok(None);
    };
    tracing::warn!("the configuration is on the kernel command line, which every program can read");
    let document = URL_SAFE_NO_PAD.decode(coded.trim_end_matches('='));
    document
        .map(Some)
        .context("what follows slapbox.configuration= is not base64url")
}

fn argument(line: &str) -> Option<&str> {
    line.split_ascii_whitespace()
        .find_map(|word| word.strip_prefix(NAME)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_is_found_among_others() {
        let line = "root=/dev/vda slapbox.configuration=cm9sZQ quiet";
        assert_eq!(argument(line), Some("cm9sZQ"));
        assert_eq!(argument("slapbox.configurations=cm9sZQ"), None);
    }
}
