//! Files and folders: written whole, copied with fixed modes, made and removed.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};
use atomic_write_file::AtomicWriteFile;
use camino::{Utf8Path, Utf8PathBuf};

/// Replaces a file whole, making its folder if need be.
pub(crate) fn replace(path: &Utf8Path, content: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        make(folder)?;
    }
    let write = || -> io::Result<()> {
        let mut file = AtomicWriteFile::open(path)?;
        file.write_all(content)?;
        file.commit()
    };
    write().with_context(|| format!("cannot write `{path}`"))
}

/// Makes a folder and those above it.
pub(crate) fn make(folder: &Utf8Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder `{folder}`"))
}

/// Removes a file or a folder with all in it; what is not there is fine.
pub(crate) fn remove(path: &Utf8Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{path}`"))
        }
        _ => Ok(()),
    }
}

/// Makes an empty folder, whatever was there.
pub(crate) fn renew(folder: &Utf8Path) -> Result<()> {
    remove(folder)?;
    make(folder)
}

pub(crate) fn rename(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("cannot move `{from}` to `{to}`"))
}

/// Lists the files and links below a folder, relative to it and sorted.
pub(crate) fn files(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let mut found = Vec::new();
    collect(folder, Utf8Path::new(""), &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(root: &Utf8Path, below: &Utf8Path, found: &mut Vec<Utf8PathBuf>) -> Result<()> {
    let folder = root.join(below);
    let entries = folder
        .read_dir_utf8()
        .with_context(|| format!("cannot list `{folder}`"))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list `{folder}`"))?;
        let kind = entry
            .file_type()
            .with_context(|| format!("cannot look at `{}`", entry.path()))?;
        let name = below.join(entry.file_name());
        if kind.is_dir() {
            collect(root, &name, found)?;
        } else {
            found.push(name);
        }
    }
    Ok(())
}

/// Copies a file with mode 755 if its owner may run it, else 644: the checkout's umask leaves no trace.
pub(crate) fn copy(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    let act = || -> io::Result<()> {
        let found = fs::symlink_metadata(from)?;
        if found.is_symlink() {
            return std::os::unix::fs::symlink(fs::read_link(from)?, to);
        }
        fs::copy(from, to)?;
        let mode = if found.permissions().mode() & 0o100 == 0 {
            0o644
        } else {
            0o755
        };
        fs::set_permissions(to, fs::Permissions::from_mode(mode))
    };
    act().with_context(|| format!("cannot copy `{from}` to `{to}`"))
}

/// Copies what is below a folder, as [`copy`] does; folders get mode 755.
pub(crate) fn copy_tree(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    for file in files(from)? {
        let target = to.join(&file);
        let folder = target.parent().unwrap_or(to);
        make(folder)?;
        for folder in folder.ancestors().take_while(|it| it.starts_with(to)) {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("cannot set the mode of `{folder}`"))?;
        }
        copy(&from.join(&file), &target)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_tree_has_fixed_modes() {
        let scratch = tempfile::tempdir().unwrap();
        let scratch = Utf8Path::from_path(scratch.path()).unwrap();
        replace(&scratch.join("from/a/plain"), b"x").unwrap();
        replace(&scratch.join("from/a/program"), b"y").unwrap();
        let mode = |path: &str, mode| {
            fs::set_permissions(scratch.join(path), fs::Permissions::from_mode(mode)).unwrap();
        };
        mode("from/a/plain", 0o600);
        mode("from/a/program", 0o700);
        mode("from/a", 0o700);

        copy_tree(&scratch.join("from"), &scratch.join("to")).unwrap();

        let of = |path: &str| {
            fs::metadata(scratch.join(path))
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(
            (of("to/a"), of("to/a/plain"), of("to/a/program")),
            (0o755, 0o644, 0o755)
        );
        assert_eq!(
            files(&scratch.join("to")).unwrap(),
            ["a/plain", "a/program"]
        );
    }
}
