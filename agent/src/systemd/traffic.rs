//! What systemd counts of a slice's traffic. The kernel counts none for a cgroup; systemd has it do so.

use zbus::proxy::CacheProperties;
use zbus_systemd::systemd1::SliceProxy;

use super::{Systemd, SystemdError};

/// What systemd says where nothing is counted.
const NOT_COUNTED: u64 = u64::MAX;

impl Systemd {
    /// Returns how many bytes the programs in a slice received and sent since it was made; nothing where none are counted.
    pub async fn traffic(&self, slice: &str) -> Result<Option<(u64, u64)>, SystemdError> {
        let path = format!("/org/freedesktop/systemd1/unit/{}", escaped(slice));
        let ask = async {
            let slice = SliceProxy::builder(&self.connection)
                .path(path)
                .cache_properties(CacheProperties::No)
                .build()
                .await?;
            let received = slice.ip_ingress_bytes().await?;
            zbus::Result::Ok((received, slice.ip_egress_bytes().await?))
        };
        let (received, sent) = ask.await.map_err(SystemdError::Reach)?;
        Ok((received != NOT_COUNTED && sent != NOT_COUNTED).then_some((received, sent)))
    }
}

/// Returns the name of a unit as a part of an object's path.
fn escaped(unit: &str) -> String {
    let bytes = unit.bytes();
    bytes
        .map(|byte| match byte {
            b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            b => format!("_{b:02x}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_asked_under_its_path() {
        assert_eq!(escaped("slappart17.slice"), "slappart17_2eslice");
    }
}
