//! The sections of `mkosi.conf` that shape the image, with every setting mkosi 25.3 has in them.

use super::choice::*;
use super::value::{Condition, Mode, ToolsTree};
use crate::path::{BuildPath, ImagePath, TreePath};
use crate::section::section;
use crate::{Item, Name, Text, Uuid, Word};

section! {
    /// When this file counts; every condition must hold.
    #[derive(Default)]
    pub struct MatchSection ["Match"] {
        profiles: Vec<Condition<Name>> = "Profiles",
        distribution: Vec<Condition<Distribution>> = "Distribution",
        release: Vec<Condition<Text>> = "Release",
        architecture: Vec<Condition<Architecture>> = "Architecture",
        repositories: Vec<Condition<Item>> = "Repositories",
        format: Vec<Condition<Format>> = "Format",
        image_id: Vec<Condition<Text>> = "ImageId",
        image_version: Vec<Condition<Text>> = "ImageVersion",
        bootable: Vec<Condition<Feature>> = "Bootable",
        tools_tree_distribution: Vec<Condition<Distribution>> = "ToolsTreeDistribution",
        tools_tree_release: Vec<Condition<Text>> = "ToolsTreeRelease",
        build_sources: Vec<Condition<BuildPath>> = "BuildSources",
        environment: Vec<Condition<Text>> = "Environment",
        path_exists: Vec<Condition<BuildPath>> = "PathExists",
        systemd_version: Vec<Condition<Text>> = "SystemdVersion",
        host_architecture: Vec<Condition<Architecture>> = "HostArchitecture",
    }
}

section! {
    /// Other files to read as if they stood here.
    #[derive(Default)]
    pub struct IncludeSection ["Include"] {
        include: Vec<BuildPath> = "Include",
    }
}

section! {
    /// How the configuration itself is read.
    #[derive(Default)]
    pub struct ConfigSection ["Config"] {
        profiles: Vec<Name> = "Profiles",
        dependencies: Vec<Name> = "Dependencies",
        minimum_version: Option<Text> = "MinimumVersion",
        configure_scripts: Vec<BuildPath> = "ConfigureScripts",
        pass_environment: Vec<Word> = "PassEnvironment",
    }
}

section! {
    /// Where packages come from.
    #[derive(Default)]
    pub struct DistributionSection ["Distribution"] {
        distribution: Option<Distribution> = "Distribution",
        release: Option<Text> = "Release",
        architecture: Option<Architecture> = "Architecture",
        mirror: Option<Text> = "Mirror",
        local_mirror: Option<Text> = "LocalMirror",
        repository_key_check: Option<bool> = "RepositoryKeyCheck",
        repository_key_fetch: Option<bool> = "RepositoryKeyFetch",
        repositories: Vec<Item> = "Repositories",
    }
}

section! {
    /// What comes out, and where.
    #[derive(Default)]
    pub struct OutputSection ["Output"] {
        format: Option<Format> = "Format",
        manifest_format: Vec<ManifestFormat> = "ManifestFormat",
        output: Option<Text> = "Output",
        compress_output: Option<Compression> = "CompressOutput",
        compress_level: Option<u32> = "CompressLevel",
        output_directory: Option<BuildPath> = "OutputDirectory",
        output_mode: Option<Mode> = "OutputMode",
        image_version: Option<Text> = "ImageVersion",
        image_id: Option<Name> = "ImageId",
        split_artifacts: Vec<Artifact> = "SplitArtifacts",
        repart_directories: Vec<BuildPath> = "RepartDirectories",
        sector_size: Option<SectorSize> = "SectorSize",
        overlay: Option<bool> = "Overlay",
        seed: Option<Uuid> = "Seed",
        clean_scripts: Vec<BuildPath> = "CleanScripts",
    }
}

section! {
    /// What goes into the image.
    #[derive(Default)]
    pub struct ContentSection ["Content"] {
        packages: Vec<Item> = "Packages",
        build_packages: Vec<Item> = "BuildPackages",
        volatile_packages: Vec<Item> = "VolatilePackages",
        package_directories: Vec<BuildPath> = "PackageDirectories",
        volatile_package_directories: Vec<BuildPath> = "VolatilePackageDirectories",
        with_recommends: Option<bool> = "WithRecommends",
        with_docs: Option<bool> = "WithDocs",
        base_trees: Vec<BuildPath> = "BaseTrees",
        skeleton_trees: Vec<TreePath> = "SkeletonTrees",
        extra_trees: Vec<TreePath> = "ExtraTrees",
        remove_packages: Vec<Item> = "RemovePackages",
        /// Globs, absolute in the image.
        remove_files: Vec<ImagePath> = "RemoveFiles",
        clean_package_metadata: Option<Feature> = "CleanPackageMetadata",
        /// Seconds since 1970 that every file's time is clamped to.
        source_date_epoch: Option<u64> = "SourceDateEpoch",
        sync_scripts: Vec<BuildPath> = "SyncScripts",
        prepare_scripts: Vec<BuildPath> = "PrepareScripts",
        build_scripts: Vec<BuildPath> = "BuildScripts",
        post_installation_scripts: Vec<BuildPath> = "PostInstallationScripts",
        finalize_scripts: Vec<BuildPath> = "FinalizeScripts",
        post_output_scripts: Vec<BuildPath> = "PostOutputScripts",
        bootable: Option<Feature> = "Bootable",
        bootloader: Option<Bootloader> = "Bootloader",
        bios_bootloader: Option<BiosBootloader> = "BiosBootloader",
        shim_bootloader: Option<ShimBootloader> = "ShimBootloader",
        unified_kernel_images: Option<Feature> = "UnifiedKernelImages",
        unified_kernel_image_format: Option<Text> = "UnifiedKernelImageFormat",
        unified_kernel_image_profiles: Vec<BuildPath> = "UnifiedKernelImageProfiles",
        initrds: Vec<BuildPath> = "Initrds",
        microcode_host: Option<bool> = "MicrocodeHost",
        initrd_packages: Vec<Item> = "InitrdPackages",
        initrd_volatile_packages: Vec<Item> = "InitrdVolatilePackages",
        devicetree: Option<Text> = "Devicetree",
        kernel_command_line: Vec<Word> = "KernelCommandLine",
        kernel_modules_include: Vec<Item> = "KernelModulesInclude",
        kernel_modules_include_host: Option<bool> = "KernelModulesIncludeHost",
        kernel_modules_exclude: Vec<Item> = "KernelModulesExclude",
        kernel_modules_initrd: Option<bool> = "KernelModulesInitrd",
        kernel_modules_initrd_include: Vec<Item> = "KernelModulesInitrdInclude",
        kernel_modules_initrd_include_host: Option<bool> = "KernelModulesInitrdIncludeHost",
        kernel_modules_initrd_exclude: Vec<Item> = "KernelModulesInitrdExclude",
        locale: Option<Text> = "Locale",
        locale_messages: Option<Text> = "LocaleMessages",
        keymap: Option<Text> = "Keymap",
        timezone: Option<Text> = "Timezone",
        hostname: Option<Text> = "Hostname",
        root_password: Option<Text> = "RootPassword",
        root_shell: Option<Text> = "RootShell",
        machine_id: Option<Uuid> = "MachineId",
        autologin: Option<bool> = "Autologin",
        make_initrd: Option<bool> = "MakeInitrd",
        ssh: Option<bool> = "Ssh",
        selinux_relabel: Option<Feature> = "SELinuxRelabel",
    }
}

section! {
    /// Keys, signatures and checksums.
    #[derive(Default)]
    pub struct ValidationSection ["Validation"] {
        secure_boot: Option<bool> = "SecureBoot",
        secure_boot_auto_enroll: Option<bool> = "SecureBootAutoEnroll",
        secure_boot_key: Option<Text> = "SecureBootKey",
        secure_boot_key_source: Option<Text> = "SecureBootKeySource",
        secure_boot_certificate: Option<Text> = "SecureBootCertificate",
        secure_boot_certificate_source: Option<Text> = "SecureBootCertificateSource",
        secure_boot_sign_tool: Option<SecureBootSignTool> = "SecureBootSignTool",
        verity: Option<Feature> = "Verity",
        verity_key: Option<Text> = "VerityKey",
        verity_key_source: Option<Text> = "VerityKeySource",
        verity_certificate: Option<Text> = "VerityCertificate",
        verity_certificate_source: Option<Text> = "VerityCertificateSource",
        sign_expected_pcr: Option<Feature> = "SignExpectedPcr",
        sign_expected_pcr_key: Option<Text> = "SignExpectedPcrKey",
        sign_expected_pcr_key_source: Option<Text> = "SignExpectedPcrKeySource",
        sign_expected_pcr_certificate: Option<Text> = "SignExpectedPcrCertificate",
        sign_expected_pcr_certificate_source: Option<Text> = "SignExpectedPcrCertificateSource",
        passphrase: Option<BuildPath> = "Passphrase",
        checksum: Option<bool> = "Checksum",
        sign: Option<bool> = "Sign",
        key: Option<Text> = "Key",
        openpgp_tool: Option<Text> = "OpenPGPTool",
    }
}

section! {
    /// How the build itself runs.
    #[derive(Default)]
    pub struct BuildSection ["Build"] {
        tools_tree: Option<ToolsTree> = "ToolsTree",
        tools_tree_distribution: Option<Distribution> = "ToolsTreeDistribution",
        tools_tree_release: Option<Text> = "ToolsTreeRelease",
        tools_tree_mirror: Option<Text> = "ToolsTreeMirror",
        tools_tree_repositories: Vec<Item> = "ToolsTreeRepositories",
        tools_tree_sandbox_trees: Vec<TreePath> = "ToolsTreeSandboxTrees",
        tools_tree_packages: Vec<Item> = "ToolsTreePackages",
        tools_tree_package_directories: Vec<BuildPath> = "ToolsTreePackageDirectories",
        tools_tree_certificates: Option<bool> = "ToolsTreeCertificates",
        extra_search_paths: Vec<BuildPath> = "ExtraSearchPaths",
        incremental: Option<Incremental> = "Incremental",
        cache_only: Option<CacheOnly> = "CacheOnly",
        sandbox_trees: Vec<TreePath> = "SandboxTrees",
        workspace_directory: Option<BuildPath> = "WorkspaceDirectory",
        cache_directory: Option<BuildPath> = "CacheDirectory",
        package_cache_directory: Option<BuildPath> = "PackageCacheDirectory",
        build_directory: Option<BuildPath> = "BuildDirectory",
        use_subvolumes: Option<Feature> = "UseSubvolumes",
        repart_offline: Option<bool> = "RepartOffline",
        history: Option<bool> = "History",
        build_sources: Vec<TreePath> = "BuildSources",
        build_sources_ephemeral: Option<BuildSourcesEphemeral> = "BuildSourcesEphemeral",
        /// `NAME=value` each.
        environment: Vec<Word> = "Environment",
        environment_files: Vec<BuildPath> = "EnvironmentFiles",
        with_tests: Option<bool> = "WithTests",
        with_network: Option<bool> = "WithNetwork",
        proxy_url: Option<Text> = "ProxyUrl",
        proxy_exclude: Vec<Item> = "ProxyExclude",
        proxy_peer_certificate: Option<BuildPath> = "ProxyPeerCertificate",
        proxy_client_certificate: Option<BuildPath> = "ProxyClientCertificate",
        proxy_client_key: Option<BuildPath> = "ProxyClientKey",
    }
}
