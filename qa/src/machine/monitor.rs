//! QEMU's monitor (QMP): what a person with a hand on the machine can do. Plugs and pulls sticks, and asks for nothing else.

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

/// A connection to the monitor of one machine.
#[derive(Debug)]
pub(super) struct Monitor {
    stream: BufReader<UnixStream>,
}

impl Monitor {
    pub(super) async fn connect(socket: &Utf8Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .await
            .context("cannot connect to QEMU's monitor")?;
        let mut monitor = Self {
            stream: BufReader::new(stream),
        };
        monitor.line().await?;
        monitor.execute("qmp_capabilities", json!({})).await?;
        Ok(monitor)
    }

    pub(super) async fn plug_stick(&mut self, name: &str, image: &Utf8Path) -> Result<()> {
        let drive = json!({"driver": "raw", "node-name": name, "file": {"driver": "file", "filename": image}});
        self.execute("blockdev-add", drive).await?;
        let stick = json!({"driver": "scsi-hd", "id": format!("{name}-stick"), "drive": name, "bus": "slot.0", "removable": true});
        self.execute("device_add", stick).await
    }

    pub(super) async fn pull_stick(&mut self, name: &str) -> Result<()> {
        let stick = format!("{name}-stick");
        self.execute("device_del", json!({"id": stick})).await?;
        loop {
            let event = self.line().await?;
            if event["event"] == "DEVICE_DELETED" && event["data"]["device"] == stick.as_str() {
                break;
            }
        }
        self.execute("blockdev-del", json!({"node-name": name}))
            .await
    }

    async fn execute(&mut self, command: &str, arguments: Value) -> Result<()> {
        let mut request = json!({"execute": command, "arguments": arguments}).to_string();
        request.push('\n');
        self.stream
            .write_all(request.as_bytes())
            .await
            .context("cannot write to QEMU's monitor")?;
        loop {
            let answer = self.line().await?;
            if answer.get("return").is_some() {
                return Ok(());
            }
            if let Some(error) = answer.get("error") {
                bail!(
                    "QEMU refuses {command}: {}",
                    error["desc"].as_str().unwrap_or_default()
                );
            }
        }
    }

    async fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self
            .stream
            .read_line(&mut line)
            .await
            .context("cannot read from QEMU's monitor")?
            == 0
        {
            bail!("QEMU has closed its monitor");
        }
        serde_json::from_str(&line).context("QEMU's monitor does not speak JSON")
    }
}
