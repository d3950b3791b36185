"""Lays out the releases that nodes build in tests, with the recipes of their own and the versions that they take.

    lay_out.py FOLDER HERE WHEELS HOSTS

writes them into FOLDER, which builds find at HERE, a path or a URL; everything else comes from WHEELS; HOSTS may be asked.
"""
import importlib.util
import io
import os
import sys
import tarfile
import zipfile

TESTS = os.path.dirname(os.path.abspath(__file__))


def put(path, text):
    with open(path, "w") as out:
        out.write(text)
    os.chmod(path, 0o755)


def read(*path):
    with open(os.path.join(TESTS, *path)) as text:
        return text.read()


def lay_out(folder, here, wheels, hosts):
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o755)
    for name in os.listdir(os.path.join(TESTS, "releases")):
        text = read("releases", name)
        for mark, value in (("@here@", here), ("@wheels@", wheels), ("@hosts@", hosts)):
            text = text.replace(mark, value)
        put(os.path.join(folder, name), text)
    versions = "[buildout]\nversions = versions\n[versions]\nplain = 1\nsmall = 1\nnetifaces = 0.11.0\n"
    for line in (read("requirements.txt") + "\n" + read("recipes.txt")).splitlines():
        if "==" in line:
            name, version = line.split("==")
            versions += "%s = %s\n" % (name.replace("_", "-"), version)
    put(os.path.join(folder, "versions.cfg"), versions)
    make_recipes(folder)
    make_netifaces(folder)
    make_tiny(folder, here)


def make_wheel(folder, name, version, requires, files):
    """A wheel of these files, made by hand."""
    described = {
        "METADATA": "Metadata-Version: 2.1\nName: %s\nVersion: %s\n%s" % (name, version, requires),
        "WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    files.update(("%s-%s.dist-info/%s" % (name, version, part), text) for part, text in described.items())
    path = os.path.join(folder, "%s-%s-py3-none-any.whl" % (name, version))
    with zipfile.ZipFile(path, "w") as wheel:
        for file, content in files.items():
            entry = zipfile.ZipInfo(file)
            entry.external_attr = 0o644 << 16
            wheel.writestr(entry, content)
    os.chmod(path, 0o755)


def make_recipes(folder):
    """The releases' own recipes, as buildout wants them."""
    entries = "[zc.buildout]\ninstance = plain:Instance\nrequest = plain:Request\n"
    files = {"plain.py": read("plain.py"), "plain-1.dist-info/entry_points.txt": entries}
    make_wheel(folder, "plain", "1", "Requires-Dist: slapos.cookbook\n", files)
    entries = "[zc.buildout]\nprofile = small:Profile\npage = small:Page\n"
    files = {"small.py": read("small.py"), "small-1.dist-info/entry_points.txt": entries}
    make_wheel(folder, "small", "1", "", files)


def make_tiny(folder, here):
    """What is compiled: a program of a few lines."""
    path = os.path.join(folder, "tiny-1.tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        for name, mode in (("configure", 0o755), ("tiny.c", 0o644)):
            content = read("tiny", name).replace("@here@", here).encode()
            entry = tarfile.TarInfo("tiny-1/" + name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    os.chmod(path, 0o755)


def make_netifaces(folder):
    """What slapos.core would have compiled, from this Python's own, which is Debian's: not everywhere are a compiler and an index."""
    path = importlib.util.find_spec("netifaces").origin
    with open(path, "rb") as library:
        make_wheel(folder, "netifaces", "0.11.0", "", {os.path.basename(path): library.read()})


if __name__ == "__main__":
    lay_out(*sys.argv[1:])
