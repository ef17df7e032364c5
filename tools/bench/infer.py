#!/usr/bin/env python3
"""A face's pixels to its emotion: fer-edge side by side with other runtimes from PyPI, in one run.

    python3 tools/bench/infer.py [--rounds 5] [--runs 60] [--threads 1 2] [--only int8] [--beside tract openvino ...] [--model DIR...]

Makes a scratch virtual environment with the runtimes in target/bench-venv-infer (FER_BENCH_INFER_VENV overrides), and in
target/bench-infer a VGG19 for faces and one of half its widths, random weights, in floats and, quantised by ONNX
Runtime's own tool, in 8 bits. Then every runtime gets the same file and the same faces, one face a run, in a process of
its own, in turns, round by round; ncnn has no reader for ONNX and gets the same weights in its own files. Prints the median over
all rounds of each round's median, the fastest and slowest round, load time, peak memory, and on how many of 32 faces the
decision is ONNX Runtime's. A process that failed is counted, and its last words are printed. fer-edge has one thread. FER_EDGE
names its program; else it is built.

With --model the files are those of model folders, and the faces all of FER2013's PublicTest (--data), centre crop: then the
accuracy stands beside the agreement.
"""

import argparse
import datetime
import hashlib
import csv
import json
import lzma
import os
import pathlib
import re
import statistics
import struct
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
FOLDER = ROOT / "target" / "bench-infer"
PACKAGES = ["numpy", "onnx", "onnxruntime", "openvino", "ncnn", "opencv-python-headless"]
SHAPE = "3,44,44"
PEERS = ["onnxruntime", "openvino", "ncnn", "opencv"]
# FER2013's, by their numbers
LABELS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]

MANIFEST = """format = 1
name = "{name}"
labels = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
[model]
file = "model.onnx"
sha256 = "{sha256}"
precision = "{precision}"
opset = 17
parameters = 1
multiply_adds = 1
[input]
channels = 3
tile = 48
crop = 44
mean = 0.0
std = 1.0
face_scale = 1.0
face_shift_y = 0.0
[decision]
temperature = 1.0
crops = "center"
[provenance]
dataset = "none: random weights"
command = "tools/bench/infer.py"
seed = 1
commit = "none"
"""


def scratch_python():
    """The Python of a virtual environment with the runtimes, made where it is missing."""
    folder = pathlib.Path(os.environ.get("FER_BENCH_INFER_VENV", ROOT / "target" / "bench-venv-infer"))
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    if subprocess.run([python, "-c", "import onnx, onnxruntime, openvino, ncnn, cv2"], capture_output=True).returncode:
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


def fer_edge():
    """The program to measure."""
    if "FER_EDGE" in os.environ:
        return os.environ["FER_EDGE"]
    command = ["cargo", "build", "--locked", "--bin", "fer-edge", "--message-format=json"]
    out = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    for line in out.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "fer-edge" and message.get("executable"):
            return message["executable"]
    sys.exit("cargo built no fer-edge")


def package(file, precision):
    """A model folder with an ONNX file in it, as fer-edge reads it."""
    folder = file.with_suffix("")
    folder.mkdir(exist_ok=True)
    data = file.read_bytes()
    (folder / "model.onnx").write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    (folder / "model.toml").write_text(MANIFEST.format(name=file.stem, sha256=sha256, precision=precision))
    return folder


def shipped(folder, data):
    """A model folder's manifest, and a file with the faces of PublicTest as it reads them, with their labels' names."""
    manifest = tomllib.loads((folder / "model.toml").read_text())
    shape, crops = manifest["input"], manifest["decision"]["crops"]
    tile, crop, channels = shape["tile"], shape["crop"], shape["channels"]
    if crops != "center" or tile != 48:
        sys.exit(f"{folder}: decides by crops \"{crops}\" of a tile of {tile}; only \"center\" of FER2013's 48 is measured here")
    path, labels = FOLDER / f"public-{channels}x{crop}-{shape['mean']}-{shape['std']}.f32", []
    start = (tile - crop) // 2
    with lzma.open(data, "rt") as rows, open(path, "wb") as out:
        for row in csv.DictReader(rows):
            if row["Usage"] != "PublicTest":
                continue
            labels.append(LABELS[int(row["emotion"])])
            pixels = [(int(pixel) / 255 - shape["mean"]) / shape["std"] for pixel in row["pixels"].split()]
            lines = [pixels[y * tile + start :][:crop] for y in range(start, start + crop)]
            face = struct.pack(f"<{crop * crop}f", *(x for line in lines for x in line))
            out.write(face * channels)
    return manifest, path, labels


def measure(command):
    """What a measuring process printed, with its peak memory where it didn't say; where it failed None, and its last words."""
    wrapped = ["/usr/bin/env", "python3", "-c", PEAK, *map(str, command)]
    ran = subprocess.run(wrapped, capture_output=True, text=True)
    lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    if ran.returncode or len(lines) < 2:
        return None, ([line for line in ran.stderr.splitlines() if line.strip()] or [f"nothing, exit code {ran.returncode}"])[-1]
    result = json.loads(lines[0])
    result.setdefault("peak_mb", float(lines[-1].split(":")[1].rstrip("}")))
    return result, None


# Runs a program, then prints its peak memory.
PEAK = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print('{"peak_mb": %.1f}' % (resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024))
sys.exit(code)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", choices=["f32", "int8"])
    parser.add_argument("--beside", nargs="+", choices=["tract", *PEERS], default=["tract", *PEERS])
    parser.add_argument("--model", type=pathlib.Path, nargs="+", default=[])
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared" / "data" / "fer2013.csv.xz")
    args = parser.parse_args()
    python, edge = scratch_python(), fer_edge()
    if not (FOLDER / "faces.f32").exists():
        subprocess.run([python, HERE / "infer_models.py", FOLDER], check=True, stdout=subprocess.DEVNULL)

    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    print(f"{cpu}, {os.cpu_count()} cores, {datetime.date.today()}; {args.rounds} processes x {args.runs} runs, one face a run")
    print(f"fer-edge: {pathlib.Path(edge).stat().st_size / 1e6:.1f} MB program")
    for folder in args.model:
        manifest, faces, labels = shipped(folder, args.data)
        file, shape = folder / manifest["model"]["file"], manifest["input"]
        title = f"{manifest['name']} {manifest['model']['precision']}"
        shape = f"{shape['channels']},{shape['crop']},{shape['crop']}"
        table(title, file, folder, faces, shape, (labels, manifest["labels"]), args, python, edge)
    for name in ["vgg19", "half"] if not args.model else []:
        for precision in ["f32", "int8"]:
            if args.only in (None, precision):
                file = FOLDER / f"{name}-{precision}.onnx"
                folder, faces = package(file, precision), FOLDER / "faces.f32"
                table(f"{name} {precision}", file, folder, faces, SHAPE, None, args, python, edge)


def table(title, file, folder, faces, shape, known, args, python, edge):
    """Measures one file. What is known of its faces: their labels, and the names of its outputs; or nothing."""
    labels, names = known or (None, None)
    variants = {}
    for operators in ["auto", "tract"] if "tract" in args.beside else ["auto"]:
        label = "fer-edge" if operators == "auto" else "tract as it comes"
        command = [edge, "bench", "--model", folder, "--pixels", faces, "--operators", operators, "--runs", args.runs]
        variants[label, 1] = command
    for peer in [peer for peer in PEERS if peer in args.beside]:
        read = file
        if peer == "ncnn" and labels:
            read = FOLDER / "ncnn" / f"{folder.name}.onnx"
            read.parent.mkdir(exist_ok=True)
            subprocess.run([python, HERE / "infer_models.py", file, read.with_suffix("")], check=True)
        for threads in args.threads:
            variants[peer, threads] = [python, HERE / "infer_peer.py", peer, read, faces, shape, threads, args.runs]
    results, failed = {key: [] for key in variants}, {}
    for _ in range(args.rounds):
        for key, command in variants.items():
            result, said = measure(command)
            if result:
                results[key].append(result)
            else:
                failed[key] = said
    print(f"\n{title}, {file.stat().st_size / 1e6:.1f} MB; milliseconds a face")
    accuracy = f"{'accuracy':>10}" if labels else ""
    print(f"  {'':<20}{'threads':>8}{'median':>9}{'fastest':>9}{'slowest':>9}{'load':>8}{'peak MB':>9}{'agree':>7}{accuracy}  on")
    medians = {}
    reference = results.get(("onnxruntime", args.threads[0]))
    for (label, threads), rounds in results.items():
        if not rounds:
            print(f"  {label:<20}{threads:>8}   cannot run this file: {failed[label, threads]}")
            continue
        each = [statistics.median(r["runs_ms"]) for r in rounds]
        medians[label, threads] = statistics.median(each)
        load, peak = (statistics.median(r[what] for r in rounds) for what in ("load_ms", "peak_mb"))
        agree = sum(a == b for a, b in zip(rounds[0]["decisions"], reference[0]["decisions"])) if reference else "?"
        if labels:
            right = sum(names[a] == b for a, b in zip(rounds[0]["decisions"], labels))
            accuracy = f"{right / len(labels):>10.2%}"
        print(
            f"  {label:<20}{threads:>8}{medians[label, threads]:>9.2f}{min(each):>9.2f}{max(each):>9.2f}"
            f"{load:>8.0f}{peak:>9.0f}{agree:>7}{accuracy}  {rounds[0]['runs_on']}"
        )
        if (label, threads) in failed:
            print(f"  {'':<20}{len(rounds):>8} of {args.rounds} rounds counted; one that failed said: {failed[label, threads]}")
    ours = medians.get(("fer-edge", 1))
    for threads in args.threads:
        peers = {label: ms for (label, t), ms in medians.items() if t == threads and label in PEERS}
        if ours and peers:
            best = min(peers, key=peers.get)
            print(
                f"  fer-edge (1 thread) / onnxruntime ({threads}): {ours / peers.get('onnxruntime', float('nan')):.2f}; "
                f"/ the fastest, {best} ({threads}): {ours / peers[best]:.2f}"
            )


if __name__ == "__main__":
    main()
