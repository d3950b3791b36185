"""Pushes an OCI layout archive to a registry: push.py ARCHIVE REGISTRY NAME TAG"""
import json, sys, tarfile
from urllib.parse import urljoin
from urllib.request import Request, urlopen

archive, registry, name, tag = sys.argv[1:]


def send(method, url, data=b"", kind="application/octet-stream"):
    request = Request(url, data, {"Content-Type": kind}, method=method)
    return urlopen(request).headers.get("Location")


with tarfile.open(archive) as tar:
    read = lambda path: tar.extractfile(path).read()
    blob = lambda it: read("blobs/" + it["digest"].replace(":", "/"))
    [entry] = json.loads(read("index.json"))["manifests"]
    manifest = json.loads(blob(entry))
    for it in [manifest["config"], *manifest["layers"]]:
        begun = urljoin(registry, send("POST", f"{registry}/v2/{name}/blobs/uploads/"))
        send("PUT", begun + "&digest=" + it["digest"], blob(it))
    send("PUT", f"{registry}/v2/{name}/manifests/{tag}", blob(entry), entry["mediaType"])
