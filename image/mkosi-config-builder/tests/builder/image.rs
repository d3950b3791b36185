//! An image as the product has it: UKI, erofs `/usr` with verity, slots A and B, root at first boot.

use mkosi_config_builder::mkosi::*;
use mkosi_config_builder::repart::{
    self, FileSystem, Label, Layout, Partition, PartitionType, Verity,
};
use mkosi_config_builder::sysupdate::{
    Anchor, Instances, Source, SourceType, Target, TargetType, Transfer,
};
use mkosi_config_builder::{Size, Tree, TreePath, apt, list};

pub(crate) fn tree() -> Tree {
    let mut tree = Tree::default();
    let config = config();
    config.validate().unwrap();
    tree.add("mkosi.conf", config).unwrap();

    let disk = disk();
    disk.validate().unwrap();
    tree.merge(disk.tree("mkosi.repart").unwrap()).unwrap();

    for (name, transfer) in transfers() {
        transfer.validate().unwrap();
        transfer.validate_on(&disk).unwrap();
        tree.add(&format!("mkosi.sysupdate/{name}.transfer"), transfer)
            .unwrap();
    }

    let sources = sources();
    sources.validate().unwrap();
    tree.add(
        "mkosi.sandbox/etc/apt/sources.list.d/mkosi.sources",
        sources,
    )
    .unwrap();
    tree
}

pub(crate) fn config() -> Config {
    let mut config = Config {
        comment: Some("the image as a whole".parse().unwrap()),
        ..Config::default()
    };
    config.config.minimum_version = Some("25.3".parse().unwrap());
    config.distribution = DistributionSection {
        distribution: Some(Distribution::Debian),
        release: Some("trixie".parse().unwrap()),
        architecture: Some(Architecture::X86_64),
        repositories: list(["main", "non-free-firmware"]).unwrap(),
        ..DistributionSection::default()
    };
    config.output = OutputSection {
        format: Some(Format::Disk),
        manifest_format: vec![ManifestFormat::Json],
        output: Some("box".parse().unwrap()),
        image_id: Some("box".parse().unwrap()),
        image_version: Some("1".parse().unwrap()),
        split_artifacts: vec![Artifact::Uki, Artifact::Partitions],
        seed: Some("01234567-89ab-cdef-0123-456789abcdef".parse().unwrap()),
        ..OutputSection::default()
    };
    config.content = ContentSection {
        packages: list([
            "linux-image-cloud-amd64",
            "systemd",
            "systemd-boot-efi",
            "udev",
        ])
        .unwrap(),
        with_docs: Some(false),
        clean_package_metadata: Some(Feature::Enabled),
        source_date_epoch: Some(1_700_000_000),
        remove_files: list(["/etc/machine-id", "/var/cache/*"]).unwrap(),
        bootable: Some(Feature::Enabled),
        bootloader: Some(Bootloader::SystemdBoot),
        unified_kernel_images: Some(Feature::Enabled),
        kernel_command_line: list(["console=tty0", "console=ttyS0,115200"]).unwrap(),
        locale: Some("C.UTF-8".parse().unwrap()),
        ..ContentSection::default()
    };
    config.build = BuildSection {
        tools_tree: Some(ToolsTree::Default),
        tools_tree_distribution: Some(Distribution::Debian),
        tools_tree_release: Some("trixie".parse().unwrap()),
        tools_tree_sandbox_trees: list::<TreePath>(["mkosi.sandbox"]).unwrap(),
        incremental: Some(Incremental::Yes),
        cache_directory: Some("cache".parse().unwrap()),
        with_network: Some(false),
        ..BuildSection::default()
    };
    config
}

pub(crate) fn disk() -> Layout {
    let esp = Partition {
        format: Some(FileSystem::Vfat),
        copy_files: list(["/efi:/", "/boot:/"]).unwrap(),
        ..Partition::new(PartitionType::Esp).sized(Size::gib(1))
    };
    let (hash, usr) = slot_a();
    let (hash_b, usr_b) = (
        empty(PartitionType::USR_VERITY, Size::mib(64)),
        empty(PartitionType::USR, Size::mib(1536)),
    );
    let mut layout = Layout::default();
    for (number, name, comment, partition) in [
        (
            10,
            "esp",
            "boot loader and kernels; the build writes it, then updates",
            esp,
        ),
        (
            20,
            "usr-verity-a",
            "hashes of slot A; the build writes it, then updates",
            hash,
        ),
        (
            21,
            "usr-a",
            "/usr of slot A; the build writes it, then updates",
            usr,
        ),
        (
            30,
            "usr-verity-b",
            "hashes of slot B; updates write it",
            hash_b,
        ),
        (31, "usr-b", "/usr of slot B; updates write it", usr_b),
    ] {
        layout.place(number, name, comment, partition).unwrap();
    }
    layout
}

pub(crate) fn slot_a() -> (Partition, Partition) {
    let hash = Partition {
        label: Some("box_1_verity".parse().unwrap()),
        verity: Some(Verity::Hash),
        verity_match_key: Some("usr".parse().unwrap()),
        ..Partition::new(PartitionType::USR_VERITY).sized(Size::mib(64))
    };
    let usr = Partition {
        label: Some("box_1".parse().unwrap()),
        format: Some(FileSystem::Erofs),
        copy_files: list(["/usr:/"]).unwrap(),
        compression: Some(repart::Compression::Zstd),
        verity: Some(Verity::Data),
        verity_match_key: Some("usr".parse().unwrap()),
        split_name: Some("usr".parse().unwrap()),
        ..Partition::new(PartitionType::USR).sized(Size::mib(1536))
    };
    (hash, usr)
}

fn empty(kind: PartitionType, size: Size) -> Partition {
    Partition {
        label: Some(Label::empty()),
        uuid: Some(repart::PartitionUuid::Null),
        read_only: Some(true),
        ..Partition::new(kind).sized(size)
    }
}

pub(crate) fn transfers() -> Vec<(&'static str, Transfer)> {
    let url = || "https://updates.invalid/box".parse().unwrap();
    let from = |pattern: &str| Source::new(SourceType::UrlFile, url(), pattern.parse().unwrap());
    let slot = |kind, pattern: &str| Target {
        match_partition_type: Some(kind),
        read_only: Some(true),
        ..Target::new(
            TargetType::Partition,
            "auto".parse().unwrap(),
            pattern.parse().unwrap(),
            Instances::TWO,
        )
    };
    let kernel = Target {
        path_relative_to: Some(Anchor::Boot),
        match_pattern: list(["box_@v+@l-@d.efi", "box_@v+@l.efi", "box_@v.efi"]).unwrap(),
        mode: Some(Mode::new(0o444).unwrap()),
        tries_left: Some(3),
        tries_done: Some(0),
        ..Target::new(
            TargetType::RegularFile,
            "/EFI/Linux".parse().unwrap(),
            "box_@v.efi".parse().unwrap(),
            Instances::TWO,
        )
    };
    vec![
        (
            "10-usr-verity",
            Transfer::new(
                from("box_@v_@u.usr-verity.raw.zst"),
                slot(PartitionType::USR_VERITY, "box_@v_verity"),
            ),
        ),
        (
            "11-usr",
            Transfer::new(
                from("box_@v_@u.usr.raw.zst"),
                slot(PartitionType::USR, "box_@v"),
            ),
        ),
        ("20-kernel", Transfer::new(from("box_@v.efi.zst"), kernel)),
    ]
}

pub(crate) fn sources() -> apt::Sources {
    let source = apt::Source {
        uris: list(["http://mirror.invalid/debian"]).unwrap(),
        suites: list(["trixie", "trixie-updates"]).unwrap(),
        components: list(["main"]).unwrap(),
        signed_by: Some(
            "/usr/share/keyrings/debian-archive-keyring.gpg"
                .parse()
                .unwrap(),
        ),
        ..apt::Source::default()
    };
    apt::Sources {
        comment: None,
        stanzas: vec![source],
    }
}

/// Every closed set of mkosi with a setting that takes it.
pub(crate) fn choices() -> Vec<(&'static str, &'static str, Vec<String>)> {
    fn words<T: ToString>(all: &[T]) -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    }
    vec![
        ("Distribution", "Distribution", words(Distribution::ALL)),
        ("Distribution", "Architecture", words(Architecture::ALL)),
        ("Output", "Format", words(Format::ALL)),
        ("Output", "ManifestFormat", words(ManifestFormat::ALL)),
        ("Output", "CompressOutput", words(Compression::ALL)),
        ("Output", "SplitArtifacts", words(Artifact::ALL)),
        ("Output", "SectorSize", words(SectorSize::ALL)),
        ("Content", "Bootable", words(Feature::ALL)),
        ("Content", "Bootloader", words(Bootloader::ALL)),
        ("Content", "BiosBootloader", words(BiosBootloader::ALL)),
        ("Content", "ShimBootloader", words(ShimBootloader::ALL)),
        (
            "Validation",
            "SecureBootSignTool",
            words(SecureBootSignTool::ALL),
        ),
        ("Build", "Incremental", words(Incremental::ALL)),
        ("Build", "CacheOnly", words(CacheOnly::ALL)),
        (
            "Build",
            "BuildSourcesEphemeral",
            words(BuildSourcesEphemeral::ALL),
        ),
        ("Runtime", "RuntimeNetwork", words(RuntimeNetwork::ALL)),
        (
            "Runtime",
            "VirtualMachineMonitor",
            words(VirtualMachineMonitor::ALL),
        ),
        ("Runtime", "Firmware", words(Firmware::ALL)),
        ("Runtime", "Console", words(Console::ALL)),
    ]
}

/// Every kind of partition, those with a processor for each way to name it.
pub(crate) fn partition_types() -> Vec<PartitionType> {
    use PartitionType::*;
    let cpus = [
        repart::Cpu::Native,
        repart::Cpu::Secondary,
        repart::Cpu::Of(Architecture::Arm64),
    ];
    let with_cpu: [fn(repart::Cpu) -> PartitionType; 6] = [
        Root,
        RootVerity,
        RootVeritySignature,
        Usr,
        UsrVerity,
        UsrVeritySignature,
    ];
    let all = with_cpu.into_iter().flat_map(|kind| cpus.map(kind));
    [Esp, Xbootldr, Swap, Home, Srv, Var, Tmp, LinuxGeneric]
        .into_iter()
        .chain(all)
        .collect()
}
