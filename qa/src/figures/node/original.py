"""Measures the original's node: as root in the namespaces that furnish.sh furnishes, at a master that lets anyone do everything.

    original.py MASTER COMPUTER RELEASE PARTITIONS

Prints one JSON object of seconds on its last line; processor time is that of the commands and of all that they waited for, which the
services and the supervisor are not. Both passes over unchanged instances are those that its cron makes each minute.
"""
import json
import os
import resource
import subprocess
import sys
import time
import warnings

warnings.filterwarnings("ignore")

from slapos.slap import slap

MASTER, COMPUTER, RELEASE, COUNT = sys.argv[1:5]
COUNT = int(COUNT)
CONFIGURATION = "/srv/slapos.cfg"
SETTINGS = """[slapos]
software_root = /srv/node/software
instance_root = /srv/node/instance
master_url = {master}
computer_id = {computer}
software_min_free_space = 1M
instance_min_free_space = 1M
[slapformat]
interface_name = slapbr0
ipv4_local_network = 10.77.0.0/16
partition_amount = {count}
partition_base_name = slappart
user_base_name = slapuser
tap_base_name = original
computer_xml = /srv/node/computer.xml
[slapconsole]
"""


def timed(*words):
    """Runs `slapos node …` to its end, and returns how long that took."""
    begun = time.time()
    ended = subprocess.run(
        ["slapos", "node"] + list(words) + ["--cfg", CONFIGURATION], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, universal_newlines=True)
    assert ended.returncode == 0, "slapos node %s: exit %s\n%s" % (" ".join(words), ended.returncode, ended.stdout)
    return time.time() - begun


def processed(orders):
    """Whether each partition was: the node notes the order itself, as ours does."""
    for partition, order in orders.items():
        with open("/srv/node/instance/%s/.timestamp" % partition) as note:
            assert note.read() == order, partition


def main():
    os.makedirs("/srv/node")
    with open(CONFIGURATION, "w") as out:
        out.write(SETTINGS.format(master=MASTER, computer=COMPUTER, count=COUNT))
    took = {"format": timed("format", "--now")}
    master = slap()
    master.initializeConnection(MASTER)
    master.registerSupply().supply(RELEASE, COMPUTER)
    took["software"] = timed("software")
    order = master.registerOpenOrder()

    def process(color):
        for number in range(COUNT):
            order.request(RELEASE, "original %d" % number, partition_parameter_kw={"color": color},
                          filter_kw={"computer_guid": COMPUTER})
        spent = timed("instance")
        fetched = master.registerComputer(COMPUTER).getComputerPartitionList()
        orders = {it.getId(): str(it.getInstanceParameterDict()["timestamp"]) for it in fetched}
        assert len(orders) == COUNT
        processed(orders)
        return spent

    def spent():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    took["new"] = process("red")
    before = spent()
    took["changed"] = process("blue")
    took["changed_cpu"] = spent() - before
    took["unchanged"] = sorted(timed("instance") for _ in range(3))[1]
    subprocess.run(["slapos", "node", "stop", "all", "--cfg", CONFIGURATION], stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print(json.dumps(took))


main()
