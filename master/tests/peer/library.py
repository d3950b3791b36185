"""Drives a master with the real slapos.core: its library and its command.

Reads what to do from standard input: {"url", "folder", "tls", "operator_token", "node_token"}.
Every step is an assertion; the first that does not hold ends it.
"""
import io
import json
import os
import subprocess
import sys
import warnings

warnings.filterwarnings("ignore")

from slapos.slap import NotFoundError, ResourceNotReady, ServerError, slap
from slapos.slap.slap import ComputerPartition
from slapos.util import dumps

SOFTWARE = "https://releases.example/software.cfg"
JOURNAL = """<?xml version='1.0' encoding='utf-8'?>
<journal><transaction type="Sale Packing List"><title>Resource consumptions</title><start_date></start_date>
<stop_date>2026-11-20 at 23:59:59</stop_date><reference>%s</reference><currency></currency>
<payment_mode></payment_mode><category></category><arrow type="Administration"><source></source>
<destination></destination></arrow><movement><resource>service_module/memory_used</resource>
<title>memory</title><reference>slappart0</reference><quantity>1.5</quantity><price>0.0</price>
<VAT></VAT><category></category></movement></transaction></journal>"""
PARAMETERS = {
    "plain": "value",
    "markup": "<a href=\"x\">&amp; \u00e9\u20ac</a> ]]>",
    "_": json.dumps({"list": [1, None, {"deep": True}], "text": "\u00fc<&>"}),
    "number": 3,
    "float": 1.5,
    "truth": True,
    "lines": "one\ntwo\n",
}
SEEN = {
    "plain": "value",
    "markup": PARAMETERS["markup"],
    "_": PARAMETERS["_"],
    "number": "3",
    "float": "1.5",
    "truth": "True",
    "lines": "one\ntwo\n",
}

step_number = 0


def step(what):
    global step_number
    step_number += 1
    print("%2d %s" % (step_number, what), flush=True)


def raises(kind, call, *args, **kw):
    try:
        got = call(*args, **kw)
    except kind as exc:
        return exc
    raise AssertionError("%r was answered with %r" % (kind, got))


class World(object):
    def __init__(self, told):
        self.told = told
        self.url = told["url"]
        self.folder = told["folder"]
        self.client_cfg = os.path.join(self.folder, "client", "slapos-client.cfg")

    def connect(self, credentials=(None, None)):
        """A connection with (key, certificate), which plain http does not use."""
        connection = slap()
        key, certificate = credentials
        connection.initializeConnection(self.url, key_file=key, cert_file=certificate)
        assert connection._hateoas_navigator, "getHateoasUrl gave nothing"
        return connection

    def command(self, *words, **kw):
        """Runs `slapos …` and returns its exit code and all that it said."""
        config = [] if kw.get("no_config") else ["--cfg", self.client_cfg]
        # Each word of the command comes before its options.
        process = subprocess.run(
            [os.environ.get("SLAPBOX_TEST_PYTHON", sys.executable), "-W", "ignore", "-c",
             "import sys; from slapos.cli.entry import main; sys.exit(main(sys.argv[1:]))"]
            + list(words) + config,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=120)
        self.answer = process.stdout
        return process.returncode, process.stdout + process.stderr

    def succeed(self, *words, **kw):
        code, said = self.command(*words, **kw)
        assert code == 0, "slapos %s: exit %s: %s" % (" ".join(words), code, said)
        return said

    def document(self, *words):
        """Runs `slapos …`, which prints JSON, and returns that."""
        said = self.succeed(*words)
        try:
            return json.loads(self.answer)
        except ValueError:
            raise AssertionError("no JSON: " + said)


def configuration(reference, count):
    return dumps({
        "reference": reference, "address": "fd00::1", "netmask": "ffff::",
        "os_type": "[]", "slapos_version": "1.26.1", "public_ipv4_address": None,
        "partition_list": [
            {
                "reference": "slappart%d" % index,
                "path": "/srv/slapgrid/slappart%d" % index,
                "user": {"name": "slapuser%d" % index},
                "tap": {"name": "slaptap%d" % index},
                "address_list": [
                    {"addr": "10.0.0.%d" % (index + 2), "netmask": "255.255.255.255"},
                    {"addr": "fd00::%d" % (index + 2), "netmask": "ffff::"},
                ],
            }
            for index in range(count)
        ],
    })


def register(world):
    """Makes the credentials of a person and of a computer, with the real commands' own code."""
    if not world.told["tls"]:
        os.makedirs(os.path.dirname(world.client_cfg))
        with open(world.client_cfg, "w") as config:
            config.write("[slapos]\nmaster_url = %s\n" % world.url)
        return (None, None), (None, None), "local_computer"
    step("configure client")
    world.succeed(
        "configure", "client", "--master-url", world.url, "--master-url-web", world.url,
        "--token", world.told["operator_token"])
    folder = os.path.dirname(world.client_cfg)
    person = (os.path.join(folder, "client.key"), os.path.join(folder, "client.crt"))
    step("a token that was used is refused")
    os.rename(world.client_cfg, world.client_cfg + ".kept")
    code, said = world.command(
        "configure", "client", "--master-url", world.url, "--master-url-web", world.url,
        "--token", "kqz4ehpz55bf.tv2QExXc5Ubpj1aW1oX51V4rJzE2vtMFnQ0jVjOeJGk")
    os.rename(world.client_cfg + ".kept", world.client_cfg)
    assert code == 1, (code, said)
    step("node register")
    from slapos.cli import register as command
    import logging
    logger = logging.getLogger("register")
    certificate, key = command.get_certificate_key_pair(
        logger, world.url, "my node", world.told["node_token"])
    reference = command.get_computer_name(certificate)
    assert reference.startswith("COMP-"), certificate
    node = (os.path.join(world.folder, "node.key"), os.path.join(world.folder, "node.crt"))
    for path, text in zip(node, (key, certificate)):
        with open(path, "w") as out:
            out.write(text)
    step("a name that is in use is refused in the words that the command looks for")
    token = world.connect(person).registerToken().request()
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    logger.addHandler(handler)
    raises(SystemExit, command.get_certificate_key_pair, logger, world.url, "my node", token)
    assert "is already in use" in out.getvalue(), out.getvalue()
    return person, node, reference


def main():
    world = World(json.load(sys.stdin))
    person, node, reference = register(world)
    operator, computer_slap = world.connect(person), world.connect(node)
    computer = computer_slap.registerComputer(reference)

    step("format")
    computer.updateConfiguration(configuration(reference, 5))
    assert len(computer_slap.registerComputer(reference).getComputerPartitionList()) == 5

    step("supply")
    world.succeed("supply", SOFTWARE, reference)
    software, = computer_slap.registerComputer(reference).getSoftwareReleaseList()
    assert (software.getURI(), software.getState()) == (SOFTWARE, "available")
    code, said = world.command("supply", SOFTWARE, "COMP-4711")
    assert code != 0 and "has not been found" in said, said

    step("software reports")
    software.building()
    software.error("it failed")
    software.available()

    step("request, with parameters of every kind")
    order = operator.registerOpenOrder()
    root = order.request(SOFTWARE, "root", partition_parameter_kw=PARAMETERS)
    assert root.getState() == "started"
    assert root.getInstanceParameterDict() == SEEN, root.getInstanceParameterDict()
    assert root.getInstanceGuid().startswith("SOFTINST-")
    said = world.succeed("request", "by-command", SOFTWARE, "--parameters", "a=1", "b=x y")
    assert "Connection parameters" in said, said

    step("not ready")
    elsewhere = {"computer_guid": "COMP-4711"}
    raises(ResourceNotReady, order.request(SOFTWARE, "nowhere", filter_kw=elsewhere).getId)
    code, said = world.command("request", "nowhere", SOFTWARE, "--node", "computer_guid=COMP-4711")
    assert code == 2 and "Master is provisioning it" in said, (code, said)
    raises(ResourceNotReady, order.request(SOFTWARE, "nowhere", state="destroyed").getId)
    assert "nowhere" not in world.document("service", "list")

    def partitions():
        fetched = computer_slap.registerComputer(reference).getComputerPartitionList()
        return {it.getInstanceParameterDict()["instance_title"]: it
                for it in fetched if hasattr(it, "_parameter_dict")}

    step("what the node sees")
    seen = partitions()["root"]
    told = seen.getInstanceParameterDict()
    for key, value in SEEN.items():
        assert told[key] == value, (key, told[key])
    assert told["ip_list"][0][0].startswith("slaptap"), told["ip_list"]
    assert int(told["timestamp"]) > 1600000000 * 10**6
    assert seen.getSoftwareRelease().getURI() == SOFTWARE
    assert seen.getType() == "default"
    assert partitions()["by-command"].getInstanceParameterDict()["b"] == "x y"

    step("connection parameters")
    assert root.getConnectionParameterDict() == {}
    published = {"url": "http://[fd00::2]:8080/", "_": json.dumps({"a": [1]}), "x": "<&>\u00e9"}
    seen.setConnectionDict(published)
    again = order.request(SOFTWARE, "root", partition_parameter_kw=PARAMETERS)
    assert again.getConnectionParameterDict() == published, again.getConnectionParameterDict()
    assert again.getConnectionParameter("url") == published["url"]

    step("children")
    before = partitions()["root"].getInstanceParameterDict()["timestamp"]
    child = seen.request(SOFTWARE, "default", "child", partition_parameter_kw={"of": "root"})
    assert child.getInstanceParameterDict() == {"of": "root"}
    assert partitions()["child"].getInstanceParameterDict()["root_instance_title"] == "root"
    partitions()["child"].setConnectionDict({"db": "there"})
    after = partitions()["root"].getInstanceParameterDict()["timestamp"]
    assert int(after) > int(before), "a child that published has its requester processed again"
    stranger = ComputerPartition(reference, "slappart4")
    stranger._connection_helper = computer_slap._connection_helper
    exc = raises(Exception, stranger.request, SOFTWARE, "default", "x")
    assert exc.response.status_code == 400, exc
    seen.setComputerPartitionRelatedInstanceList(["child"])

    step("addresses of the tree")
    addresses = seen.getFullHostingIpAddressList()
    assert len(addresses) == 4, addresses

    step("shared instances")
    shared = order.request(SOFTWARE, "share", shared=True, partition_parameter_kw={"site": "a<b"},
                           filter_kw={"instance_guid": root.getInstanceGuid()})
    told, = partitions()["root"].getInstanceParameterDict()["slave_instance_list"]
    assert (told["slave_title"], told["site"]) == ("share", "a<b"), told
    partitions()["root"].setConnectionDict({"site": "https://a"}, slave_reference=told["slave_reference"])
    shared = order.request(SOFTWARE, "share", shared=True, partition_parameter_kw={"site": "a<b"},
                           filter_kw={"instance_guid": root.getInstanceGuid()})
    assert shared.getConnectionParameterDict() == {"site": "https://a"}
    raises(NotFoundError, seen.setConnectionDict, {}, "SOFTINST-4711")
    said = world.succeed("request", "share", SOFTWARE, "--slave", "--node",
                         "instance_guid=" + root.getInstanceGuid(), "--parameters", "site=b")
    told, = partitions()["root"].getInstanceParameterDict()["slave_instance_list"]
    assert told["site"] == "b"

    step("error and status")
    seen.error("something broke")
    assert partitions()["root"].getAccessStatus().startswith("#error"), partitions()["root"].getAccessStatus()
    info = world.document("service", "info", "root", "--news")
    assert info["status"] == "red", info
    seen.started()
    assert partitions()["root"].getAccessStatus() == "#access Instance correctly started"
    partitions()["child"].started()
    info = world.document("service", "info", "root")
    assert info["status"] == "green", info
    assert info["software-url"] == SOFTWARE and info["requested-state"] == "started", info
    # Of parameters in JSON the command shows what they hold.
    assert info["connection-parameters"] == {"a": [1]}, info
    assert info["instance-parameters"]["plain"] == "value", info
    status = computer.getStatus()
    assert status["reference"] == reference, status

    step("lists")
    assert set(world.document("service", "list")) >= {"root", "by-command", "share"}
    assert reference in world.succeed("computer", "list")
    assert reference in world.succeed("computer", "info", reference)
    code, said = world.command("service", "info", "no such service")
    assert code == 2, (code, said)
    code, said = world.command("computer", "info", "COMP-4711")
    assert code == 2, (code, said)

    step("bang")
    def timestamps():
        return [int(partitions()[title].getInstanceParameterDict()["timestamp"]) for title in ("root", "child")]
    before = timestamps()
    partitions()["child"].bang("look at this")
    between = timestamps()
    assert all(a < b for a, b in zip(before, between)), (before, between)
    computer.bang("power came back")
    assert all(a < b for a, b in zip(between, timestamps()))

    step("rename")
    partitions()["child"].rename("database")
    assert "database" in partitions() and "child" not in partitions()
    partitions()["root"].rename("top")
    assert partitions()["database"].getInstanceParameterDict()["root_instance_title"] == "top"

    step("stop and start")
    stopped = order.request(SOFTWARE, "top", partition_parameter_kw=PARAMETERS, state="stopped")
    assert stopped.getState() == "stopped"
    assert partitions()["database"].getState() == "stopped", "no child outruns its root"
    for title in ("top", "database"):
        partitions()[title].stopped()
    order.request(SOFTWARE, "top", partition_parameter_kw=PARAMETERS)
    assert partitions()["top"].getState() == "started"

    step("usage")
    computer.reportUsage(JOURNAL % reference)
    exc = raises(Exception, computer.reportUsage, "<nothing/>")
    assert exc.response.status_code == 400, exc

    step("certificates")
    made = partitions()["top"].getCertificate()
    assert made["certificate"].startswith("-----BEGIN CERTIFICATE"), made
    assert "PRIVATE KEY" in made["key"], made
    if world.told["tls"]:
        own = [os.path.join(world.folder, name) for name in ("instance.key", "instance.crt")]
        for path, text in zip(own, (made["key"], made["certificate"])):
            with open(path, "w") as out:
                out.write(text)
        mine = world.connect(own).registerComputerPartition(reference, partitions()["top"].getId())
        assert mine.getInstanceParameterDict()["instance_title"] == "top"
        mine.setConnectionDict({"by": "itself"})
        other = world.connect(own).registerComputerPartition(reference, partitions()["by-command"].getId())
        exc = raises(Exception, other.getInstanceParameterDict)
        assert exc.response.status_code == 403, exc
        alone = world.connect(own).registerComputer(reference)
        assert len(alone.getComputerPartitionList()) == 1 and alone.getSoftwareReleaseList() == []
        new = operator.registerOpenOrder().requestComputer("another node")
        pair = new.generateCertificate()
        assert "PRIVATE KEY" in pair["key"]
        raises(NotFoundError, new.generateCertificate)
        new.revokeCertificate()
        assert new.generateCertificate()["key"] != pair["key"]

    step("destroy")
    order.request(SOFTWARE, "top", partition_parameter_kw=PARAMETERS, state="destroyed")
    for title in ("top", "database"):
        partition = partitions()[title]
        assert partition.getState() == "destroyed", title
        partition.stopped()
        partition.destroyed()
    world.succeed("request", "by-command", SOFTWARE, "--state", "destroyed")
    partitions()["by-command"].destroyed()
    assert partitions() == {}, partitions()

    step("remove")
    world.succeed("remove", SOFTWARE, reference)
    software, = computer_slap.registerComputer(reference).getSoftwareReleaseList()
    assert software.getState() == "destroyed"
    software.destroyed()
    assert computer_slap.registerComputer(reference).getSoftwareReleaseList() == []

    step("what is not there")
    raises(NotFoundError, operator.registerComputer("COMP-4711").getComputerPartitionList)
    nobody = computer_slap.registerComputerPartition(reference, "slappart4")
    raises(NotFoundError, nobody.getInstanceParameterDict)
    assert operator.getSoftwareReleaseListFromSoftwareProduct(software_product_reference="none") == []
    print("all %d steps" % step_number)


main()
