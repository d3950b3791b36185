"""Has the original's node make one instance, and describes it: as root in the namespaces that furnish.sh furnishes.

    beside.py MASTER COMPUTER RELEASE COLOR SHARING

Prints one JSON object on its last line: the partition as describe.py has it, what it published, and what the release SHARING has left
where releases share parts.
"""
import json
import os
import shutil
import subprocess
import sys
import warnings

warnings.filterwarnings("ignore")

from describe import describe
from slapos.grid.utils import md5digest
from slapos.slap import slap

MASTER, COMPUTER, RELEASE, COLOR, SHARING = sys.argv[1:]
SHARED = "/srv/node/software/.shared"
CONFIGURATION = "/srv/slapos.cfg"
SETTINGS = """[slapos]
software_root = /srv/node/software
shared_part_list = {shared}
instance_root = /srv/node/instance
master_url = {master}
computer_id = {computer}
software_min_free_space = 1M
instance_min_free_space = 1M
[slapformat]
interface_name = slapbr0
ipv4_local_network = 10.77.0.0/16
partition_amount = 1
partition_base_name = slappart
user_base_name = slapuser
tap_base_name = original
computer_xml = /srv/node/computer.xml
[slapconsole]
"""


def node(*words):
    command = ["slapos", "node"] + list(words) + ["--cfg", CONFIGURATION]
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    assert ended.returncode == 0, "%s: exit %s\n%s" % (" ".join(command), ended.returncode, ended.stdout)


def main():
    os.makedirs("/srv/node")
    with open(CONFIGURATION, "w") as out:
        out.write(SETTINGS.format(master=MASTER, computer=COMPUTER, shared=SHARED))
    node("format", "--now")
    os.mkdir(SHARED)
    shutil.chown(SHARED, "slapsoft", "slapsoft")
    master = slap()
    master.initializeConnection(MASTER)
    for release in (RELEASE, SHARING):
        master.registerSupply().supply(release, COMPUTER)
    node("software")

    def request():
        return master.registerOpenOrder().request(
            RELEASE, "of the original", partition_parameter_kw={"color": COLOR}, filter_kw={"computer_guid": COMPUTER})

    request()
    node("instance")
    described = describe("/srv/node/instance/slappart0")
    described["shared"] = sorted(
        os.path.relpath(os.path.join(here, name), SHARED)
        for here, folders, names in os.walk(SHARED) for name in folders + names)
    with open(os.path.join("/srv/node/software", md5digest(SHARING), "buildout.cfg")) as profile:
        described["profile"] = profile.read().replace(SHARED, "@shared@")
    described["published"] = request().getConnectionParameterDict()
    subprocess.run(["slapos", "node", "stop", "all", "--cfg", CONFIGURATION], stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print(json.dumps(described))


main()
