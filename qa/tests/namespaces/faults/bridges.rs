//! Software that knows no IPv6 is reached on its partition's IPv6 by bridges, with TLS where it asks for that; and what is wrong with a
//! bridge is said.

use anyhow::{Context as _, Result, bail, ensure};
use rcgen::generate_simple_self_signed;
use slap::RequestedState;
use slapbox_qa::archive::Image;
use slapbox_qa::eventually::{eventually, seconds};
use slapbox_qa::files::put;
use slapbox_qa::open_master::Wish;
use slapbox_qa::peer::Peer;
use slapbox_qa::shelf::Shelf;

use super::stage::{Scene, Stage, play};

const INSTANTIATE: &str = include_str!("bridged.sh");
/// The second partition's.
const ADDRESS: &str = "fd12:3456:789a:1::3";
const PARTITION: &str = "slappart1";
const FETCH: &str = "import ssl, sys, urllib.request as it
context = None
if len(sys.argv) > 2:
    context = ssl.create_default_context(cafile=sys.argv[2])
    context.verify_flags = ssl.VERIFY_X509_PARTIAL_CHAIN
print(it.urlopen(sys.argv[1], timeout=5, context=context).read().decode())";
const PLAIN: &str = r#"{"port": 80, "to": 8080}"#;
const ENCRYPTED: &str =
    r#"{"port": 443, "to": 8080, "certificate": "etc/web.crt", "key": "etc/web.key"}"#;
/// What is wrong, and what is said of it. The last takes as long as programs may take to come up.
const FAULTS: [(&str, &str); 4] = [
    (
        r#"{"port": 80}"#,
        "its bridge `web` cannot be opened: `etc/bridge/web` is not understood",
    ),
    (
        r#"{"port": 80, "to": 8080, "tls": true}"#,
        "it wants TLS, and its master gives instances no certificates",
    ),
    (
        r#"{"port": 443, "to": 8080, "certificate": "etc/web.crt", "key": "etc/no.key"}"#,
        "there is no `etc/no.key`",
    ),
    (
        r#"{"port": 80, "to": 9}"#,
        "Promise 'bridge-web' failed with output: nothing answers at 10.0.0.3:9",
    ),
];

/// A certificate with its key, in PEM.
struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    fn make() -> Result<Self> {
        let made = generate_simple_self_signed([ADDRESS.to_owned()]);
        let made = made.context("cannot make a certificate")?;
        Ok(Self {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        })
    }
}

#[tokio::test]
async fn what_knows_no_ipv6_is_reached_by_bridges() -> Result<()> {
    let scene = Scene {
        name: "bridges",
        disk: None,
        builds: false,
    };
    play(scene, async |stage| {
        Image::of(&stage.product.demo)?
            .with_programs(&[("slapos/instantiate", INSTANTIATE)])?
            .write(&stage.things.join("bridged.oci.tar"))?;
        stage.has_release("bridged.oci.tar").await?;
        let pair = Pair::make()?;
        stage.leads(&pair).await?;
        stage.encrypts(&pair).await?;
        stage.refuses_what_is_taken(&pair).await?;
        for (fault, words) in FAULTS {
            stage.asks_for(&pair, &[("web", fault)]).await?;
            stage.hears_of_partition(PARTITION, words).await?;
        }
        stage.ends(&pair).await
    })
    .await
}

fn wish(pair: &Pair, bridges: &[(&str, &str)]) -> Wish {
    let own = [
        ("certificate", pair.certificate.as_str()),
        ("key", pair.key.as_str()),
    ];
    let release = Shelf::address("bridged.oci.tar");
    Wish::started("bridged", &release, &[&own, bridges].concat())
}

impl Stage<'_> {
    async fn asks_for(&self, pair: &Pair, bridges: &[(&str, &str)]) -> Result<()> {
        let instance = self.master.request(&wish(pair, bridges)).await?;
        ensure!(instance.partition.to_string() == PARTITION, "elsewhere");
        self.cell.looks_again()
    }

    async fn leads(&self, pair: &Pair) -> Result<()> {
        self.asks_for(pair, &[("web", PLAIN)]).await?;
        self.is_as_wanted().await?;
        self.answers("http", None).await?;
        // Nowhere but on the partition's own address, and as the partition's own user.
        let sockets = self.cell.text("/proc/net/tcp6")?;
        let listened = sockets.lines().filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[3] == "0A" && words[1].ends_with(":0050")).then(|| words[1].to_owned())
        });
        let listened: Vec<String> = listened.collect();
        ensure!(listened == [in_hex()?], "listened on are {listened:?}");
        let whose = self.shell(
            "systemctl show --property=User,Slice --value slapbridge-slappart1-web.service; \
             stat --format=%u /srv/slapgrid/slappart1",
        )?;
        let whose: Vec<&str> = whose.split_whitespace().collect();
        let [slice, user, owner] = whose[..] else {
            bail!("it is {whose:?}");
        };
        ensure!(
            user == owner && slice == "slappart1.slice",
            "it is {whose:?}"
        );
        Ok(())
    }

    async fn encrypts(&self, pair: &Pair) -> Result<()> {
        self.asks_for(pair, &[("web", ENCRYPTED)]).await?;
        self.is_as_wanted().await?;
        self.answers("https", Some(pair)).await?;
        ensure!(
            self.fetch_over_bridge("http", None).is_err(),
            "the old bridge is open"
        );
        let other = Pair::make()?;
        ensure!(
            self.fetch_over_bridge("https", Some(&other)).is_err(),
            "anybody's certificate is shown"
        );
        // A certificate that is renewed in its place is shown with the next look.
        let root = self.cell.namespace().root()?;
        for (name, text) in [("web.crt", &other.certificate), ("web.key", &other.key)] {
            let path = format!("{root}/srv/slapgrid/{PARTITION}/etc/{name}");
            put(path.as_str().into(), text)?;
        }
        self.cell.looks_again()?;
        self.answers("https", Some(&other)).await
    }

    async fn refuses_what_is_taken(&self, pair: &Pair) -> Result<()> {
        self.asks_for(pair, &[("other", PLAIN), ("web", PLAIN)])
            .await?;
        let words = format!(
            "its bridge `web` cannot be opened: something listens on [{ADDRESS}]:80 already"
        );
        self.hears_of_partition(PARTITION, &words).await?;
        self.answers("http", None).await
    }

    /// It stops with its partition, and nothing of it is left.
    async fn ends(&self, pair: &Pair) -> Result<()> {
        self.asks_for(pair, &[("web", PLAIN)]).await?;
        self.is_as_wanted().await?;
        self.answers("http", None).await?;
        for state in [RequestedState::Stopped, RequestedState::Destroyed] {
            let wish = wish(pair, &[("web", PLAIN)]).that_is(state);
            self.master.request(&wish).await?;
            self.cell.looks_again()?;
            eventually("nothing of the bridge is left", async || {
                ensure!(self.fetch_over_bridge("http", None).is_err(), "it answers");
                let units =
                    self.shell("systemctl list-units --all --plain --no-legend 'slapbridge-*'")?;
                ensure!(units.is_empty(), "{units}");
                Ok(())
            })
            .within(seconds(30))
            .await?;
        }
        eventually("nothing of the instance is left", async || {
            let folder = format!("/srv/slapgrid/{PARTITION}");
            self.cell.holds_only(&folder, &[".slapos-resource"])
        })
        .within(seconds(30))
        .await
    }

    async fn answers(&self, scheme: &str, shows: Option<&Pair>) -> Result<()> {
        eventually(format!("it answers by {scheme}"), async || {
            let page = self.fetch_over_bridge(scheme, shows)?;
            ensure!(page.contains("Hello by IPv4"), "it says {page}");
            Ok(())
        })
        .within(seconds(20))
        .await
    }

    fn fetch_over_bridge(&self, scheme: &str, shows: Option<&Pair>) -> Result<String> {
        let python = Peer::told_python()?;
        let mut command = self.cell.namespace().command_beside(python.as_str())?;
        command.args(["-c", FETCH, &format!("{scheme}://[{ADDRESS}]/")]);
        if let Some(pair) = shows {
            let file = self.things.join("trusted.pem");
            put(&file, &pair.certificate)?;
            command.arg(file);
        }
        let answer = command.output()?;
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        ensure!(answer.status.success(), "{said}");
        Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
    }
}

/// The address and the port as the kernel writes them: numbers of this machine.
fn in_hex() -> Result<String> {
    let address: std::net::Ipv6Addr = ADDRESS.parse().context("a constant that is an address")?;
    let words = address.octets();
    let words = words.chunks_exact(4).map(|word| {
        let word = [word[0], word[1], word[2], word[3]];
        format!("{:08X}", u32::from_ne_bytes(word))
    });
    Ok(format!("{}:0050", words.collect::<String>()))
}
