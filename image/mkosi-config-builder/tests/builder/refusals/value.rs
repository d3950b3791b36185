//! Values that cannot be built.

use std::str::FromStr;

use mkosi_config_builder::mkosi::{Distribution, Format, Mode};
use mkosi_config_builder::repart::{Label, PartitionType, Stem};
use mkosi_config_builder::sysupdate::{Instances, MatchPattern};
use mkosi_config_builder::{
    BuildPath, FileKind, ImagePath, Item, Name, Setting, Size, Text, Tree, Uuid, ValueError, Word,
    apt, list,
};

use super::refused;

fn no<T: FromStr<Err = ValueError>>(text: &str, word: &str) {
    refused(text.parse::<T>().map(|_| ()), &[word]);
}

#[test]
fn a_value_of_two_lines_cannot_smuggle_a_setting_in() {
    for line in [
        "a\nBootable=no",
        "a\r[Output]",
        "a\u{85}b",
        "a\u{2028}b",
        "a\0b",
        "a\u{b}b",
    ] {
        no::<Text>(line, "a value is one line");
        no::<Word>(line, "a value is one line");
        no::<Item>(line, "a value is one line");
        no::<BuildPath>(line, "a value is one line");
        no::<ImagePath>(line, "a value is one line");
        no::<Label>(line, "a value is one line");
        no::<MatchPattern>(line, "a value is one line");
        no::<apt::Mirror>(line, "a value is one line");
        no::<Name>(line, "a value is one line");
    }
}

#[test]
fn a_value_cannot_hold_the_readers_syntax() {
    no::<Text>("", "leave the setting out");
    no::<Text>("box # 1", "comment");
    no::<Text>(" box", "ends");
    no::<Text>("box\\", "joins the next line");
    no::<Word>("quiet splash", "separates words");
    no::<Word>("a=\"b\"", "unquote");
    no::<Item>("systemd,udev", "each its own");
    no::<Name>("../box", "use letters");
    no::<Name>("-box", "begin it");
}

#[test]
fn a_path_stays_where_it_should() {
    no::<ImagePath>("usr", "absolute");
    no::<ImagePath>("/usr/../etc", "leave the image");
    no::<ImagePath>("/a:/b", "separates paths");
    no::<BuildPath>("$HOME/x", "variable");
    no::<BuildPath>("~/x", "home");
    no::<BuildPath>("a,b", "separates paths");
    let mut tree = Tree::default();
    for path in ["", "/etc/x", "../x", "a/../b", "a//b", "a/", "./a", "a\nb"] {
        refused(tree.add(path, ""), &["no relative path"]);
    }
    tree.add("mkosi.conf", "").unwrap();
    refused(tree.add("mkosi.conf", ""), &["rendered twice"]);
    refused(tree.add("mkosi.conf/x", ""), &["is a file"]);
}

#[test]
fn a_number_must_be_one_that_the_reader_takes() {
    for text in [
        "",
        "M",
        "1.5G",
        "-1",
        "1 G",
        "1KB",
        "99999999999999999999",
        "18446744073709551615K",
    ] {
        no::<Size>(text, "whole");
    }
    assert_eq!("1024K".parse::<Size>().unwrap().to_string(), "1M");
    for text in [
        "",
        "random",
        "01234567-89ab-cdef-0123-456789abcde",
        "0123456789abcdef0123456789abcdeg",
        "-".repeat(36).as_str(),
    ] {
        no::<Uuid>(text, "32 hexadecimal digits");
    }
    no::<Instances>("1", "at least 2");
    refused(Instances::new(0).map(|_| ()), &["at least 2"]);
    no::<Mode>("2000", "the most is 1777");
    no::<Mode>("rw", "octal");
    no::<Stem>("1-esp", "two digits");
    refused(Stem::new(100, "esp").map(|_| ()), &["two digits"]);
    no::<Label>(&"a".repeat(37), "36 characters");
}

#[test]
fn a_word_outside_of_the_set_is_refused_with_the_nearest() {
    no::<Distribution>("debain", "did you mean `debian`");
    no::<Format>("iso", "one of confext, cpio");
    no::<PartitionType>("user", "did you mean `usr`");
    no::<PartitionType>("usr-x86_64", "a UUID");
}

#[test]
fn a_pattern_tells_its_parts_apart() {
    no::<MatchPattern>("box.raw", "@v");
    no::<MatchPattern>("box_@v_@v", "once");
    no::<MatchPattern>("box_@v@u", "between two wildcards");
    no::<MatchPattern>("box_@v_@x", "after @");
    no::<MatchPattern>("box_@v@", "after @");
    no::<MatchPattern>("../box_@v", "below it");
}

#[test]
fn a_mirror_is_a_url_without_a_password() {
    no::<apt::Mirror>("mirror.invalid/debian", "http://");
    let error = "https://me:secret@mirror.invalid/"
        .parse::<apt::Mirror>()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("auth.conf.d") && !error.contains("secret"),
        "{error}"
    );
}

#[test]
fn sources_of_apt_must_be_whole_and_checked() {
    let whole = apt::Source {
        uris: list(["http://mirror.invalid"]).unwrap(),
        suites: list(["trixie"]).unwrap(),
        components: list(["main"]).unwrap(),
        ..apt::Source::default()
    };
    whole.validate().unwrap();
    refused(apt::Sources::default().validate(), &["empty"]);
    refused(
        apt::Source {
            uris: vec![],
            ..whole.clone()
        }
        .validate(),
        &["URIs:"],
    );
    refused(
        apt::Source {
            suites: vec![],
            ..whole.clone()
        }
        .validate(),
        &["Suites:"],
    );
    refused(
        apt::Source {
            components: vec![],
            ..whole.clone()
        }
        .validate(),
        &["Components:", "main"],
    );
    refused(
        apt::Source {
            suites: list(["./"]).unwrap(),
            ..whole.clone()
        }
        .validate(),
        &["./", "flat"],
    );
    let keyring = Some("/key.gpg".parse().unwrap());
    refused(
        apt::Source {
            trusted: true,
            signed_by: keyring,
            ..whole
        }
        .validate(),
        &["Signed-By:", "Trusted:"],
    );
}

#[test]
fn a_name_that_is_no_setting_is_refused_with_what_was_meant() {
    let unknown = |name: &str| name.parse::<Setting>().unwrap_err().to_string();
    assert_eq!(
        unknown("Bootble"),
        "mkosi.conf has no setting `Bootble`, did you mean `Bootable`?"
    );
    assert_eq!(
        unknown("packages"),
        "mkosi.conf has no setting `packages`, did you mean `Packages`?"
    );
    assert_eq!(unknown("QemuSmp"), "mkosi.conf has no setting `QemuSmp`");
    let misplaced = Setting::find(FileKind::Mkosi, "Output", "Packages")
        .unwrap_err()
        .to_string();
    assert_eq!(
        misplaced,
        "`Packages` stands in [Output] of mkosi.conf, but belongs in [Content]"
    );
    let section = Setting::find(FileKind::Sysupdate, "Targt", "Type")
        .unwrap_err()
        .to_string();
    assert_eq!(
        section,
        "sysupdate.d has no section [Targt], did you mean [Target]?"
    );
    let repart = Setting::named(FileKind::Repart, "SizeMinByte")
        .unwrap_err()
        .to_string();
    assert_eq!(
        repart,
        "repart.d has no setting `SizeMinByte`, did you mean `SizeMinBytes`?"
    );
}
