#!/usr/bin/env python3
"""Instructions that a face costs on 64-bit ARM, and an estimate of the milliseconds that they take on boards.

    tools/cross-aarch64.sh check
    python3 tools/bench/arm.py models/zoo/vgg19-lite [MODEL...]

Runs fer-edge for ARM in qemu with a plugin that counts what is executed (count_instructions.c; needs cc, and qemu-user, whose
program loads plugins as qemu-user-static's doesn't). Two runs of different length, subtracted, leave what one face costs. The
processors of boards differ in two ways here: with the dot product (Cortex-A76) or without (A53, A72).

The estimate takes the slowest of five floors: all instructions, the multiplications, all vector operations, and the loads, each
at the most that the core can do in a cycle, and the weights read once from memory. No board was measured; misses of the cache, stalls and the
clock's fall in heat are left out, so that real boards are slower. FER_EDGE_ARM names the program, QEMU_AARCH64 the emulator.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
KINDS = ["multiply", "vector", "load", "other"]

# Of each core: instructions issued, vector multiplications, vector operations of any kind and loads, of 16 bytes, in a
# cycle, from Arm's Software Optimization Guides (A72: UAN 0016A, A76: PJDOC-466751330-7215); for the A53, which has none, what
# its two 64-bit vector pipes and its 64-bit load pipe allow. Clock in GHz and memory in GB/s of the board: round figures.
BOARDS = [
    ("Raspberry Pi Zero 2", "cortex-a53", "neon", 1.0, (2, 1.0, 1.0, 0.5), 1.5),
    ("Raspberry Pi 3B+", "cortex-a53", "neon", 1.4, (2, 1.0, 1.0, 0.5), 2.0),
    ("Raspberry Pi 4", "cortex-a72", "neon", 1.8, (3, 1.0, 2.0, 1.0), 4.0),
    ("Raspberry Pi 5", "cortex-a76", "neon-dot", 2.4, (4, 2.0, 2.0, 2.0), 10.0),
]
# How many runs are subtracted from how many.
RUNS = (1, 5)


def programs():
    """The emulator, and fer-edge for ARM."""
    qemu = os.environ.get("QEMU_AARCH64") or shutil.which("qemu-aarch64")
    if not qemu or not shutil.which("cc"):
        sys.exit("qemu-aarch64 and cc are needed (Debian: qemu-user gcc)")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    edge = pathlib.Path(os.environ.get("FER_EDGE_ARM", target / "aarch64-unknown-linux-gnu" / "debug" / "fer-edge"))
    if not edge.exists():
        sys.exit(f"{edge} is missing: run tools/cross-aarch64.sh check")
    return qemu, edge


def counted(qemu, plugin, cpu, command):
    """What a program executed, by kind, and the line of JSON that it printed."""
    ran = subprocess.run([qemu, "-cpu", cpu, "-plugin", plugin, *map(str, command)], capture_output=True, text=True)
    counts = dict(re.findall(r"^count (\w+) (\d+)$", ran.stderr, re.M))
    if ran.returncode or set(counts) != set(KINDS):
        sys.exit(f"{' '.join(map(str, command))}: {ran.stderr[-2000:]}")
    return {kind: int(count) for kind, count in counts.items()}, json.loads(ran.stdout.splitlines()[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    args = parser.parse_args()
    qemu, edge = programs()
    with tempfile.TemporaryDirectory() as folder:
        plugin = pathlib.Path(folder) / "count.so"
        source = HERE / "count_instructions.c"
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", plugin, source], check=True)
        face = pathlib.Path(folder) / "face.f32"
        for model in args.models:
            manifest = tomllib.loads((model / "model.toml").read_text())
            shape = manifest["input"]
            numbers = shape["channels"] * shape["crop"] ** 2 * (10 if manifest["decision"]["crops"] == "ten" else 1)
            face.write_bytes(struct.pack(f"<{numbers}f", *(at % 97 / 97 for at in range(numbers))))
            table(qemu, edge, plugin, model, manifest, face)


def table(qemu, edge, plugin, model, manifest, face):
    name = manifest["name"]
    weights = (model / manifest["model"]["file"]).stat().st_size
    print(f"\n{name} {manifest['model']['precision']}: {weights / 1e6:.1f} MB; millions of instructions a face")
    print(f"  {'core':<12}{'operators':<11}" + "".join(f"{kind:>10}" for kind in KINDS) + f"{'all':>9}  runs on")
    a_face = {}
    for cpu, operators in dict.fromkeys((board[1], board[2]) for board in BOARDS):
        command = [edge, "bench", "--model", model, "--pixels", face, "--operators", operators, "--runs"]
        (few, _), (many, result) = (counted(qemu, plugin, cpu, [*command, runs]) for runs in RUNS)
        one = {kind: (many[kind] - few[kind]) / (RUNS[1] - RUNS[0]) for kind in KINDS}
        a_face[cpu] = one
        numbers = "".join(f"{one[kind] / 1e6:>10.2f}" for kind in KINDS)
        print(f"  {cpu:<12}{operators:<11}{numbers}{sum(one.values()) / 1e6:>9.2f}  {result['runs_on']}")
    print("  estimate, no board was measured; milliseconds a face:")
    for board, cpu, _, clock, a_cycle, memory in BOARDS:
        one = a_face[cpu]
        work = {
            "instructions": sum(one.values()),
            "multiplications": one["multiply"],
            "vector operations": one["multiply"] + one["vector"],
            "loads": one["load"],
        }
        floors = {name: count / most / clock / 1e6 for (name, count), most in zip(work.items(), a_cycle)}
        floors["memory"] = weights / memory / 1e6
        bound = max(floors, key=floors.get)
        print(f"  {board:<20} {cpu} at {clock} GHz: at least {floors[bound]:.1f} (bound by {bound})")


if __name__ == "__main__":
    main()
