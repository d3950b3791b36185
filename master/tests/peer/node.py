"""Has the real node of slapos.core live through its instances' lives against a master.

Runs as root in the namespaces that furnish.sh furnishes. Reads what to do from standard input: {"url", "computer", "tls"}, and for tls
"person" and "node", each {"key", "certificate"}. Every step is an assertion; the first that does not hold ends it.
"""
import glob
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings

warnings.filterwarnings("ignore")

from computer import CONFIGURATION, INSTANCES, SOFTWARE, configure, slapos
from lay_out import lay_out
from slapos.slap import NotFoundError, ResourceNotReady, slap
from slapos.util import loads

HERE = os.path.dirname(os.path.abspath(__file__))
RELEASES = "/srv/releases"
WEB, ROOT, BROKEN = (os.path.join(RELEASES, name) for name in ("web.cfg", "root.cfg", "broken.cfg"))
CERTIFICATES = "/srv/node/certificates"

step_number = 0


def step(what):
    global step_number
    step_number += 1
    print("%5.1f s %2d %s" % (time.monotonic() - BEGUN, step_number, what), flush=True)


def raises(kind, call, *args, **kw):
    try:
        got = call(*args, **kw)
    except kind as exc:
        return exc
    raise AssertionError("%r was answered with %r" % (kind, got))


def eventually(what, probe, seconds=30):
    """Waits until a probe returns something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        seen = probe()
        if seen:
            return seen
        assert time.monotonic() < end, what
        time.sleep(0.05)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)


def inside(partition, *path):
    return os.path.join(INSTANCES, partition, *path)


def page(partition):
    """What a partition serves, or None."""
    with open(inside(partition, ".slapos-resource")) as text:
        address, = (it["addr"] for it in json.load(text)["address_list"] if ":" in it["addr"])
    try:
        with urllib.request.urlopen("http://[%s]:8080/color" % address, timeout=5) as answer:
            return answer.read().decode().strip()
    except OSError:
        return None


def processed(partition):
    """How many times a partition's buildout ran."""
    with open(inside(partition, "www", "processed")) as lines:
        return len(lines.readlines())


class World(object):
    def __init__(self, told):
        self.url, self.computer, self.tls = told["url"], told["computer"], told["tls"]
        node = self.keep("node", told.get("node"))
        person = self.keep("person", told.get("person"))
        self.configure(node, person)
        self.master = self.connect(person)
        self.order = self.master.registerOpenOrder()
        self.as_node = self.connect(node)

    def keep(self, name, identity):
        """Keeps a key and a certificate, and returns where."""
        if identity is None:
            return None, None
        paths = []
        for kind in ("key", "certificate"):
            paths.append("/srv/%s.%s" % (name, kind))
            write(paths[-1], identity[kind])
        return tuple(paths)

    def configure(self, node, person):
        of_node, of_person = "", ""
        if self.tls:
            os.makedirs(CERTIFICATES)
            of_node = "key_file = %s\ncert_file = %s\n" % node + "certificate_repository_path = " + CERTIFICATES
            of_person = "key_file = %s\ncert_file = %s" % person
        configure(self.url, self.computer, 2, of_node, of_person)

    def connect(self, credentials):
        connection = slap()
        key, certificate = credentials
        connection.initializeConnection(self.url, key_file=key, cert_file=certificate)
        return connection

    def run(self, *words, code=0):
        """Runs `slapos …`, which shall end so, and returns all that it said."""
        return slapos(*words, code=code, timeout=120)[0]

    def node(self, *words, code=0):
        return self.run("node", *words, code=code)

    def service(self, title):
        """What `slapos service info` says, which prints JSON after its log."""
        said = self.run("service", "info", title, "--news")
        return json.loads(said[said.index("\n{"):said.rindex("}") + 1])

    def status(self, endpoint, **asked):
        asked["computer_id"] = self.computer
        answer = self.master._connection_helper.GET(endpoint, params=asked)
        return loads(answer)

    def software(self, url):
        """What was last heard of a release on the computer."""
        return self.status("getSoftwareInstallationStatus", url=url)

    def instance(self, partition):
        return self.status("getComputerPartitionStatus", computer_partition_id=partition)["text"]

    def supplied(self):
        return {it.getURI(): it.getState() for it in self.as_node.registerComputer(self.computer).getSoftwareReleaseList()}

    def partitions(self):
        """The busy partitions by the titles of what is in them."""
        fetched = self.as_node.registerComputer(self.computer).getComputerPartitionList()
        return {it.getInstanceParameterDict()["instance_title"]: it for it in fetched if hasattr(it, "_parameter_dict")}

    def timestamp(self, title):
        return int(self.partitions()[title].getInstanceParameterDict()["timestamp"])

    def request(self, title, release, color, state="started"):
        return self.order.request(
            release, title, partition_parameter_kw={"color": color}, filter_kw={"computer_guid": self.computer}, state=state)


def prepare(world):
    step("format")
    world.node("format", "--now")
    found = world.as_node.registerComputer(world.computer).getComputerPartitionList()
    assert [it.getId() for it in found] == ["slappart0", "slappart1"], found
    assert {it.getState() for it in found} == {"destroyed"}
    for index in (0, 1):
        assert os.path.exists(inside("slappart%d" % index, ".slapos-resource"))
        assert os.path.exists("/sys/class/net/original%d" % index)
    # Without a certificate nobody can be told to be the node.
    heard = world.status("getComputerStatus")["text"]
    assert heard.startswith("#access" if world.tls else "#error no data"), heard


def build(world, *releases):
    for release in releases:
        world.run("supply", release, world.computer)
    assert set(world.supplied().items()) == {(it, "available") for it in releases}
    assert world.software(releases[0])["no_data"] == 1, world.software(releases[0])
    node = subprocess.Popen(["slapos", "node", "software", "--cfg", CONFIGURATION], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    try:
        eventually("the master hears of the building",
                   lambda: world.software(releases[0])["text"] == "#building software release " + releases[0])
    finally:
        said = node.communicate(timeout=240)[0]
    assert node.returncode == (1 if BROKEN in releases else 0), said
    for release in releases:
        heard = world.software(release)["text"]
        if release == BROKEN:
            assert heard.startswith("#error while installing"), heard
        else:
            assert heard == "#access software release %s available" % release, (heard, said)


def life(world):
    """One instance, from its request to a moment before its end."""
    step("a release is built")
    build(world, WEB)

    step("an instance is requested, and started")
    one = world.request("one", WEB, "blue")
    assert (one.getId(), one.getConnectionParameterDict()) == ("slappart0", {}), one.getId()
    heard = world.instance("slappart0")
    assert heard.startswith("#error no data found"), heard
    world.node("instance")
    assert page("slappart0") == "blue"
    assert world.instance("slappart0") == "#access Instance correctly started", world.instance("slappart0")
    one = world.request("one", WEB, "blue")
    told = one.getConnectionParameterDict()
    assert told["color"] == "blue" and told["url"].startswith("http://[2001:db8:5ef::"), told
    info = world.service("one")
    assert (info["status"], info["connection-parameters"]) == ("green", told), info
    if world.tls:
        with open(os.path.join(CERTIFICATES, "slappart0.crt")) as certificate:
            assert certificate.read().startswith("-----BEGIN CERTIFICATE-----")

    step("its promise holds; what is up to date is left alone")
    world.node("promise")
    runs = processed("slappart0")
    world.node("instance")
    assert processed("slappart0") == runs

    step("a changed parameter is taken over")
    before = world.timestamp("one")
    world.request("one", WEB, "green")
    assert world.timestamp("one") > before
    world.node("instance")
    # The service reads the page anew; what was published is what is served.
    assert (page("slappart0"), processed("slappart0")) == ("green", runs + 1)
    assert world.request("one", WEB, "green").getConnectionParameterDict()["color"] == "green"

    step("a failing promise is told")
    write(inside("slappart0", "www", "broken"), "")
    said = world.node("promise", code=2)
    assert "somebody broke it" in said, said
    before = world.timestamp("one")
    world.node("instance")
    assert world.timestamp("one") > before, "the promise's bang has the instance processed again"
    heard = world.instance("slappart0")
    assert heard.startswith("#error ") and "somebody broke it" in heard, heard
    assert world.service("one")["status"] == "red"
    world.node("instance", code=2)
    heard = world.instance("slappart0")
    assert heard.startswith("#error while instanciating: ") and "somebody broke it" in heard, heard
    assert processed("slappart0") == runs + 2

    step("and is told when it holds again")
    os.remove(inside("slappart0", "www", "broken"))
    world.node("instance")
    assert world.instance("slappart0") == "#access Instance correctly started", world.instance("slappart0")
    assert processed("slappart0") == runs + 3

    step("the watchdog bangs for a service that died, and the node starts it again")
    before = world.timestamp("one")
    said = world.node("status")
    served, = (line.split("pid ")[1].split(",")[0] for line in said.splitlines() if "web-on-watch" in line)
    os.kill(int(served), signal.SIGKILL)
    eventually("the watchdog has the instance processed again", lambda: world.timestamp("one") > before)
    assert world.instance("slappart0").startswith("#error bang called: "), world.instance("slappart0")
    assert page("slappart0") is None
    world.node("instance")
    assert page("slappart0") == "green"

    step("what it used is reported")
    world.node("report")
    assert os.listdir(inside("slappart0", "var", "xml_report")) == []

    step("it is stopped, and started again")
    stopped = world.request("one", WEB, "green", "stopped")
    assert stopped.getState() == "stopped"
    world.node("instance")
    assert page("slappart0") is None
    assert world.instance("slappart0") == "#access Instance correctly stopped", world.instance("slappart0")
    world.request("one", WEB, "green")
    world.node("instance")
    assert page("slappart0") == "green"


def destroy_one(world):
    step("it is destroyed: stopped at once, gone after the next report")
    world.order.request(WEB, "one", filter_kw={"computer_guid": world.computer}, state="destroyed")
    assert world.partitions()["one"].getState() == "destroyed"
    world.node("instance", "--only-cp", "slappart0")
    assert page("slappart0") is None
    assert world.instance("slappart0") == "#access Instance correctly stopped", world.instance("slappart0")
    world.node("report")
    assert "one" not in world.partitions()
    assert os.listdir(inside("slappart0")) == []
    assert glob.glob(os.path.join(CERTIFICATES, "slappart0.*")) == []
    raises(ResourceNotReady, world.order.request(WEB, "one", state="destroyed").getId)
    world.node("format", "--now")
    assert os.path.exists(inside("slappart0", ".slapos-resource"))


def tree(world):
    """A root with a child, on a computer that has room for the root only, at first."""
    step("a release that cannot be built, beside one that can")
    world.run("supply", BROKEN, world.computer)
    world.run("supply", ROOT, world.computer)
    said = world.node("software", code=1)
    assert world.software(ROOT)["text"] == "#access software release %s available" % ROOT, said
    heard = world.software(BROKEN)["text"]
    assert heard.startswith("#error while installing " + BROKEN) and "'nowhere'" in heard, heard

    step("a root whose child has no place yet")
    root = world.request("top", ROOT, "red")
    assert root.getId() == "slappart1", root.getId()
    world.node("instance", code=1)
    heard = world.instance("slappart1")
    assert heard.startswith("#error while instanciating: "), heard
    assert set(world.partitions()) == {"one", "top"}
    destroy_one(world)

    step("the child gets the place that became free, and the root waits for what it publishes")
    child = world.partitions()["page of the root"]
    assert child.getId() == "slappart0"
    assert child.getInstanceParameterDict()["root_instance_title"] == "top"
    before = world.timestamp("top")
    world.node("instance", "--only-cp", "slappart1", code=1)
    heard = world.instance("slappart1")
    assert heard.startswith("#error while instanciating: ") and "Connection parameter" in heard, heard
    world.node("instance", "--only-cp", "slappart0")
    assert page("slappart0") == "red"
    assert world.timestamp("top") > before, "a child that published has its requester processed again"
    world.node("instance")
    assert world.instance("slappart1") == "#access Instance correctly started"
    told = world.request("top", ROOT, "red").getConnectionParameterDict()
    assert told["child-color"] == "red" and told["child-url"].startswith("http://[2001:db8:5ef::"), told

    step("a parameter of the root reaches the child, and what the child then publishes the root")
    world.request("top", ROOT, "black")
    for partition in ("slappart1", "slappart0", "slappart1"):
        world.node("instance", "--only-cp", partition)
    told = world.request("top", ROOT, "black").getConnectionParameterDict()
    assert (told["child-color"], page("slappart0")) == ("black", "black"), told

    step("a stopped root stops its child")
    world.request("top", ROOT, "black", "stopped")
    world.node("instance")
    assert page("slappart0") is None
    for partition in ("slappart0", "slappart1"):
        assert world.instance(partition) == "#access Instance correctly stopped", world.instance(partition)

    step("a destroyed root takes its child with it")
    world.order.request(ROOT, "top", filter_kw={"computer_guid": world.computer}, state="destroyed")
    for _ in range(2):
        world.node("report")
        if not world.partitions():
            break
    assert world.partitions() == {}, world.partitions()
    for partition in ("slappart0", "slappart1"):
        assert os.listdir(inside(partition)) == []


def remove(world):
    step("software is removed")
    releases = list(world.supplied())
    for release in releases:
        world.run("remove", release, world.computer)
    assert set(world.supplied().values()) == {"destroyed"}
    world.node("software")
    assert world.supplied() == {}, world.supplied()
    assert os.listdir(SOFTWARE) == []
    for release in releases:
        raises(NotFoundError, world.software, release)


def describe(world):
    step("a node that reads its addresses in a file announces them, with prefix lengths for netmasks")
    lines = ["[computer]", "address = 2001:db8:5ef::1/48"]
    for index in (0, 1):
        lines += [
            "[partition_%d]" % index,
            "address = 10.77.0.%d/32 2001:db8:5ef::%d/48" % (index + 2, index + 2),
            "user = slapuser%d" % index,
            "network_interface = slapbr0",
            "pathname = slappart%d" % index,
        ]
    write("/srv/definition.cfg", "\n".join(lines) + "\n")
    world.node("format", "--now", "--alter_network", "False", "--input_definition_file", "/srv/definition.cfg")
    world.run("supply", WEB, world.computer)
    world.request("described", WEB, "blue")
    addresses = world.partitions()["described"].getInstanceParameterDict()["ip_list"]
    assert sorted(addresses) == [("slapbr0", "10.77.0.2"), ("slapbr0", "2001:db8:5ef::2")], addresses


def main():
    world = World(json.load(sys.stdin))
    lay_out(RELEASES, RELEASES, "/opt/slapos/wheels", "none")
    prepare(world)
    life(world)
    if world.tls:
        destroy_one(world)
        remove(world)
        describe(world)
    else:
        tree(world)
        remove(world)
    print("all %d steps" % step_number)


BEGUN = time.monotonic()
main()
