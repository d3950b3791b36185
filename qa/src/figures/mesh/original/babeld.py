#!/usr/bin/env python3
"""Stands for the babeld that re6stnet expects: Debian's, which has a text socket where theirs has a binary one.

Asked with `-X SOCKET` it starts Debian's babeld with `-G` beside it, and answers on SOCKET: a byte 1 opens a conversation, then each
message is a type and a length before its content. Of the two requests, a dump is translated; a cost multiplier, which Debian's babeld
lacks, is remembered, and the routes of a neighbour that has one are hidden from dumps, which is what re6stnet waits for.
"""

import ipaddress
import os
import signal
import socket
import struct
import subprocess
import sys
import threading

DUMP, SET_COST_MULTIPLIER = 1, 2
INTERFACES, NEIGHBOURS, EXPORTED, INSTALLED = 1, 2, 4, 8
USUAL = 256
HEADER = struct.Struct("!HI")
multipliers = {}


def text_lines(path):
    """What babeld says to a dump."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        reader = connection.makefile("r")
        for request in None, b"dump\n":
            if request:
                connection.sendall(request)
            for line in reader:
                words = line.split()
                if words in (["ok"], ["bad"], ["no"]):
                    break
                if request and words[0] == "add":
                    # What it is, what it is called, and pairs of a word and its value.
                    yield words[1], words[2], dict(zip(words[3::2], words[4::2]))


def raw(address):
    address = ipaddress.ip_address(address)
    return address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed


def raw_prefix(prefix):
    network = ipaddress.ip_network(prefix)
    return raw(network.network_address), network.prefixlen + (96 if network.version == 4 else 0)


def index_of(interface):
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return 0


def dump(path, mask):
    interfaces, neighbours, exported, routes = [], [], [], []
    for what, name, it in text_lines(path):
        if what == "interface":
            interfaces.append(struct.pack("!I", index_of(name)) + name.encode() + b"\0")
        elif what == "neighbour":
            key = raw(it["address"]), index_of(it["if"])
            rtt = round(float(it.get("rtt", 0)) * 1000)
            neighbours.append(struct.pack(
                "!16sIHHHHHiHH", *key, int(it["reach"], 16), int(it["rxcost"]), int(it["txcost"]),
                min(rtt, 0xffff), int(it.get("rttcost", 0)), 0, 1, multipliers.get(key, USUAL)))
        elif what == "xroute":
            exported.append(struct.pack("!16sBH", *raw_prefix(it["prefix"]), int(it["metric"])))
        elif what == "route" and it["installed"] == "yes":
            via, index = raw(it["via"]), index_of(it["if"])
            if multipliers.get((via, index), USUAL) == USUAL:
                router = bytes.fromhex(it["id"].replace(":", ""))
                routes.append(struct.pack(
                    "!16sBHHH8siiI16s16sB", *raw_prefix(it["prefix"]), int(it["metric"]), int(it["metric"]),
                    int(it["refmetric"]), router, 0, 0, index, via, via, 1))
    parts = (INTERFACES, interfaces), (NEIGHBOURS, neighbours), (EXPORTED, exported), (INSTALLED, routes)
    arrays = ((mask & bit and items) or [] for bit, items in parts)
    return b"".join(struct.pack("!H", len(items)) + b"".join(items) for items in arrays)


def serve(connection, path):
    reader = connection.makefile("rb")
    reader.read(1)
    while header := reader.read(HEADER.size):
        kind, length = HEADER.unpack(header)
        content = reader.read(length)
        if kind == DUMP:
            answer = dump(path, content[0])
        else:
            *key, multiplier = struct.unpack("!16sIH", content)
            multipliers[tuple(key)] = multiplier
            answer = b"\1"
        connection.sendall(HEADER.pack(kind, len(answer)) + answer)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    found = [it for it in os.environ["PATH"].split(":") if os.path.abspath(it) != here]
    environment = dict(os.environ, PATH=":".join(found))
    words = sys.argv[1:]
    at = words.index("-X")
    path = words[at + 1]
    words[at:at + 2] = ["-G", path + ".text"]
    # Only theirs knows it; it is about default routes, of which there are none here.
    while ["-C", "ipv6-subtrees false"] in (pairs := [words[i:i + 2] for i in range(len(words))]):
        at = pairs.index(["-C", "ipv6-subtrees false"])
        del words[at:at + 2]
    for old in path, path + ".text":
        if os.path.exists(old):
            os.unlink(old)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    babeld = subprocess.Popen(["babeld", *words], env=environment)
    signal.signal(signal.SIGTERM, lambda *_: babeld.terminate())

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, path + ".text"), daemon=True).start()

    listener.listen()
    threading.Thread(target=accept, daemon=True).start()
    sys.exit(babeld.wait())


main()
