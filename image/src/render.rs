//! What varies from build to build, as typed configuration: version, time, paths, the disk's layout, apt's sources.
//! Everything else is in the plain files of this folder, which are checked against the same types.

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use clap::ValueEnum as _;
use mkosi_config_builder::mkosi::{Config, Incremental, ToolsTree};
use mkosi_config_builder::{BuildPath, Text, Tree, TreePath};

use crate::mirror::Mirrors;
use crate::profile::Profile;
use crate::revision::Revision;
use crate::workspace::Workspace;
use crate::{disk, layout};

/// Files that are written beside the plain ones.
#[derive(Debug)]
pub(crate) struct Rendered(Tree);

impl Rendered {
    pub(crate) fn write(&self, folder: &Utf8Path) -> Result<()> {
        self.0
            .iter()
            .try_for_each(|(path, text)| disk::replace(&folder.join(path), text.as_bytes()))
    }

    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }
}

/// Renders the configuration of an image.
pub(crate) fn image(
    workspace: &Workspace,
    profile: Profile,
    revision: &Revision,
) -> Result<Rendered> {
    let folder = workspace.profile(profile);
    let mut config = local(workspace, &folder)?;
    config.comment = Some(Text::new("What varies: written by `cargo image`.")?);
    config.output.image_version = Some(Text::new(&revision.version)?);
    config.content.source_date_epoch = Some(revision.epoch);
    config.content.initrds = vec![BuildPath::new(folder.join("out/initrd"))?];
    config.build.tools_tree = Some(tools_tree(workspace)?);
    if !workspace.is_fresh() {
        config.build.incremental = Some(Incremental::Yes);
    }
    config.validate()?;
    let mut tree = Tree::default();
    tree.add("mkosi.local.conf", &config)?;
    tree.merge(layout::disk(&revision.version)?.tree("mkosi.repart")?)?;
    Ok(Rendered(tree))
}

/// Renders the configuration of the tools tree.
pub(crate) fn tools(workspace: &Workspace, mirrors: &Mirrors) -> Result<Rendered> {
    places(local(workspace, &workspace.tools())?, mirrors)
}

/// Renders the configuration of a release's root file system.
pub(crate) fn release(
    workspace: &Workspace,
    folder: &Utf8Path,
    mirrors: &Mirrors,
) -> Result<Rendered> {
    let mut config = local(workspace, folder)?;
    config.build.tools_tree = Some(tools_tree(workspace)?);
    places(config, mirrors)
}

/// Renders the configuration of the stock Debian, which has an initrd.
pub(crate) fn debian(
    workspace: &Workspace,
    folder: &Utf8Path,
    mirrors: &Mirrors,
) -> Result<Rendered> {
    let mut config = local(workspace, folder)?;
    config.build.tools_tree = Some(tools_tree(workspace)?);
    config.content.initrds = vec![BuildPath::new(folder.join("out/initrd"))?];
    places(config, mirrors)
}

fn places(mut config: Config, mirrors: &Mirrors) -> Result<Rendered> {
    config.comment = Some(Text::new(
        "Places of this build: written by `cargo image`.",
    )?);
    let mut tree = sandbox(mirrors)?;
    tree.add("mkosi.local.conf", &config)?;
    Ok(Rendered(tree))
}

fn tools_tree(workspace: &Workspace) -> Result<ToolsTree> {
    Ok(ToolsTree::Path(BuildPath::new(
        workspace.tools().join("tree"),
    )?))
}

/// Renders what mkosi's sandbox sees of apt's configuration.
pub(crate) fn sandbox(mirrors: &Mirrors) -> Result<Tree> {
    let mut tree = Tree::default();
    tree.add(
        "sandbox/etc/apt/sources.list.d/mkosi.sources",
        mirrors.sources()?,
    )?;
    Ok(tree)
}

impl From<Tree> for Rendered {
    fn from(tree: Tree) -> Self {
        Self(tree)
    }
}

fn local(workspace: &Workspace, folder: &Utf8Path) -> Result<Config> {
    let path = |name: &str| BuildPath::new(folder.join(name));
    let mut config = Config::default();
    config.output.output_directory = Some(path("out")?);
    config.build.workspace_directory = Some(path("work")?);
    config.build.cache_directory = Some(path("cache")?);
    config.build.package_cache_directory = Some(BuildPath::new(workspace.packages())?);
    config.build.sandbox_trees = vec![TreePath::from(path("config/sandbox")?)];
    Ok(config)
}

/// Checks the plain files, so that a misspelt setting is refused here and by name, and that what each of them says goes
/// together with what the others of its image say.
pub(crate) fn check_plain(folder: &Utf8Path) -> Result<()> {
    let mut images = Vec::new();
    for file in disk::files(folder)? {
        let Some(owner) = settings_of(&file) else {
            continue;
        };
        let path = folder.join(&file);
        crate::host::read(&path)?
            .parse::<Config>()
            .with_context(|| format!("cannot use `{path}`"))?;
        if owner.starts_with("mkosi.images") && !images.contains(&owner) {
            images.push(owner);
        }
    }
    for profile in Profile::value_variants() {
        let layers = profile.layers().iter();
        let layers = layers.map(|layer| Utf8Path::new("mkosi.profiles").join(layer));
        let all: Vec<_> = std::iter::once(Utf8PathBuf::new()).chain(layers).collect();
        check_together(folder, &all)
            .with_context(|| format!("the settings of the image `{profile}` do not go together"))?;
    }
    for image in images {
        check_together(folder, std::slice::from_ref(&image))
            .with_context(|| format!("the settings of `{image}` do not go together"))?;
    }
    Ok(())
}

/// Returns the folder whose settings are in this file, if it is one that mkosi reads settings from.
fn settings_of(file: &Utf8Path) -> Option<Utf8PathBuf> {
    let folder = file.parent()?;
    match (folder.file_name(), file.file_name()?) {
        (_, "mkosi.conf") => Some(folder.to_owned()),
        (Some("mkosi.conf.d"), _) if file.extension() == Some("conf") => {
            folder.parent().map(Utf8Path::to_owned)
        }
        _ => None,
    }
}

/// Lays the settings of some folders over each other, in the order in which mkosi reads them, and checks what comes out.
fn check_together(folder: &Utf8Path, owners: &[Utf8PathBuf]) -> Result<()> {
    let mut files = disk::files(folder)?;
    // `mkosi.conf` sorts before `mkosi.conf.d/…`, and those among themselves as mkosi sorts them.
    files.sort();
    let mut config = Config::default();
    for owner in owners {
        for file in &files {
            if settings_of(file).as_ref() == Some(owner) {
                let path = folder.join(file);
                config
                    .lay_over(&crate::host::read(&path)?)
                    .with_context(|| format!("cannot use `{path}`"))?;
            }
        }
    }
    config.validate()?;
    Ok(())
}

/// Returns what mkosi is given: the plain files and the rendered ones.
pub(crate) fn shown(workspace: &Workspace, profile: Profile) -> Result<String> {
    check_plain(&workspace.sources())?;
    let mut tree = Tree::default();
    for file in disk::files(&workspace.sources())? {
        let first = file
            .components()
            .next()
            .map(|it| it.as_str())
            .unwrap_or_default();
        let profiles = file
            .as_str()
            .strip_prefix("mkosi.profiles/")
            .and_then(|it| it.split_once('/'));
        let counts = match (first, profiles) {
            (_, Some((layer, _))) => profile.layers().contains(&layer),
            ("mkosi.conf" | "mkosi.conf.d" | "mkosi.images" | "mkosi.finalize", None) => true,
            _ => false,
        };
        if counts && !file.as_str().contains("mkosi.extra/") {
            tree.add(
                file.as_str(),
                crate::host::read(&workspace.sources().join(&file))?,
            )?;
        }
    }
    let revision = Revision::find(workspace)?;
    tree.merge(image(workspace, profile, &revision)?.0)?;
    Ok(tree.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rendered_configuration_of_the_product() {
        let workspace = Workspace::at("/src".into());
        let revision = Revision {
            version: "0.1.0-7".to_owned(),
            epoch: 1_763_600_000,
        };
        let rendered = image(&workspace, Profile::Vm, &revision).unwrap();
        insta::assert_snapshot!(rendered.text());
    }

    #[test]
    fn the_plain_files_have_no_setting_that_mkosi_does_not_know() {
        let workspace = Workspace::at(Utf8Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
        check_plain(&workspace.sources()).unwrap();
    }

    #[test]
    fn a_misspelt_setting_in_a_plain_file_is_refused_with_its_place() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(scratch.path()).unwrap();
        disk::replace(&folder.join("mkosi.conf"), b"[Content]\nPackges=systemd\n").unwrap();
        let error = format!("{:#}", check_plain(folder).unwrap_err());
        assert!(
            error.contains("mkosi.conf") && error.contains("line 2") && error.contains("Packages"),
            "{error}"
        );
    }

    #[test]
    fn settings_that_only_contradict_each_other_together_are_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(scratch.path()).unwrap();
        let write = |name: &str, text: &str| {
            disk::replace(&folder.join(name), text.as_bytes()).unwrap();
        };
        write("mkosi.conf", "[Output]\nFormat=disk\n");
        write(
            "mkosi.conf.d/10-boot.conf",
            "[Content]\nBootable=enabled\nUnifiedKernelImages=enabled\n",
        );
        check_plain(folder).unwrap();
        write(
            "mkosi.conf.d/20-late.conf",
            "[Content]\nBootable=disabled\n",
        );
        let error = format!("{:#}", check_plain(folder).unwrap_err());
        assert!(
            error.starts_with("the settings of the image `vm` do not go together: ")
                && error.contains("UnifiedKernelImages=enabled"),
            "{error}"
        );
    }
}
