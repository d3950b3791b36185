//! Settings of `mkosi.conf` for the image that cannot all be meant. Pure.

use super::{Artifact, Bootloader, Compression, Config, Error, Feature, Format};

impl Config {
    /// Refuses settings that contradict each other or lack one they need.
    ///
    /// Looks at this file alone, so a file of `mkosi.conf.d/` that leans on another one is better checked laid over it.
    pub fn validate(&self) -> Result<(), Error> {
        self.check_boot()?;
        self.check_output()?;
        self.check_form()?;
        self.check_content()?;
        self.check_keys()?;
        self.check_build()?;
        self.check_specifiers()
    }

    fn check_boot(&self) -> Result<(), Error> {
        let content = &self.content;
        let bootable = content.bootable == Some(Feature::Enabled);
        let uki_loader = matches!(
            content.bootloader,
            Some(Bootloader::Uki | Bootloader::UkiSigned)
        );
        if content.unified_kernel_images == Some(Feature::Enabled) && !bootable {
            return missing(
                "UnifiedKernelImages=enabled",
                "Bootable=enabled",
                "set it, or leave the UKI out",
            );
        }
        if uki_loader && !bootable {
            return missing(
                "Bootloader=uki",
                "Bootable=enabled",
                "set it, or choose another boot loader",
            );
        }
        if uki_loader && content.unified_kernel_images == Some(Feature::Disabled) {
            return contradiction(
                "Bootloader=uki and UnifiedKernelImages=disabled",
                "the firmware would have no UKI to start",
                "enable UKIs or choose Bootloader=systemd-boot",
            );
        }
        let uki_asked = content.unified_kernel_images == Some(Feature::Enabled)
            || self.output.format == Some(Format::Uki)
            || uki_loader;
        if uki_asked
            && self
                .distribution
                .architecture
                .is_some_and(|it| !it.has_uefi())
        {
            return contradiction(
                "UnifiedKernelImages=enabled and Architecture=",
                "machines of that architecture have no UEFI to start a UKI",
                "disable UKIs or choose another architecture",
            );
        }
        let bare = matches!(
            self.output.format,
            Some(Format::Sysext | Format::Confext | Format::Portable | Format::Addon)
        );
        if bootable && bare {
            return contradiction(
                "Bootable=enabled and Format=",
                "an extension or portable image is never booted",
                "use Format=disk, or drop Bootable=",
            );
        }
        Ok(())
    }

    fn check_output(&self) -> Result<(), Error> {
        let output = &self.output;
        let disk = matches!(output.format, None | Some(Format::Disk | Format::Esp));
        let extension = matches!(
            output.format,
            Some(Format::Sysext | Format::Confext | Format::Portable)
        );
        if !output.repart_directories.is_empty() && !disk && !extension {
            return contradiction(
                "RepartDirectories= and Format=",
                "the format has no partitions",
                "use Format=disk, or drop RepartDirectories=",
            );
        }
        if output.split_artifacts.contains(&Artifact::Partitions) && !disk && !extension {
            return contradiction(
                "SplitArtifacts=partitions and Format=",
                "the format has no partitions",
                "use Format=disk, or drop the artifact",
            );
        }
        if output.split_artifacts.contains(&Artifact::Uki)
            && (self.content.unified_kernel_images == Some(Feature::Disabled)
                || self.content.bootable == Some(Feature::Disabled))
        {
            return contradiction(
                "SplitArtifacts=uki and UnifiedKernelImages=disabled or Bootable=disabled",
                "there is no UKI to put beside the image",
                "enable UKIs, or drop the artifact",
            );
        }
        Ok(())
    }

    fn check_form(&self) -> Result<(), Error> {
        let output = &self.output;
        if output.compress_level.is_some() && output.compress_output == Some(Compression::None) {
            return contradiction(
                "CompressLevel= and CompressOutput=none",
                "nothing is compressed",
                "drop CompressLevel=, or choose a compression",
            );
        }
        let most = if output.compress_output == Some(Compression::Zstd) {
            22
        } else {
            9
        };
        if output.compress_output.is_some()
            && output.compress_level.is_some_and(|level| level > most)
        {
            return Err(Error::Range {
                setting: format!(
                    "CompressLevel={}",
                    output.compress_level.unwrap_or_default()
                ),
                remedy: "zstd takes up to 22, others up to 9",
            });
        }
        if output.overlay == Some(true) && self.content.base_trees.is_empty() {
            return missing(
                "Overlay=yes",
                "BaseTrees=",
                "name the tree that the overlay is taken over",
            );
        }
        let name = output.output.as_ref().map_or("", |it| it.as_str());
        if name.contains('/') {
            return Err(Error::Range {
                setting: format!("Output={name}"),
                remedy: "give a file name; the folder goes to OutputDirectory=",
            });
        }
        Ok(())
    }

    fn check_content(&self) -> Result<(), Error> {
        let content = &self.content;
        if let Some(package) = content
            .packages
            .iter()
            .find(|it| content.remove_packages.contains(it))
        {
            return contradiction(
                &format!("Packages={package} and RemovePackages={package}"),
                "the package would be installed and removed",
                "keep one of the two",
            );
        }
        if content.kernel_modules_initrd == Some(false)
            && !content.kernel_modules_initrd_include.is_empty()
        {
            return contradiction(
                "KernelModulesInitrd=no and KernelModulesInitrdInclude=",
                "no initrd of modules is made",
                "drop one of the two",
            );
        }
        if content.root_shell.is_some()
            && content.root_password.is_none()
            && content.autologin != Some(true)
        {
            return missing(
                "RootShell=",
                "RootPassword= or Autologin=yes",
                "set one, or drop RootShell=: nobody could log in as root",
            );
        }
        for word in self
            .build
            .environment
            .iter()
            .chain(&self.runtime.credentials)
        {
            if !word.as_str().contains('=') {
                return Err(Error::Range {
                    setting: format!("`{word}` of Environment= or Credentials="),
                    remedy: "write NAME=value: a bare name is taken from the builder's environment",
                });
            }
        }
        Ok(())
    }
}

pub(super) fn missing(
    setting: &str,
    missing: &'static str,
    remedy: &'static str,
) -> Result<(), Error> {
    Err(Error::Missing {
        setting: setting.to_owned(),
        missing,
        remedy,
    })
}

pub(super) fn contradiction(
    these: &str,
    reason: &'static str,
    remedy: &'static str,
) -> Result<(), Error> {
    Err(Error::Contradiction {
        these: these.to_owned(),
        reason,
        remedy,
    })
}
