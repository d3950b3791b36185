"""Describes a partition: what is in it, and what its promises say.

    describe.py FOLDER [PLACE]

prints one JSON object. The partition knows its own folder as PLACE, if that is another path. What differs from node to node (folders,
addresses, the computer) is told by placeholders, so that two nodes' partitions can be compared.
"""
import json
import os
import re
import stat
import sys

# What a file says is compared only where it says what the instance is, not how a run went.
TEXTS = ("buildout.cfg", "etc/", "www/color")


def describe(folder, place=None):
    place = place or folder
    with open(os.path.join(folder, ".slapos-resource")) as text:
        addresses = [it["addr"] for it in json.load(text)["address_list"]]
    files, texts = {}, {}
    for here, folders, names in os.walk(folder):
        # Caches, Python's and its command's, are nobody's.
        folders[:] = [name for name in folders if name not in ("__pycache__", ".cache")]
        for name in folders + names:
            path = os.path.join(here, name)
            shown = os.path.relpath(path, folder)
            mode = os.lstat(path).st_mode
            # Who may read what a node keeps for itself is each node's affair.
            files[shown] = kind(mode) if shown.startswith(".") else "%s %o" % (kind(mode), stat.S_IMODE(mode))
            if stat.S_ISREG(mode) and shown.startswith(TEXTS):
                texts[shown] = plain(path, place, addresses)
    return {"files": files, "texts": texts, "promises": promises(folder)}


def kind(mode):
    for test, name in ((stat.S_ISDIR, "folder"), (stat.S_ISLNK, "link"), (stat.S_ISREG, "file")):
        if test(mode):
            return name
    return "other"


def plain(path, place, addresses):
    with open(path) as lines:
        text = lines.read()
    text = text.replace(place, "@partition@")
    text = re.sub(r"/[^\s\"':]*software/([0-9a-f]{32})", r"@software@/\1", text)
    text = re.sub(r"/\S*software/\.shared", "@shared@", text)
    for address in addresses:
        text = text.replace(address, "@address@")
    text = re.sub(r"(computer.id *= *)\S*", r"\1@computer@", text)
    text = re.sub(r"sys.path\[0:0\] = .*", "sys.path[0:0] = @paths@", text)
    text = re.sub(r"(exec )?\S*/python[0-9.]*\b", "@python@", text)
    # What nobody reads but people, and as many empty lines as one likes.
    return [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def promises(folder):
    found = {}
    results = os.path.join(folder, ".slapgrid/promise/result")
    for name in sorted(os.listdir(results)):
        with open(os.path.join(results, name)) as text:
            said = json.load(text)
        result = said["result"]
        found[name] = [said["title"], said["name"], result["type"], result["failed"], result["message"]]
    return found


if __name__ == "__main__":
    print(json.dumps(describe(*sys.argv[1:])))
