//! Our master as it is run, with certificates, on the loopback of a box's cell, and its operator. A cell has no overlay, from which a
//! box would have its prefix: it is told, with the certificate that it has at this master, as at one of another make.

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use slap::client::{CallError, Client, Identity, Settings};
use slap::v1::{EnrolReply, EnrolRequest, TokenRequest};
use slap::{ComputerId, JoinBlob};

use crate::blob::Blob;
use crate::cell::Cell;
use crate::child::Child;
use crate::eventually::{eventually, seconds};
use crate::product;
use crate::story::act;

const ADDRESS: &str = "127.0.0.1:5443";
const URL: &str = "https://127.0.0.1:5443";

/// A master that runs until it is dropped.
#[derive(Debug)]
pub struct CertifiedMaster<'a> {
    cell: &'a Cell,
    data: Utf8PathBuf,
    operator: Settings,
    _child: Child,
}

/// Somebody who has enrolled.
struct Enrolled {
    reference: String,
    identity: Identity,
    ca: String,
}

impl<'a> CertifiedMaster<'a> {
    /// Starts one beside a box, which keeps everything below `folder`, and enrols its operator.
    pub async fn start(cell: &'a Cell, folder: &Utf8Path) -> Result<Self> {
        act("start a master");
        let data = folder.join("master");
        let program = product::program("slapbox-master")?;
        let mut serve = cell.namespace().command_beside(program.as_str())?;
        serve.args(["--data", data.as_str(), "--url", URL, "--listen", ADDRESS]);
        let mut child = Child::start("the master", &serve, &folder.join("master.log"))?;
        let blob = eventually("the master says how its operator logs in", async || {
            child.must_live()?;
            ensure!(child.said().contains("the master is ready"), "not yet");
            Blob::find(&child.said()).context("no login line yet")
        });
        let blob = blob.within(seconds(30)).await?.line();
        let operator = enrol(cell, blob).await?.settings();
        Ok(Self {
            cell,
            data,
            operator,
            _child: child,
        })
    }

    /// Makes calls as its operator.
    pub async fn asks<T: Send + 'static>(
        &self,
        ask: impl AsyncFnOnce(Client) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T> {
        calls(self.cell, self.operator.clone(), ask).await
    }

    /// Makes a box its node, with these lines at the beginning and these at the end of the box's document; returns what it is called.
    pub async fn has_node(&self, before: &str, after: &str) -> Result<ComputerId> {
        act("make the box a node of the master");
        let token = TokenRequest::default();
        let token = async move |operator: Client| operator.create_token(&token).await;
        let node = enrol(self.cell, self.asks(token).await?.join.0).await?;
        let document = format!(
            "role = \"slap\"\n{before}\n[slap]\nurl = \"{URL}\"\ncomputer = \"{}\"\nprefix = \"fd12:3456:789a:1::/64\"\n\
             certificate = \"\"\"{}\"\"\"\nkey = \"\"\"{}\"\"\"\nca = \"\"\"{}\"\"\"\n{after}\n",
            node.reference, node.identity.certificate_pem, node.identity.key_pem, node.ca
        );
        let place = format!(
            "{}/var/lib/slapbox/configuration.toml",
            self.cell.namespace().root()?
        );
        crate::files::put(Utf8Path::new(&place), document)?;
        let restart = ["systemctl", "restart", "slapbox-agent.service"];
        self.cell.namespace().run(&restart)?;
        let reference: ComputerId = node.reference.parse().context("a computer's name")?;
        self.knows_partitions(&reference).await?;
        Ok(reference)
    }

    /// Only who has come that far hears of a reload.
    async fn knows_partitions(&self, node: &ComputerId) -> Result<()> {
        eventually("the box has told its partitions", async || {
            let node = node.clone();
            let ask = async move |operator: Client| operator.computer_status(&node).await;
            let partitions = self.asks(ask).await?.partitions;
            ensure!(partitions > 0, "it has told none");
            Ok(())
        })
        .within(seconds(60))
        .await
    }

    /// The folder of what it keeps for its nodes.
    pub fn cache(&self) -> Utf8PathBuf {
        self.data.join("cache")
    }
}

impl Enrolled {
    fn settings(self) -> Settings {
        Settings::enrolled(vec![URL.to_owned()], self.ca, self.identity)
    }
}

/// Makes calls in the network of the cell.
async fn calls<T: Send + 'static>(
    cell: &Cell,
    settings: Settings,
    ask: impl AsyncFnOnce(Client) -> Result<T, CallError> + Send + 'static,
) -> Result<T> {
    let work = async move || {
        let client = Client::new(&settings).context("cannot make a client")?;
        Ok(ask(client).await?)
    };
    cell.namespace().in_its_network(work).await
}

/// Redeems a token with a new key.
async fn enrol(cell: &Cell, line: String) -> Result<Enrolled> {
    let join: JoinBlob = line.parse().context("a join line")?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("cannot make a key")?;
    let request = CertificateParams::default().serialize_request(&key);
    let request = EnrolRequest {
        token: join.token.clone(),
        csr: request.and_then(|it| it.pem()).context("no request")?,
        wanted: None,
        inventory: slap::v1::Inventory::default(),
    };
    let ask = async move |stranger: Client| stranger.enrol(&request).await;
    match calls(cell, Settings::joining(&join), ask).await? {
        EnrolReply::Enrolled {
            reference,
            certificate,
            ca,
        } => Ok(Enrolled {
            reference,
            identity: Identity {
                certificate_pem: certificate,
                key_pem: key.serialize_pem(),
            },
            ca,
        }),
        EnrolReply::Pending { .. } => bail!("an enrolment waits to be approved"),
    }
}
