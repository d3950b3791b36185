//! Settings of `mkosi.conf` for keys, tools and the build that cannot all be meant. Pure.

use super::validate::missing;
use super::{Config, Error, Feature, Incremental, ToolsTree};
use crate::specifier::{MKOSI, unknown};

impl Config {
    pub(super) fn check_keys(&self) -> Result<(), Error> {
        let it = &self.validation;
        let pairs = [
            (
                it.secure_boot == Some(true),
                "SecureBoot=yes",
                it.secure_boot_key.is_some(),
                "SecureBootKey=",
            ),
            (
                it.secure_boot == Some(true),
                "SecureBoot=yes",
                it.secure_boot_certificate.is_some(),
                "SecureBootCertificate=",
            ),
            (
                it.verity == Some(Feature::Enabled),
                "Verity=enabled",
                it.verity_key.is_some(),
                "VerityKey=",
            ),
            (
                it.verity == Some(Feature::Enabled),
                "Verity=enabled",
                it.verity_certificate.is_some(),
                "VerityCertificate=",
            ),
            (
                it.sign_expected_pcr == Some(Feature::Enabled),
                "SignExpectedPcr=enabled",
                it.sign_expected_pcr_key.is_some(),
                "SignExpectedPcrKey=",
            ),
            (
                it.sign_expected_pcr == Some(Feature::Enabled),
                "SignExpectedPcr=enabled",
                it.sign_expected_pcr_certificate.is_some(),
                "SignExpectedPcrCertificate=",
            ),
            (
                it.sign == Some(true),
                "Sign=yes",
                it.checksum != Some(false),
                "Checksum=yes",
            ),
        ];
        for (wanted, setting, there, what) in pairs {
            if wanted && !there {
                return missing(setting, what, "set it, or switch the signature off");
            }
        }
        Ok(())
    }

    pub(super) fn check_build(&self) -> Result<(), Error> {
        let build = &self.build;
        let shaped = build.tools_tree_distribution.is_some()
            || build.tools_tree_release.is_some()
            || build.tools_tree_mirror.is_some()
            || !build.tools_tree_packages.is_empty()
            || !build.tools_tree_sandbox_trees.is_empty();
        if shaped && build.tools_tree != Some(ToolsTree::Default) {
            return missing(
                "ToolsTreeDistribution=, ToolsTreeRelease= and the like",
                "ToolsTree=default",
                "set it: only a tree that mkosi builds itself has a shape",
            );
        }
        if build.proxy_client_key.is_some() && build.proxy_client_certificate.is_none() {
            return missing(
                "ProxyClientKey=",
                "ProxyClientCertificate=",
                "set it, or drop the key",
            );
        }
        let incremental = matches!(
            build.incremental,
            Some(Incremental::Yes | Incremental::Strict)
        );
        if incremental && build.cache_directory.is_none() {
            return missing(
                "Incremental=",
                "CacheDirectory=",
                "name the folder that holds the last build",
            );
        }
        Ok(())
    }

    pub(super) fn check_specifiers(&self) -> Result<(), Error> {
        for section in self.sections() {
            for (key, value) in section.all() {
                if let Some(specifier) = unknown(value, MKOSI) {
                    return Err(Error::Specifier {
                        setting: format!("{key}={value}"),
                        specifier: specifier.to_owned(),
                    });
                }
            }
        }
        Ok(())
    }
}
