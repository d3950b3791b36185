"""Measures the original's node: as root in the namespaces that furnish.sh furnishes, at a master that lets anyone do everything.

    original.py MASTER COMPUTER RELEASE PARTITIONS

Prints one JSON object of seconds on its last line; processor time is that of the commands and of all that they waited for, which the
services and the supervisor are not. Both passes over unchanged instances are those that its cron makes each minute. `alone` is what
zc.buildout itself takes of a changed one: the least that any node can that has it, and a process for it in each partition.
"""
import json
import os
import resource
import subprocess
import sys
import time
import warnings

warnings.filterwarnings("ignore")
sys.path.append("/opt/slapos/tests")

from computer import INSTANCES, configure, slapos, stop
from slapos.slap import slap

MASTER, COMPUTER, RELEASE, COUNT = sys.argv[1:5]
COUNT = int(COUNT)


def timed(*words):
    """Runs `slapos node …` to its end, and returns how long that took."""
    return slapos("node", *words)[1]


def processed(orders):
    """Whether each partition was: the node notes the order itself, as ours does."""
    for partition, order in orders.items():
        with open("%s/%s/.timestamp" % (INSTANCES, partition)) as note:
            assert note.read() == order, partition


def alone():
    """Has zc.buildout do again what it did for the node, and no node around it."""
    begun = time.time()
    for number in range(COUNT):
        place = "%s/slappart%d" % (INSTANCES, number)
        owner = os.stat(place)
        buildout = os.path.realpath(place + "/software_release") + "/bin/buildout"
        subprocess.run([buildout, "-U"], cwd=place, user=owner.st_uid, group=owner.st_gid, extra_groups=[],
                       env={"HOME": place, "PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, check=True)
    return time.time() - begun


def main():
    configure(MASTER, COMPUTER, COUNT)
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
    before = spent()
    took["alone"] = alone()
    took["alone_cpu"] = spent() - before
    took["unchanged"] = sorted(timed("instance") for _ in range(3))[1]
    stop()
    print(json.dumps(took))


main()
