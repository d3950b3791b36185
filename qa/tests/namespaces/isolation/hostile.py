#!/usr/bin/python3
"""A service that tries what it must not, each attempt in a process of its own, and writes down what came of it.

    hostile.py serve     in a partition; its parameters `own` and `other` are {"partition", "ipv6", "ipv4", "number"} in JSON
    hostile.py root      as root, confined by nothing: shows that what fails in a partition fails since it is one

Writes down {attempt: {on whom: outcome}}, an outcome being "done" or why not. Attempts on its own show that those on the other could
succeed.
"""
import ctypes
import json
import os
import resource
import signal
import socket
import struct
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
SRV = "/srv/slapgrid/"
PORT = 9700


def check(result):
    """Turns what a call of the C library says into what Python says."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def syscall(number, *arguments):
    return check(libc.syscall(number, *(ctypes.c_long(it) if isinstance(it, int) else it for it in arguments)))


class Place(object):
    """A partition, with all that its service lays out to be found."""

    def __init__(self, told):
        self.name, self.ipv6, self.ipv4 = told["partition"], told["ipv6"], told["ipv4"]
        self.key = 0x51a90000 + told["number"]
        self.folder = SRV + self.name
        self.marker = "found-in-" + self.name

    def lay_out(self):
        """As careless as a program can be: everything is for everybody."""
        os.umask(0)
        with open(self.folder + "/secret", "w") as out:
            out.write(self.marker)
        for folder in ("/tmp", "/dev/shm"):
            with open("%s/%s" % (folder, self.marker), "w") as out:
                out.write(self.marker)
        check(libc.shmget(self.key, 4096, 0o1666))
        self.kept = [self.listen("\0" + self.marker), self.listen(self.folder + "/socket")]
        child = os.fork()
        if child == 0:
            os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(1e6)", self.marker])

    def listen(self, address):
        server = socket.socket(socket.AF_UNIX)
        if not address.startswith("\0") and os.path.exists(address):
            os.unlink(address)
        server.bind(address)
        server.listen()
        return server


# What is tried on the own partition, and on another.

def read_a_file(it):
    assert open(it.folder + "/secret").read() == it.marker


def read_its_resource(it):
    open(it.folder + "/.slapos-resource").read()


def list_the_folder(it):
    assert os.listdir(it.folder)


def write_a_file(it):
    with open(it.folder + "/planted", "w") as out:
        out.write("planted")


def link_a_file(it):
    path = os.path.join(SRV + OWN.name, "link")
    if os.path.lexists(path):
        os.unlink(path)
    os.link(it.folder + "/secret", path)


def connect_to_its_socket(it):
    socket.socket(socket.AF_UNIX).connect(it.folder + "/socket")


def connect_to_its_abstract_socket(it):
    socket.socket(socket.AF_UNIX).connect("\0" + it.marker)


def find_it_in_tmp(it):
    open("/tmp/" + it.marker).read()


def find_it_in_dev_shm(it):
    open("/dev/shm/" + it.marker).read()


def attach_its_memory(it):
    check(libc.shmget(it.key, 4096, 0))


def is_of(it, pid):
    try:
        with open("/proc/%d/cmdline" % pid) as line:
            return it.marker in line.read()
    except OSError:
        return False


def see_its_processes(it):
    assert any(is_of(it, int(pid)) for pid in os.listdir("/proc") if pid.isdigit()), "none is seen"


def own_processes():
    return {int(pid) for pid in os.listdir("/proc") if pid.isdigit()}


def signal_processes(it):
    """Its own are those that it sees; all others are somebody else's."""
    mine = own_processes()
    for pid in mine if it is OWN else (pid for pid in range(1, 1 << 16) if pid not in mine):
        try:
            os.kill(pid, 0)
            return
        except OSError:
            pass
    raise OSError("none is reached")


def bind_its_ipv6(it):
    with socket.socket(socket.AF_INET6) as server:
        server.bind((it.ipv6, PORT))


def bind_its_ipv4(it):
    with socket.socket(socket.AF_INET) as server:
        server.bind((it.ipv4, PORT))


OF_PARTITIONS = [
    read_a_file, read_its_resource, list_the_folder, write_a_file, link_a_file, connect_to_its_socket,
    connect_to_its_abstract_socket, find_it_in_tmp, find_it_in_dev_shm, attach_its_memory, see_its_processes,
    signal_processes, bind_its_ipv6, bind_its_ipv4,
]

# What is tried on the node, as a partition and as root.


def read_what_the_agent_keeps():
    assert open("/var/lib/slapbox/configuration.toml").read()


def read_shadow():
    assert "root:" in open("/etc/shadow").read()


def list_the_partitions():
    assert len(os.listdir(SRV)) > 3, "no more than its own is there"


def trace_the_first_process():
    PTRACE_SEIZE = 0x4206
    check(libc.ptrace(PTRACE_SEIZE, 1, 0, 0))


def read_memory_of_the_first_process():
    with open("/proc/1/mem", "rb"):
        pass


def mount_a_file_system():
    check(libc.mount(b"tmpfs", b"/mnt", b"tmpfs", 0, None))


def unshare_users():
    check(libc.unshare(0x10000000))


def unshare_mounts():
    check(libc.unshare(0x20000))


def make_a_device():
    os.mknod(os.path.join(os.environ.get("HOME", "/tmp"), "kmsg"), 0o600 | 0x2000, os.makedev(1, 11))


def become_root():
    os.setgroups([])
    os.setresuid(0, 0, 0)


def become_another_user():
    other = os.getuid() + 1
    os.setresuid(other, other, other)


def make_a_program_for_others():
    path = os.path.join(os.environ.get("HOME", "/tmp"), "suid")
    with open(path, "w"):
        os.chmod(path, 0o4755)


def raise_a_limit():
    for limit in (100, 101):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def go_first():
    os.setpriority(os.PRIO_PROCESS, 0, -5)


def run_in_real_time():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def make_a_control_group():
    os.mkdir("/sys/fs/cgroup/hostile")
    os.rmdir("/sys/fs/cgroup/hostile")


def change_a_setting_of_the_kernel():
    with open("/proc/sys/vm/swappiness") as setting:
        value = setting.read()
    with open("/proc/sys/vm/swappiness", "w") as setting:
        setting.write(value)


def call_the_bus():
    socket.socket(socket.AF_UNIX).connect("/run/dbus/system_bus_socket")


def call_systemd():
    socket.socket(socket.AF_UNIX).connect("/run/systemd/private")


def load_a_module():
    """No module is loaded: a file that is none is refused for what it is, where one may load any."""
    try:
        syscall(313, os.open("/dev/null", os.O_RDONLY), ctypes.c_char_p(b""), 0)
    except PermissionError:
        raise
    except OSError:
        pass


def read_the_kernels_log():
    check(libc.klogctl(3, ctypes.create_string_buffer(4096), 4096))


def load_a_program_into_the_kernel():
    BPF_MAP_CREATE = 0
    attributes = ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 4, 1), 128)
    syscall(321, BPF_MAP_CREATE, attributes, 128)


def open_by_handle():
    AT_FDCWD, handle = -100, ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 136)
    mount = ctypes.c_int()
    syscall(303, AT_FDCWD, ctypes.c_char_p(b"/srv"), handle, ctypes.byref(mount), 0)
    syscall(304, os.open("/srv", os.O_RDONLY), handle, os.O_RDONLY)


def listen_to_the_wire():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300)


def send_any_packet():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)


def add_an_address():
    """RTM_NEWADDR of 10.9.9.9/32 on lo, the first interface."""
    body = struct.pack("BBBBI", socket.AF_INET, 32, 0, 0, 1) + struct.pack("HH4s", 8, 2, bytes((10, 9, 9, 9)))
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    netlink.send(struct.pack("IHHII", 16 + len(body), 20, 5 | 0x400, 1, 0) + body)
    answer = netlink.recv(4096)
    number, = struct.unpack_from("i", answer, 16)
    if number:
        raise OSError(-number, os.strerror(-number))


def use_a_low_port():
    with socket.socket(socket.AF_INET6) as server:
        server.bind(("::1", 700))


OF_THE_NODE = [
    read_what_the_agent_keeps, read_shadow, list_the_partitions, trace_the_first_process, read_memory_of_the_first_process,
    mount_a_file_system, unshare_users, unshare_mounts, make_a_device, become_root, become_another_user,
    make_a_program_for_others, raise_a_limit, go_first, run_in_real_time, make_a_control_group,
    change_a_setting_of_the_kernel, call_the_bus, call_systemd, load_a_module, read_the_kernels_log,
    load_a_program_into_the_kernel, open_by_handle, listen_to_the_wire, send_any_packet, add_an_address, use_a_low_port,
]


def outcome(attempt, *arguments):
    """Tries it in a process of its own: one may be killed for it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            attempt(*arguments)
            said = "done"
        except BaseException as exc:
            said = "%s: %s" % (type(exc).__name__, exc)
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with open(read) as text:
        said = text.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "killed by signal %d" % os.WTERMSIG(status)
    return said


def fork_until_refused():
    """How many processes it can have beside this one; they end with it."""
    children = []
    try:
        while len(children) < 20000:
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
    except OSError:
        pass
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return len(children)


def serve():
    global OWN
    with open(os.environ["SLAPOS_PARAMETERS"]) as told:
        told = json.load(told)["parameters"]
    OWN, other = (Place(json.loads(told[name])) for name in ("own", "other"))
    OWN.lay_out()
    wanted = "/srv/slapgrid/%s/go" % OWN.name
    # Both have laid out what they have before either tries anything.
    while not os.path.exists(wanted):
        time.sleep(0.05)
    tried = {it.__name__: {"own": outcome(it, OWN), "other": outcome(it, other)} for it in OF_PARTITIONS}
    tried.update((it.__name__, {"node": outcome(it)}) for it in OF_THE_NODE)
    tried["processes"] = fork_until_refused()
    with open(OWN.folder + "/.tried", "w") as out:
        json.dump(tried, out)
    os.rename(OWN.folder + "/.tried", OWN.folder + "/tried.json")
    signal.pause()


def as_root():
    json.dump({it.__name__: outcome(it) for it in OF_THE_NODE}, sys.stdout)


{"serve": serve, "root": as_root}[sys.argv[1]]()
