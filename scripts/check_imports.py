#!/usr/bin/env python3
"""Fails when a target imports a module that it does not declare as a dependency.

SwiftPM lets a target import whatever its dependencies happen to depend on; this keeps the rooms' walls where
Package.swift draws them. Run from the repository root; `swift package dump-package` tells the declared dependencies.
"""
import json
import os
import pathlib
import re
import subprocess
import sys

SYSTEM = {"Swift", "Foundation", "FoundationEssentials", "FoundationNetworking", "Dispatch", "Synchronization", "Testing", "XCTest",
          "Glibc", "Musl", "Darwin", "Android", "WinSDK", "RegexBuilder", "Observation", "Distributed", "os", "CoreFoundation"}
IMPORT = re.compile(r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:public|package|internal|fileprivate|private)?\s*"
                    r"import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias|actor)\s+)?(\w+)")
FOLDERS = {"test": "Tests", "plugin": "Plugins"}


def declared(target):
    names = set()
    for dependency in target["dependencies"]:
        kind = next(kind for kind in ("byName", "target", "product") if kind in dependency)
        names.add(dependency[kind][0])
    return names


def folder(target, root):
    path = target.get("path")
    return root / path if path else root / FOLDERS.get(target["type"], "Sources") / target["name"]


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    dump = subprocess.run([os.environ.get("SWIFT", "swift"), "package", "dump-package"],
                          cwd=root, check=True, capture_output=True, text=True).stdout
    targets = json.loads(dump)["targets"]
    own = {target["name"] for target in targets}
    faults, files = [], 0
    for target in targets:
        allowed = declared(target) | SYSTEM | {target["name"]}
        for file in sorted(folder(target, root).rglob("*.swift")):
            files += 1
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
                match = IMPORT.match(line)
                if match and match.group(1) not in allowed:
                    kind = "room" if match.group(1) in own else "module"
                    faults.append(f"{file.relative_to(root)}:{number}: {target['name']} imports the {kind} "
                                  f"{match.group(1)} and does not depend on it")
    print("\n".join(faults) if faults else f"check_imports: {files} files of {len(targets)} targets import only what they declare")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
