//! Settings of a transfer that cannot all be meant. Pure.

use super::{Anchor, Error, MatchPattern, TargetType, Transfer};
use crate::specifier::{SYSTEMD, unknown};

impl Transfer {
    /// Refuses settings that contradict each other or lack one they need.
    pub fn validate(&self) -> Result<(), Error> {
        self.check_mandatory()?;
        self.check_paths()?;
        self.check_partition()?;
        self.check_file()?;
        self.check_specifiers()
    }

    fn check_mandatory(&self) -> Result<(), Error> {
        let patterns = "name what belongs to the resource, with @v for its version";
        if self.source.match_pattern.is_empty() {
            return Err(Error::Missing {
                setting: "MatchPattern= of [Source]",
                remedy: patterns,
            });
        }
        if self.target.match_pattern.is_empty() {
            return Err(Error::Missing {
                setting: "MatchPattern= of [Target]",
                remedy: patterns,
            });
        }
        if self.target.instances_max.is_none() {
            return Err(Error::Missing {
                setting: "InstancesMax=",
                remedy: "set 2 or more: one version runs while the other is written",
            });
        }
        let (source, target) = (self.source.r#type, self.target.r#type);
        if !source.fits(target) {
            return contradiction(
                &format!("Type={source} of [Source] and Type={target} of [Target]"),
                "files fill files and partitions, archives and folders fill folders",
                "choose another of the two",
            );
        }
        Ok(())
    }

    fn check_paths(&self) -> Result<(), Error> {
        let source = self.source.path.as_str();
        let web = source.starts_with("https://") || source.starts_with("http://");
        if self.source.r#type.is_url() != web || (!web && !source.starts_with('/')) {
            return unusable(
                format!("Path={source} of [Source] with Type={}", self.source.r#type),
                "a url-… type takes an http or https URL, others an absolute path",
            );
        }
        let target = self.target.path.as_str();
        let auto = self.target.r#type == TargetType::Partition && target == "auto";
        if !auto && !target.starts_with('/') {
            return unusable(
                format!("Path={target} of [Target]"),
                "give an absolute path, or `auto` for a partition",
            );
        }
        let target_anchor = self.target.path_relative_to;
        let boot = matches!(
            target_anchor,
            Some(Anchor::Esp | Anchor::Xbootldr | Anchor::Boot)
        );
        if boot
            && !matches!(
                self.target.r#type,
                TargetType::RegularFile | TargetType::Directory
            )
        {
            return contradiction(
                &format!("PathRelativeTo= and Type={}", self.target.r#type),
                "only files and folders lie in a boot partition",
                "drop PathRelativeTo=",
            );
        }
        if target_anchor == Some(Anchor::Explicit) {
            return unusable(
                "PathRelativeTo=explicit of [Target]".to_owned(),
                "only a source may be relative to --transfer-source=",
            );
        }
        Ok(())
    }

    fn check_partition(&self) -> Result<(), Error> {
        let target = &self.target;
        if target.r#type == TargetType::Partition {
            if target.match_partition_type.is_none() {
                return Err(Error::Missing {
                    setting: "MatchPartitionType=",
                    remedy: "without it any linux-generic partition would be overwritten",
                });
            }
            let long = |it: &MatchPattern| it.as_str().encode_utf16().count() > 36;
            if target.match_pattern.iter().any(long) {
                return unusable(
                    "MatchPattern= of [Target]".to_owned(),
                    "a partition's label has at most 36 characters",
                );
            }
            if target.mode.is_some() {
                return contradiction(
                    "Type=partition and Mode=",
                    "a partition has no access mode",
                    "drop Mode=",
                );
            }
            let link = target.current_symlink.as_ref();
            if link.is_some_and(|it| !it.as_str().starts_with('/')) {
                return unusable(
                    "CurrentSymlink= of a partition".to_owned(),
                    "give an absolute path",
                );
            }
            return Ok(());
        }
        let only_partitions = target.match_partition_type.is_some()
            || target.partition_uuid.is_some()
            || target.partition_flags.is_some()
            || target.partition_no_auto.is_some()
            || target.partition_grow_file_system.is_some();
        if only_partitions {
            return contradiction(
                &format!(
                    "Type={} and MatchPartitionType= or Partition…=",
                    target.r#type
                ),
                "they are for partitions",
                "drop them, or use Type=partition",
            );
        }
        Ok(())
    }

    fn check_file(&self) -> Result<(), Error> {
        let target = &self.target;
        let tries = target.tries_done.is_some() || target.tries_left.is_some();
        let named = target
            .match_pattern
            .first()
            .is_some_and(|it| it.has('d') || it.has('l'));
        if tries && !named {
            return contradiction(
                "TriesLeft= or TriesDone= and MatchPattern= of [Target]",
                "the name has no place for the count",
                "put +@l-@d into the first pattern, or drop the counts",
            );
        }
        if target.mode.is_some() && target.r#type != TargetType::RegularFile {
            return contradiction(
                "Mode= and Type=",
                "only regular files get a mode",
                "drop Mode=",
            );
        }
        if self.transfer.verify == Some(false) && self.source.path.as_str().starts_with("http://") {
            return contradiction(
                "Verify=no and Path=http://… of [Source]",
                "anybody on the way could replace the system",
                "verify, or use https",
            );
        }
        Ok(())
    }

    fn check_specifiers(&self) -> Result<(), Error> {
        for section in self.sections() {
            for (key, value) in section.all() {
                if unknown(value, SYSTEMD).is_some() {
                    return unusable(
                        format!("{key}={value}"),
                        "systemd-sysupdate does not know its specifier; write `%%` for a percent sign",
                    );
                }
            }
        }
        Ok(())
    }
}

fn contradiction(these: &str, reason: &'static str, remedy: &'static str) -> Result<(), Error> {
    Err(Error::Contradiction {
        these: these.to_owned(),
        reason,
        remedy,
    })
}

fn unusable(setting: String, remedy: &'static str) -> Result<(), Error> {
    Err(Error::Unusable { setting, remedy })
}
