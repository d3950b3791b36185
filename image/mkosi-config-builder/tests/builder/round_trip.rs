//! Whatever can be built and printed says the same when it is read back.

use std::str::FromStr;

use mkosi_config_builder::mkosi::*;
use mkosi_config_builder::repart::{self, FileSystem, Label, Partition, PartitionType};
use mkosi_config_builder::sysupdate::{
    Instances, MatchPattern, Source, SourceType, Target, TargetType, Transfer,
};
use mkosi_config_builder::{
    BuildPath, ImagePath, Item, Name, Section, Size, Text, Uuid, Word, apt,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::image;

/// Sections, each with its settings in order, each with its values.
type Read = Vec<(String, Vec<(String, Vec<String>)>)>;

/// Reads as mkosi and systemd do, and shares no code with the crate: `#` begins a comment, indented lines go on.
fn read(text: &str) -> Read {
    let mut sections: Read = Vec::new();
    for raw in text.split('\n') {
        let line = raw.split('#').next().unwrap();
        if line.trim().is_empty() {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            let settings = &mut sections.last_mut().unwrap().1;
            settings.last_mut().unwrap().1.push(line.trim().to_owned());
        } else if let Some(title) = line.strip_prefix('[') {
            let title = title.strip_suffix(']').unwrap();
            sections.push((title.to_owned(), Vec::new()));
        } else {
            let (key, value) = line.split_once('=').unwrap();
            let settings = &mut sections.last_mut().unwrap().1;
            match settings.last_mut() {
                Some((last, values)) if last == key => values.push(value.to_owned()),
                _ => settings.push((key.to_owned(), vec![value.to_owned()])),
            }
        }
    }
    for (_, settings) in &mut sections {
        for (_, values) in settings {
            values.retain(|it| !it.is_empty());
        }
    }
    sections
}

fn said(sections: &[Section]) -> Read {
    let spoken = sections.iter().filter(|it| !it.entries.is_empty());
    spoken
        .map(|it| {
            let entries = it.entries.iter();
            (
                it.title.to_owned(),
                entries
                    .map(|(key, values)| ((*key).to_owned(), values.clone()))
                    .collect(),
            )
        })
        .collect()
}

/// Any text at all that the type takes.
fn any_of<T: FromStr + std::fmt::Debug + Clone + 'static>(
    shapes: &'static str,
) -> BoxedStrategy<T> {
    prop_oneof![shapes, "\\PC{1,20}"]
        .prop_filter_map("not a value of the type", |text| text.parse().ok())
        .boxed()
}

fn text() -> BoxedStrategy<Text> {
    any_of("[ -~]{1,30}")
}

fn item() -> BoxedStrategy<Item> {
    any_of("[!-~]{1,30}")
}

fn word() -> BoxedStrategy<Word> {
    any_of("[!-~]{1,30}")
}

fn path() -> BoxedStrategy<BuildPath> {
    any_of("[ -~]{1,30}")
}

fn image_path() -> BoxedStrategy<ImagePath> {
    any_of("/[!-~]{1,30}")
}

fn choice<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> BoxedStrategy<T> {
    proptest::sample::select(all).boxed()
}

prop_compose! {
    fn config()(
        comment in option::of(text()),
        profiles in vec((any::<bool>(), any::<bool>(), any_of::<Name>("[a-z0-9.]{1,9}")), 0..3),
        includes in vec(path(), 0..3),
        distribution in option::of(choice(Distribution::ALL)),
        mirror in option::of(text()),
        artifacts in vec(choice(Artifact::ALL), 0..3),
        seed in option::of(any::<[u8; 16]>()),
        packages in vec(item(), 0..4),
        words in vec(word(), 0..4),
        removed in vec(image_path(), 0..3),
        epoch in option::of(any::<u64>()),
        bootable in option::of(choice(Feature::ALL)),
        docs in option::of(any::<bool>()),
        mode in option::of(0_u16..=0o1777),
        ram in option::of(1_u64..u64::MAX),
    ) -> Config {
        let mut config = Config { comment, ..Config::default() };
        let conditions = profiles.into_iter();
        config.r#match.profiles = conditions
            .map(|(alternative, negated, value)| Condition { alternative, negated, value })
            .collect();
        config.include.include = includes;
        config.distribution.distribution = distribution;
        config.distribution.mirror = mirror;
        config.output.split_artifacts = artifacts;
        config.output.seed = seed.map(Uuid::from_bytes);
        config.output.output_mode = mode.map(|it| Mode::new(it).unwrap());
        config.content.packages = packages;
        config.content.kernel_command_line = words;
        config.content.remove_files = removed;
        config.content.source_date_epoch = epoch;
        config.content.bootable = bootable;
        config.content.with_docs = docs;
        config.runtime.ram = ram.map(Size::bytes);
        config
    }
}

prop_compose! {
    fn partition()(
        kind in choice(&[PartitionType::Esp, PartitionType::USR, PartitionType::USR_VERITY_SIGNATURE]),
        label in option::of(any_of::<Label>("[ -~]{1,36}")),
        sizes in (option::of(any::<u64>()), option::of(any::<u64>())),
        format in option::of(choice(FileSystem::ALL)),
        sources in vec((image_path(), option::of(image_path())), 0..3),
        folders in vec(image_path(), 0..3),
        flags in option::of(any::<u64>()),
        priority in option::of(any::<i32>()),
        split in option::of(any_of("[!-~]{1,12}")),
    ) -> Partition {
        let files = sources.into_iter();
        Partition {
            label,
            size_min: sizes.0.map(Size::bytes),
            size_max: sizes.1.map(Size::bytes),
            format,
            copy_files: files.map(|(source, target)| repart::CopyFiles { source, target }).collect(),
            make_directories: folders,
            flags: flags.map(repart::Flags),
            priority,
            split_name: split,
            ..Partition::new(kind)
        }
    }
}

prop_compose! {
    fn transfer()(
        path in text(),
        patterns in vec(any_of::<MatchPattern>("[a-z_.%]{0,8}@v[a-z_.]{1,8}@[udl]"), 1..4),
        versions in vec(word(), 0..3),
        instances in 2_u32..,
        tries in option::of(any::<u32>()),
    ) -> Transfer {
        let source = Source::new(SourceType::UrlFile, path.clone(), patterns[0].clone());
        let target = Target {
            match_pattern: patterns.clone(),
            tries_left: tries,
            ..Target::new(TargetType::RegularFile, path, patterns[0].clone(), Instances::new(instances).unwrap())
        };
        let mut transfer = Transfer::new(source, target);
        transfer.transfer.protect_version = versions;
        transfer
    }
}

proptest! {
    #[test]
    fn a_configuration_of_mkosi_reads_back_the_same(config in config()) {
        let printed = config.to_string();
        prop_assert_eq!(read(&printed), said(&config.sections()));
        let again = Config { comment: config.comment.clone(), ..printed.parse::<Config>().unwrap() };
        prop_assert_eq!(again, config);
    }

    #[test]
    fn a_partition_reads_back_the_same(partition in partition(), comment in text()) {
        let printed = partition.with_comment(&comment);
        prop_assert_eq!(read(&printed), said(&[partition.section()]));
    }

    #[test]
    fn a_transfer_reads_back_the_same(transfer in transfer()) {
        prop_assert_eq!(read(&transfer.to_string()), said(&transfer.sections()));
    }

    #[test]
    fn apt_sources_read_back_the_same(suites in vec(word(), 1..3), components in vec(any_of::<Name>("[a-z]{1,9}"), 0..3)) {
        let source = apt::Source { uris: vec!["https://mirror.invalid".parse().unwrap()], suites, components, ..apt::Source::default() };
        let printed = apt::Sources { comment: None, stanzas: vec![source.clone()] }.to_string();
        let fields: Vec<(&str, String)> = printed
            .lines()
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        prop_assert_eq!(fields, source.fields());
    }

    #[test]
    fn a_size_reads_back_the_same(bytes: u64) {
        prop_assert_eq!(Size::bytes(bytes).to_string().parse::<Size>().unwrap().as_bytes(), bytes);
    }

    #[test]
    fn reading_any_text_never_panics(text in "\\PC*", lines in vec("[\\[\\]a-zA-Z=# \\n]{0,20}", 0..6)) {
        let _ = text.parse::<Config>();
        let _ = lines.join("\n").parse::<Config>();
        let _ = text.parse::<Uuid>();
        let _ = text.parse::<Size>();
        let _ = text.parse::<PartitionType>();
        let _ = text.parse::<MatchPattern>();
        let _ = text.parse::<repart::Stem>();
    }
}

#[test]
fn the_products_configuration_reads_back_the_same() {
    let config = image::config();
    let mut again: Config = config.to_string().parse().unwrap();
    again.comment.clone_from(&config.comment);
    assert_eq!(again, config);
}
