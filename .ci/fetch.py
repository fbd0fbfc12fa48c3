#!/usr/bin/env python3
"""Puts a pinned tool into .tools/ and prints the path of its program.

    .ci/fetch.py NAME [NAME...]

A tool that is there in the pinned version (or on PATH, that version or newer) is taken as
it is, without touching the network. Needs Python 3.8 and nothing else: no root, no pip, no
venv. pip is asked first where it exists, because it knows the mirrors and certificates the
user set up; plain HTTPS to PyPI comes second, a build from source last.
"""

import hashlib
import html.parser
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
BIN = TOOLS / "bin"
# How each program tells its version; the default is `NAME --version`.
VERSION_ARGUMENTS = {"go": ["version"], "cargo-fuzz": ["--version"]}


class Unavailable(Exception):
    """A source could not provide the tool; the next one may."""


def say(message):
    print(f"fetch: {message}", file=sys.stderr)


def pins():
    """The tools and wheel digests of .ci/tools.versions."""
    tools, digests = {}, {}
    for line in (ROOT / ".ci" / "tools.versions").read_text().splitlines():
        words = line.split("#", 1)[0].split()
        if words[:1] == ["tool"]:
            tools[words[1]] = (words[2], words[3:])
        elif words[:1] == ["sha256"]:
            digests[words[2]] = words[1]
    return tools, digests


def version_of(name, program):
    """The version a program reports, as numbers, or None when it does not run."""
    try:
        answer = subprocess.run(
            [str(program)] + VERSION_ARGUMENTS.get(name, ["--version"]),
            capture_output=True, text=True, timeout=60, check=True,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", answer.stdout + answer.stderr)
    return tuple(int(part) for part in found.groups()) if found else None


def numbers(version):
    return tuple(int(part) for part in version.split("."))


def link(target, name):
    BIN.mkdir(parents=True, exist_ok=True)
    place = BIN / name
    fresh = BIN / f".{name}.{os.getpid()}"
    fresh.symlink_to(target)
    os.replace(fresh, place)
    return place


def download_by_pip(requirement, folder):
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
         "--no-deps", "--only-binary", ":all:", "--dest", folder, requirement],
        check=True, stdout=sys.stderr, timeout=900,
    )


class Links(html.parser.HTMLParser):
    """The files of a PyPI "simple" page (PEP 503): name to address."""

    def __init__(self):
        super().__init__()
        self.files = {}

    def handle_starttag(self, tag, attributes):
        address = dict(attributes).get("href")
        if tag == "a" and address:
            name = urllib.parse.unquote(urllib.parse.urlsplit(address).path.rsplit("/", 1)[-1])
            self.files[name] = address


def runs_here(wheel):
    """Whether a wheel's platform tag is that of this machine (glibc Linux or macOS)."""
    machine = {"arm64": "(arm64|aarch64)", "aarch64": "(arm64|aarch64)"}.get(
        os.uname().machine, os.uname().machine)
    system = "macosx" if sys.platform == "darwin" else "manylinux"
    return re.search(rf"{system}.*_{machine}(\.|$)", wheel) is not None


def download_by_https(project, digests, folder):
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
    page = f"{index}/{project}/"
    links = Links()
    with urllib.request.urlopen(page, timeout=60) as answer:
        links.feed(answer.read().decode())
    for wheel in digests:
        if wheel in links.files and runs_here(wheel):
            address = urllib.parse.urljoin(page, links.files[wheel])
            with urllib.request.urlopen(address, timeout=900) as answer:
                (pathlib.Path(folder) / wheel).write_bytes(answer.read())
            return
    raise Unavailable(f"no wheel of {project} for this machine")


def from_pypi(name, version, project, digests):
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        try:
            download_by_pip(f"{project}=={version}", folder)
        except (OSError, subprocess.SubprocessError):
            try:
                download_by_https(project, digests, folder)
            except OSError as error:
                raise Unavailable(f"PyPI: {error}") from error
        wheel = next(pathlib.Path(folder).glob("*.whl"), None)
        if wheel is None:
            raise Unavailable(f"{project} {version} has no wheel for this machine")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digests.get(wheel.name) != digest:
            raise Unavailable(f"{wheel.name}: SHA-256 {digest} is not the one pinned in .ci/tools.versions")
        return unpack(name, version, wheel)


def unpack(name, version, wheel):
    """Unpacks a wheel and returns the program in it."""
    place = TOOLS / f"{name}-{version}"
    fresh = TOOLS / f".{name}-{version}.{os.getpid()}"
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            path = archive.extract(entry, fresh)
            if entry.external_attr >> 16 & 0o111:
                os.chmod(path, 0o755)
    shutil.rmtree(place, ignore_errors=True)
    os.replace(fresh, place)
    for pattern in (f"*.data/scripts/{name}", f"*/bin/{name}"):
        for program in place.glob(pattern):
            return program
    raise Unavailable(f"{wheel.name} holds no {name}")


def from_cargo(name, version, crate):
    place = TOOLS / f"{name}-{version}"
    run([shutil.which("cargo") or "cargo", "install", "--locked", "--quiet", "--version", version,
         "--root", str(place), crate],
        {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"})
    return place / "bin" / name


def from_go(name, version, module):
    place = TOOLS / f"{name}-{version}" / "bin"
    go = obtain("go")
    run([str(go), "install", "-trimpath", "-ldflags=-s", f"{module}@v{version}"],
        {**os.environ, "GOBIN": str(place), "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": ""})
    return place / name


def run(command, environment):
    try:
        subprocess.run(command, check=True, stdout=sys.stderr, env=environment)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(str(error)) from error


def obtain(name):
    """The path of a tool in the pinned version, fetched when it is not there."""
    tools, digests = pins()
    if name not in tools:
        sys.exit(f"fetch: {name} is not in .ci/tools.versions")
    version, sources = tools[name]
    wanted = numbers(version)
    place = BIN / name
    if (version_of(name, place) or ()) >= wanted:
        return place
    on_path = shutil.which(name)
    if on_path and (version_of(name, on_path) or ()) >= wanted:
        return link(pathlib.Path(on_path).absolute(), name)
    TOOLS.mkdir(exist_ok=True)
    for source in sources:
        kind, _, address = source.partition(":")
        say(f"{name} {version} from {source}")
        try:
            if kind == "pypi":
                program = from_pypi(name, version, address, digests)
            elif kind == "cargo":
                program = from_cargo(name, version, address)
            else:
                program = from_go(name, version, address)
        except Unavailable as error:
            say(f"{source}: {error}")
            continue
        found = version_of(name, program)
        if found == wanted:
            return link(os.path.relpath(program, BIN), name)
        say(f"{source}: the program says {found}, not {version}")
    sys.exit(f"fetch: {name} {version} could not be had; install it yourself and put it on PATH")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for wanted_name in sys.argv[1:]:
        print(obtain(wanted_name))
