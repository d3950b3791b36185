"""Enrols nodes with re6stnet's registry, on whose machine it runs, and prints which got which address."""

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

url, folder, *nodes = sys.argv[1:]
conf = os.path.join(os.path.dirname(sys.executable), "re6st-conf")


def ask(path):
    # Only from here are tokens made, and the registry knows that by its own address.
    with urllib.request.urlopen(f"http://127.0.0.1/{path}", timeout=5) as answer:
        return answer.read()


def wait_for_registry():
    for attempt in range(100):
        try:
            return ask("getCa")
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    sys.exit("the registry does not answer")


wait_for_registry()
for node in nodes:
    place = f"{folder}/node-{node}"
    os.makedirs(place)
    ask(f"addToken?email=node{node}@localhost&token=token{node}")
    ended = subprocess.run(
        [conf, "--registry", url, "--token", f"token{node}", "--dir", place],
        capture_output=True, text=True)
    subnet = re.search(r"Your subnet: (\S+)/", ended.stdout)
    if not subnet:
        sys.exit(ended.stdout + ended.stderr)
    print(node, subnet.group(1) + "1", flush=True)
