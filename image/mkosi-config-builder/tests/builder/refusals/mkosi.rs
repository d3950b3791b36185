//! Configurations of mkosi that cannot be meant.

use mkosi_config_builder::mkosi::Config;

use super::refused;
use crate::image;

/// Lays text over nothing and checks it.
fn no(text: &str, words: &[&str]) {
    let config: Config = text.parse().unwrap();
    refused(config.validate(), words);
}

#[test]
fn a_boot_that_cannot_be_is_refused() {
    no(
        "[Content]\nUnifiedKernelImages=enabled\n",
        &["UnifiedKernelImages=enabled", "needs Bootable=enabled"],
    );
    no(
        "[Content]\nUnifiedKernelImages=enabled\nBootable=disabled\n",
        &["needs Bootable=enabled"],
    );
    no(
        "[Content]\nBootloader=uki\n",
        &["Bootloader=uki", "Bootable=enabled"],
    );
    no(
        "[Content]\nBootable=enabled\nBootloader=uki\nUnifiedKernelImages=disabled\n",
        &["no UKI to start"],
    );
    no(
        "[Content]\nBootable=enabled\n[Output]\nFormat=sysext\n",
        &["Bootable=enabled and Format=", "never booted"],
    );
    no(
        "[Output]\nFormat=uki\n[Distribution]\nArchitecture=s390x\n",
        &["Architecture=", "no UEFI"],
    );
}

#[test]
fn an_output_that_cannot_be_is_refused() {
    no(
        "[Output]\nFormat=tar\nSplitArtifacts=partitions\n",
        &["SplitArtifacts=partitions and Format="],
    );
    no(
        "[Output]\nFormat=cpio\nRepartDirectories=a\n",
        &["RepartDirectories= and Format="],
    );
    no(
        "[Output]\nSplitArtifacts=uki\n[Content]\nBootable=disabled\n",
        &["SplitArtifacts=uki", "drop the artifact"],
    );
    no(
        "[Output]\nCompressOutput=none\nCompressLevel=3\n",
        &["CompressLevel= and CompressOutput=none"],
    );
    no(
        "[Output]\nCompressOutput=zstd\nCompressLevel=23\n",
        &["CompressLevel=23", "up to 22"],
    );
    no(
        "[Output]\nCompressOutput=gz\nCompressLevel=10\n",
        &["CompressLevel=10", "up to 9"],
    );
    no("[Output]\nOverlay=yes\n", &["Overlay=yes needs BaseTrees="]);
    no(
        "[Output]\nOutput=a/b\n",
        &["Output=a/b", "OutputDirectory="],
    );
}

#[test]
fn contents_that_cannot_be_are_refused() {
    no(
        "[Content]\nPackages=ssh\nRemovePackages=ssh\n",
        &["Packages=ssh and RemovePackages=ssh"],
    );
    no(
        "[Content]\nKernelModulesInitrd=no\nKernelModulesInitrdInclude=xfs\n",
        &["KernelModulesInitrdInclude="],
    );
    no(
        "[Content]\nRootShell=/bin/sh\n",
        &["RootShell= needs RootPassword="],
    );
    no("[Build]\nEnvironment=HOME\n", &["`HOME`", "NAME=value"]);
    no(
        "[Content]\nHostname=box-%z\n",
        &["Hostname=box-%z", "`%z`", "%%"],
    );
    "[Output]\nOutput=%i_%v\n[Content]\nHostname=100%%\n"
        .parse::<Config>()
        .unwrap()
        .validate()
        .unwrap();
}

#[test]
fn keys_and_tools_must_be_whole() {
    no(
        "[Validation]\nSecureBoot=yes\n",
        &["SecureBoot=yes needs SecureBootKey="],
    );
    no(
        "[Validation]\nSecureBoot=yes\nSecureBootKey=k\n",
        &["SecureBootCertificate="],
    );
    no(
        "[Validation]\nVerity=enabled\nVerityCertificate=c\n",
        &["Verity=enabled needs VerityKey="],
    );
    no(
        "[Validation]\nSignExpectedPcr=enabled\n",
        &["SignExpectedPcrKey="],
    );
    no(
        "[Validation]\nSign=yes\nChecksum=no\n",
        &["Sign=yes needs Checksum=yes"],
    );
    no(
        "[Build]\nToolsTreeRelease=trixie\n",
        &["ToolsTreeRelease=", "ToolsTree=default"],
    );
    no(
        "[Build]\nIncremental=yes\n",
        &["Incremental= needs CacheDirectory="],
    );
    no("[Build]\nProxyClientKey=k\n", &["ProxyClientCertificate="]);
}

#[test]
fn text_laid_over_is_checked_name_by_name() {
    let over = |text: &str| image::config().lay_over(text);
    refused(
        over("[Content]\nBootble=yes\n"),
        &["line 2", "did you mean `Bootable`?"],
    );
    refused(
        over("[Contents]\nBootable=yes\n"),
        &["line 2", "did you mean [Content]?"],
    );
    refused(
        over("[Output]\n\nPackages=ssh\n"),
        &["line 3", "belongs in [Content]"],
    );
    refused(
        over("[Output]\nFormat=dsik\n"),
        &["`Format=` on line 2", "did you mean `disk`"],
    );
    refused(over("Format=disk\n"), &["line 1", "before any [Section]"]);
    refused(over("[Output]\nnonsense\n"), &["line 2", "nonsense"]);
    refused(
        over("[Output]\nSeed=1\n"),
        &["`Seed=` on line 2", "32 hexadecimal digits"],
    );
}

#[test]
fn text_laid_over_replaces_values_grows_lists_and_resets() {
    let mut config = image::config();
    let before = config.content.packages.len();
    config
        .lay_over("[Content]\nPackages=\n    nano # for people\n    strace,gdb\nLocale=\n[Output]\nImageId=other\n")
        .unwrap();
    assert_eq!(config.content.packages.len(), before + 3);
    assert_eq!(config.content.locale, None);
    assert_eq!(config.output.image_id.as_ref().unwrap().as_str(), "other");
    config
        .lay_over("[Content]\nPackages=\nPackages=nano\n")
        .unwrap();
    assert_eq!(config.content.packages.len(), 1);
}

#[test]
fn text_that_is_refused_changes_nothing() {
    let mut config = image::config();
    config
        .lay_over("[Output]\nImageId=other\nSeed=1\n")
        .unwrap_err();
    assert_eq!(config, image::config());
}
