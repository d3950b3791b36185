"""A computer with the original's node: its configuration and its command, in the namespaces that furnish.sh furnishes."""
import os
import subprocess
import time

CONFIGURATION = "/srv/slapos.cfg"
INSTANCES, SOFTWARE = "/srv/node/instance", "/srv/node/software"
SETTINGS = """[slapos]
software_root = {software}
instance_root = {instances}
master_url = {master}
computer_id = {computer}
software_min_free_space = 1M
instance_min_free_space = 1M
{node}
[slapformat]
interface_name = slapbr0
ipv4_local_network = 10.77.0.0/16
partition_amount = {count}
partition_base_name = slappart
user_base_name = slapuser
tap_base_name = original
computer_xml = /srv/node/computer.xml
[slapconsole]
{person}
"""


def configure(master, computer, count, node="", person=""):
    """Writes what the node is told; `node` and `person` are more settings of either."""
    os.makedirs("/srv/node", exist_ok=True)
    told = SETTINGS.format(
        software=SOFTWARE, instances=INSTANCES, master=master, computer=computer, count=count, node=node, person=person)
    with open(os.open(CONFIGURATION, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(told)


def slapos(*words, code=0, timeout=None):
    """Runs `slapos …`, which shall end so, and returns all that it said and how many seconds it took."""
    begun = time.time()
    ended = subprocess.run(
        ["slapos"] + list(words) + ["--cfg", CONFIGURATION], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, universal_newlines=True, timeout=timeout)
    said = "slapos %s: exit %s\n%s" % (" ".join(words), ended.returncode, ended.stdout)
    assert ended.returncode == code, said
    return said, time.time() - begun


def stop():
    """Ends all services, and whatever supervises them."""
    subprocess.run(["slapos", "node", "stop", "all", "--cfg", CONFIGURATION], stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
