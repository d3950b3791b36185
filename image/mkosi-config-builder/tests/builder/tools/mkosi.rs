//! mkosi knows every name that we know, in the section we put it, and reads our values.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use mkosi_config_builder::FileKind;

use super::{Said, run, skip, written};
use crate::image;

const LIST: &str = "
import mkosi.config as c
for s in c.SETTINGS:
    print(s.section, s.name)
    if s.match:
        print('Match', s.name)
for m in c.MATCHES:
    print('Match', m.name)
";

/// Returns the folder to put before Python's own: mkosi is a Python package.
fn package() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    env::var_os("MKOSI_PYTHONPATH").map_or_else(
        || target.join("image/tools/mkosi/usr/lib/python3/dist-packages"),
        PathBuf::from,
    )
}

/// Runs Python with mkosi 25 in reach, or says why not.
fn python(arguments: &[&str]) -> Option<Said> {
    let python = |arguments: &[&str]| {
        run(Command::new("python3")
            .args(arguments)
            .env("PYTHONPATH", package())
            .env("PYTHONDONTWRITEBYTECODE", "1"))
    };
    let version = python(&["-m", "mkosi", "--version"]).filter(|it| it.success);
    match version {
        Some(version) if version.out.trim().starts_with("mkosi 25.3") => python(arguments),
        Some(version) => {
            skip(&format!(
                "it is written for mkosi 25.3, not {}",
                version.out.trim()
            ));
            None
        }
        None => {
            skip("no mkosi; `cargo image tools` fetches it, or set MKOSI_PYTHONPATH");
            None
        }
    }
}

#[test]
fn mkosi_has_the_settings_that_we_have_and_no_others() {
    let Some(said) = python(&["-c", LIST]) else {
        return;
    };
    let theirs: BTreeSet<String> = said.out.lines().map(str::to_owned).collect();
    let sections = FileKind::Mkosi.sections().into_iter();
    let ours: BTreeSet<String> = sections
        .flat_map(|(section, keys)| keys.iter().map(move |key| format!("{section} {key}")))
        .collect();
    assert_eq!(ours, theirs);
}

#[test]
fn mkosi_reads_the_products_configuration_as_it_was_meant() {
    let folder = written(&image::tree());
    std::fs::create_dir(folder.path().join("cache")).unwrap();
    let path = folder.path().to_str().unwrap();
    let Some(said) = python(&["-m", "mkosi", "-C", path, "--json", "summary"]) else {
        return;
    };
    assert!(said.success, "{}", said.err);
    assert_eq!(said.err, "", "mkosi warns of something");
    for meant in [
        r#""Distribution": "debian""#,
        r#""Architecture": "x86-64""#,
        r#""Bootable": "enabled""#,
        r#""UnifiedKernelImages": "enabled""#,
        r#""console=ttyS0,115200""#,
        r#""linux-image-cloud-amd64""#,
        r#""non-free-firmware""#,
        r#""Seed": "01234567-89ab-cdef-0123-456789abcdef""#,
        r#""SourceDateEpoch": 1700000000"#,
        r#""/var/cache/*""#,
        r#""WithDocs": false"#,
        r#""partitions""#,
    ] {
        assert!(said.out.contains(meant), "{meant} is not in {}", said.out);
    }
}

#[test]
fn mkosi_takes_every_word_of_every_closed_set() {
    let mut text = String::new();
    for (section, setting, words) in image::choices() {
        for word in words {
            text.push_str(&format!("{section} {setting} {word}\n"));
        }
    }
    let read = format!(
        "
import mkosi.config as c
for line in '''{text}'''.splitlines():
    section, name, word = line.split()
    setting = c.SETTINGS_LOOKUP_BY_NAME[name]
    assert setting.section == section, line
    parsed = setting.parse(word, None)
    if setting.choices:
        assert word in setting.choices, line
    assert parsed is not None, line
print('all read')
"
    );
    let Some(said) = python(&["-c", &read]) else {
        return;
    };
    assert_eq!((said.err.as_str(), said.out.trim()), ("", "all read"));
}
