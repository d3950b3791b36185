//! The login, in one file that only its owner reads, written whole: who we are, where the master is, whom to believe there.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

use anyhow::{Context as _, Result, bail};
use atomic_write_file::AtomicWriteFile;
use atomic_write_file::unix::OpenOptionsExt as _;
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use slap::client::{Client, Identity, Settings};

/// Who we are, and to which master.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    version: u32,
    pub(crate) operator: String,
    pub(crate) urls: Vec<String>,
    pub(crate) ca: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("operator", &self.operator)
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

/// There is no login.
#[derive(Debug, thiserror::Error)]
#[error(
    "not logged in: run `slapbox login slapbox1.…` with an operator's join blob (a master shows one on its console at its first start; \
     `slapbox user invite` makes another)"
)]
pub(crate) struct NotLoggedIn;

impl Login {
    pub(crate) fn new(
        operator: String,
        urls: Vec<String>,
        ca: String,
        certificate: String,
        key: String,
    ) -> Self {
        Self {
            version: 1,
            operator,
            urls,
            ca,
            certificate,
            key,
        }
    }

    /// Returns a client of our master.
    pub(crate) fn client(&self, proxy: Option<&str>) -> Result<Client> {
        let identity = Identity {
            certificate_pem: self.certificate.clone(),
            key_pem: self.key.clone(),
        };
        let mut settings = Settings::enrolled(self.urls.clone(), self.ca.clone(), identity);
        settings.proxy = proxy.map(str::to_owned);
        Client::new(&settings).context("the login cannot be used")
    }
}

/// The folder of the login.
#[derive(Clone, Debug)]
pub(crate) struct Home(Utf8PathBuf);

impl Home {
    /// Returns the folder that is chosen, or the usual one.
    pub(crate) fn choose(
        chosen: Option<Utf8PathBuf>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        if let Some(folder) = chosen {
            return Ok(Self(folder));
        }
        let set = |name| {
            variable(name)
                .filter(|text| text.starts_with('/'))
                .map(Utf8PathBuf::from)
        };
        let configuration = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
        match configuration {
            Some(folder) => Ok(Self(folder.join("slapbox"))),
            None => bail!("cannot tell where your login is: neither `--home` nor $HOME is set"),
        }
    }

    /// Reads the login.
    pub(crate) fn login(&self) -> Result<Login> {
        let Some(text) = read(&self.login_file())? else {
            bail!(NotLoggedIn);
        };
        let path = self.login_file();
        let login: Login = serde_json::from_str(&text)
            .with_context(|| format!("`{path}` is no login: move it away and log in again"))?;
        if login.version != 1 {
            bail!("`{path}` is of a newer slapbox");
        }
        Ok(login)
    }

    /// Whether there is a login, good or not.
    pub(crate) fn has_login(&self) -> bool {
        self.login_file().exists()
    }

    /// Replaces the login, and forgets the key that waited for it.
    pub(crate) fn keep(&self, login: &Login) -> Result<()> {
        let mut text =
            serde_json::to_string_pretty(login).context("cannot make JSON of the login")?;
        text.push('\n');
        self.write(&self.login_file(), &text)?;
        self.forget_waiting_key()
    }

    fn forget_waiting_key(&self) -> Result<()> {
        match fs::remove_file(self.waiting_key_file()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove `{}`", self.waiting_key_file()))
            }
            _ => Ok(()),
        }
    }

    /// Returns the key of an enrolment whose answer we never saw.
    pub(crate) fn waiting_key(&self) -> Result<Option<String>> {
        read(&self.waiting_key_file())
    }

    /// Keeps a key until its enrolment is answered: asked again with it, the master gives the same answer.
    pub(crate) fn keep_waiting_key(&self, key: &str) -> Result<()> {
        self.write(&self.waiting_key_file(), key)
    }

    fn login_file(&self) -> Utf8PathBuf {
        self.0.join("login.json")
    }

    fn waiting_key_file(&self) -> Utf8PathBuf {
        self.0.join("waiting-key.pem")
    }

    fn write(&self, path: &Utf8Path, text: &str) -> Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .with_context(|| format!("cannot make the folder `{}`", self.0))?;
        let write = || {
            let mut file = AtomicWriteFile::options()
                .mode(0o600)
                .preserve_mode(false)
                .open(path)?;
            file.write_all(text.as_bytes())?;
            file.commit()
        };
        write().with_context(|| format!("cannot write `{path}`"))
    }
}

fn read(path: &Utf8Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{path}`")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn home(folder: &tempfile::TempDir) -> Home {
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        Home::choose(Some(folder.join("a/b")), |_| None).unwrap()
    }

    #[test]
    fn a_login_is_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let home = home(&folder);
        home.keep_waiting_key("KEY").unwrap();
        assert_eq!(home.waiting_key().unwrap().as_deref(), Some("KEY"));
        let login = Login::new(
            "operator-1".into(),
            vec!["https://m".into()],
            "CA".into(),
            "CERT".into(),
            "KEY".into(),
        );
        home.keep(&login).unwrap();
        assert_eq!(home.login().unwrap(), login);
        assert_eq!(home.waiting_key().unwrap(), None);
        let mode = |path: &Utf8Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&home.login_file()), 0o600);
        assert_eq!(mode(&home.0), 0o700);
        assert!(!format!("{login:?}").contains("KEY"));
    }

    #[test]
    fn without_a_login_the_way_to_one_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let words = home(&folder).login().unwrap_err().to_string();
        assert!(
            words.starts_with("not logged in: run `slapbox login slapbox1.…`"),
            "{words}"
        );
    }

    #[test]
    fn a_damaged_login_is_named_and_left() {
        let folder = tempfile::tempdir().unwrap();
        let home = home(&folder);
        home.write(&home.login_file(), "{").unwrap();
        assert!(
            home.login()
                .unwrap_err()
                .to_string()
                .ends_with("is no login: move it away and log in again")
        );
        assert!(home.has_login());
    }

    #[test]
    fn the_folder_follows_the_usual_variables() {
        let chosen = |xdg: Option<&str>, home: Option<&str>| {
            let variable = |name: &str| if name == "HOME" { home } else { xdg }.map(str::to_owned);
            Home::choose(None, variable)
                .map(|home| home.0.into_string())
                .ok()
        };
        assert_eq!(
            chosen(None, Some("/h")).as_deref(),
            Some("/h/.config/slapbox")
        );
        assert_eq!(
            chosen(Some("/c"), Some("/h")).as_deref(),
            Some("/c/slapbox")
        );
        assert_eq!(
            chosen(Some("c"), Some("/h")).as_deref(),
            Some("/h/.config/slapbox")
        );
        assert_eq!(chosen(None, None), None);
    }
}
