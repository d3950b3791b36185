"""Recipes that need nothing but buildout, for machines that take long for everything. They call the master as slapos.core does, with the
certificate of the partition where it has one."""
import os
import re
import ssl
import sys
from html import escape
from urllib.parse import urlencode
from urllib.request import urlopen

INSTANCE = """[buildout]
parts = page
eggs-directory = {eggs}
develop-eggs-directory = {develop}

[page]
recipe = small:page
server-url = ${{slap-connection:server-url}}
computer-id = ${{slap-connection:computer-id}}
partition-id = ${{slap-connection:partition-id}}
key-file = ${{slap-connection:key-file}}
cert-file = ${{slap-connection:cert-file}}
"""
PROMISE = """#!{python}
from urllib.request import urlopen
urlopen({url!r}, timeout=10)
"""


def put(path, text, mode=0o600):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as out:
        out.write(text)
    os.chmod(path, mode)


class Profile:
    """Writes the profile of instances, which know where their recipes are."""

    def __init__(self, buildout, name, options):
        self.buildout = buildout["buildout"]

    def install(self):
        eggs, develop = self.buildout["eggs-directory"], self.buildout["develop-eggs-directory"]
        path = os.path.join(self.buildout["directory"], "instance.cfg")
        put(path, INSTANCE.format(eggs=eggs, develop=develop), 0o644)
        return path

    update = install


class Page:
    """A page that says its greeting."""

    def __init__(self, buildout, name, options):
        self.options = options
        self.folder = buildout["buildout"]["directory"]
        of_partition = (options["computer-id"], options["partition-id"])
        asked = self.call("registerComputerPartition", dict(zip(("computer_reference", "computer_partition_reference"), of_partition)))
        self.greeting = re.search("<string>greeting</string><string>(.*?)</string>", asked).group(1)
        self.address = re.search("<string>(f[cd][0-9a-f:]+)</string>", asked).group(1)
        self.of_partition = dict(zip(("computer_id", "computer_partition_id"), of_partition))

    def call(self, path, query, form=None):
        url = "%s/%s" % (self.options["server-url"].rstrip("/"), path)
        if query:
            url += "?" + urlencode(query)
        context = None
        if url.startswith("https:"):
            # As slapos.core: who answers is not asked. Who calls is known by its certificate.
            context = ssl._create_unverified_context()
            context.load_cert_chain(self.options["cert-file"], self.options["key-file"])
        form = form and urlencode(form).encode()
        with urlopen(url, form, timeout=60, context=context) as answer:
            return answer.read().decode()

    def install(self):
        www = os.path.join(self.folder, "www")
        url = "http://[%s]:8080/" % self.address
        put(os.path.join(www, "index.html"), escape(self.greeting))
        serve = "#!/bin/sh\nexec %s -m http.server 8080 --bind %s --directory %s\n" % (sys.executable, self.address, www)
        put(os.path.join(self.folder, "etc/service/web"), serve, 0o700)
        promise = PROMISE.format(python=sys.executable, url=url)
        put(os.path.join(self.folder, "etc/promise/web"), promise, 0o700)
        published = '<marshal><dictionary id="i2"><string>url</string><string>%s</string></dictionary></marshal>' % url
        self.call("setComputerPartitionConnectionXml", None, dict(self.of_partition, connection_xml=published))
        return []

    update = install
