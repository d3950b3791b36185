//! A terminal that the screen is drawn on: opened without becoming ours, written without waiting for long.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use camino::Utf8PathBuf;
use tokio::time::sleep;

use super::screen::Screen;
use crate::places::Places;

/// How long a terminal may take to swallow one screen before the rest is dropped.
const PATIENCE: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// A terminal, opened when there is something to draw.
#[derive(Debug)]
pub struct Outlet {
    path: Utf8PathBuf,
    file: Option<File>,
}

/// The terminals of the box: the first virtual one, the first serial port, and what the kernel uses as its console.
pub(super) fn find(places: &Places) -> Vec<Outlet> {
    let active = places.at("sys/class/tty/console/active");
    let active = std::fs::read_to_string(active).unwrap_or_default();
    names(&active)
        .into_iter()
        .map(|name| Outlet::new(places.at("dev").join(name)))
        .collect()
}

/// Names of terminals, each once. `tty0` is whichever virtual one is in front, so it is left out.
fn names(active: &str) -> Vec<String> {
    let known = ["tty1", "ttyS0"];
    let mut names: Vec<String> = known.map(str::to_owned).to_vec();
    let others = active
        .split_ascii_whitespace()
        .filter(|name| *name != "tty0");
    for name in others {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

impl Outlet {
    /// A terminal at a path.
    pub fn new(path: Utf8PathBuf) -> Self {
        Self { path, file: None }
    }

    /// Draws a screen. What cannot be written in time is dropped, together with the terminal, until the next drawing.
    pub async fn draw(&mut self, screen: &Screen) {
        if let Err(error) = self.try_draw(screen).await {
            tracing::trace!("cannot draw on {}: {error}", self.path);
            self.file = None;
        }
    }

    async fn try_draw(&mut self, screen: &Screen) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK | libc::O_CLOEXEC)
                .open(&self.path)?,
        };
        let bytes = screen.for_terminal();
        let mut rest = bytes.as_bytes();
        let mut patience = PATIENCE;
        while !rest.is_empty() {
            match file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && patience > 0 => {
                    patience -= 1;
                    sleep(PAUSE).await;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.file = Some(file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;
    use std::io::Read as _;

    #[test]
    fn each_terminal_is_drawn_on_once() {
        assert_eq!(names("tty0 ttyS0\n"), ["tty1", "ttyS0"]);
        assert_eq!(names("tty0 ttyAMA0\n"), ["tty1", "ttyS0", "ttyAMA0"]);
        assert_eq!(names(""), ["tty1", "ttyS0"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_terminal_that_nobody_reads_and_one_that_is_not_there_hold_up_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("stuck")).unwrap();
        nix::unistd::mkfifo(path.as_std_path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut reader = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)
            .unwrap();
        let screen = super::super::render(&Status::default(), 0);
        let mut stuck = Outlet::new(path);
        for _ in 0..100 {
            stuck.draw(&screen).await;
        }
        Outlet::new(Utf8PathBuf::from("/nowhere/tty1"))
            .draw(&screen)
            .await;
        let mut seen = vec![0; 4096];
        assert!(reader.read(&mut seen).unwrap() > 1000);
    }
}
