#!/usr/bin/env python3
"""Prints whose code the program links, and under which licences: what has to go with every copy of it.

    tools/packaging/third_party.py amd64

Asks cargo what fer-edge depends on (with the feature rpi for arm64, as tools/cross-aarch64.sh builds it), and takes the texts
from the crates themselves; texts that are alike stand there once, under the names of all crates that have them.
"""

import json
import pathlib
import subprocess
import sys

TARGETS = {
    "amd64": ["--filter-platform", "x86_64-unknown-linux-gnu"],
    "arm64": ["--filter-platform", "aarch64-unknown-linux-gnu", "--features", "fer-edge/rpi"],
}
TEXTS = ("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE")
NOT_LINKED = ("tests", "benches", "examples")


def linked(metadata):
    """The packages that fer-edge links: no build scripts, no tests, no procedural macros, none of our own."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    todo = [name for name, package in packages.items() if package["name"] == "fer-edge"]
    seen = set(todo)
    while todo:
        for dependency in nodes[todo.pop()]["deps"]:
            name = dependency["pkg"]
            normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            macro = any("proc-macro" in target["kind"] for target in packages[name]["targets"])
            if normal and not macro and name not in seen:
                seen.add(name)
                todo.append(name)
    others = [packages[name] for name in seen if packages[name]["source"]]
    return sorted(others, key=lambda package: (package["name"], package["version"]))


def texts_of(package):
    """The licence files that a crate brings along, those beside code that it took from others too."""
    root = pathlib.Path(package["manifest_path"]).parent
    files = (file for file in root.rglob("*") if file.relative_to(root).parts[0] not in NOT_LINKED)
    found = sorted(file for file in files if file.is_file() and file.name.upper().startswith(TEXTS))
    return [file.read_text(errors="replace").strip() for file in found]


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: third_party.py {'|'.join(TARGETS)}")
    command = ["cargo", "metadata", "--format-version", "1", "--locked", *TARGETS[sys.argv[1]]]
    packages = linked(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    print("fer-edge links these crates, each under the licence beside it:\n")
    having = {}
    for package in packages:
        name = f"{package['name']} {package['version']}"
        print(f"  {name}: {package['license'] or 'see its text'}, {package['repository'] or 'crates.io'}")
        for text in texts_of(package):
            having.setdefault(text, []).append(name)
    for text, names in having.items():
        print(f"\n{'-' * 80}\n{', '.join(names)}:\n\n{text}")


main()
