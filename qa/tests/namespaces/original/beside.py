"""Has the original's node make one instance, and describes it: as root in the namespaces that furnish.sh furnishes.

    beside.py MASTER COMPUTER RELEASE COLOR SHARING

Prints one JSON object on its last line: the partition as describe.py has it, what it published, and what the release SHARING has left
where releases share parts.
"""
import json
import os
import shutil
import sys
import warnings

warnings.filterwarnings("ignore")
sys.path.append("/opt/slapos/tests")

from computer import INSTANCES, SOFTWARE, configure, slapos, stop
from describe import describe
from slapos.grid.utils import md5digest
from slapos.slap import slap

MASTER, COMPUTER, RELEASE, COLOR, SHARING = sys.argv[1:]
SHARED = os.path.join(SOFTWARE, ".shared")


def main():
    configure(MASTER, COMPUTER, 1, node="shared_part_list = " + SHARED)
    slapos("node", "format", "--now")
    os.mkdir(SHARED)
    shutil.chown(SHARED, "slapsoft", "slapsoft")
    master = slap()
    master.initializeConnection(MASTER)
    for release in (RELEASE, SHARING):
        master.registerSupply().supply(release, COMPUTER)
    slapos("node", "software")

    def request():
        return master.registerOpenOrder().request(
            RELEASE, "of the original", partition_parameter_kw={"color": COLOR}, filter_kw={"computer_guid": COMPUTER})

    request()
    slapos("node", "instance")
    described = describe(os.path.join(INSTANCES, "slappart0"))
    described["shared"] = sorted(
        os.path.relpath(os.path.join(here, name), SHARED)
        for here, folders, names in os.walk(SHARED) for name in folders + names)
    with open(os.path.join(SOFTWARE, md5digest(SHARING), "buildout.cfg")) as profile:
        described["profile"] = profile.read().replace(SHARED, "@shared@")
    described["published"] = request().getConnectionParameterDict()
    stop()
    print(json.dumps(described))


main()
