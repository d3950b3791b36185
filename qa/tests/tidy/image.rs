//! The image is plain files: nothing under `etc/`, nothing installed by a script, no script longer than a screen.

use crate::tree::{File, files, none};

const LONGEST_SCRIPT: usize = 20;
const INSTALLERS: [&str; 6] = [
    "apt-get install",
    "apt install",
    "dpkg -i",
    "pip install",
    "cargo install",
    "npm install",
];

#[test]
fn nothing_is_laid_over_etc() {
    none(
        files()
            .filter(|file| file.path.starts_with("image/mkosi.extra/etc/"))
            .map(|file| file.path),
    );
}

#[test]
fn no_script_installs_a_package() {
    none(
        image_files()
            .filter(|file| INSTALLERS.iter().any(|words| file.text.contains(words)))
            .map(|file| file.path),
    );
}

#[test]
fn no_script_is_longer_than_a_screen() {
    let scripts = image_files().filter(|file| file.text.starts_with("#!"));
    none(
        scripts
            .filter(|file| file.text.lines().count() > LONGEST_SCRIPT)
            .map(|file| file.path),
    );
}

#[test]
fn every_file_that_mkosi_reads_says_what_it_is_for() {
    let read = image_files().filter(|file| file.is("conf") || file.is("service"));
    none(
        read.filter(|file| !file.text.starts_with('#'))
            .map(|file| file.path),
    );
}

/// What becomes the image, without the programs that build it.
fn image_files() -> impl Iterator<Item = File> {
    files().filter(|file| file.path.starts_with("image/mkosi."))
}
