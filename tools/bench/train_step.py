#!/usr/bin/env python3
"""Training step of VGG19-BN, 44x44: our engine side by side with PyTorch from PyPI, in one run.

    python3 tools/bench/train_step.py [--rounds 6] [--steps 2] [--batch 128]

Makes a scratch virtual environment with PyTorch in target/bench-venv (FER_BENCH_VENV overrides), builds
the benchmark, then runs every variant in a process of its own, in turns, round by round. Prints the
fastest and the median process of each, and the ratios of the fastest: neighbours on a shared host only ever
slow a process down, and by more than what is compared. The step is forward, backward and one SGD update with momentum 0.9 and
weight decay 5e-4, on all cores.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TORCH = ["torch f32", "torch f32 channels-last", "torch bf16", "torch bf16 channels-last"]
OURS = ["f32", "bf16"]

# Run by the scratch environment's Python.
CHILD = r"""
import statistics, sys, time
import torch, torch.nn as nn, torch.nn.functional as F
variant, batch, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.manual_seed(0)
layers, channels = [], 3
for width in [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"]:
    if width == "M":
        layers.append(nn.MaxPool2d(2, 2))
    else:
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        channels = width
model = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.5), nn.Linear(512, 7)).train()
x, y = torch.rand(batch, 3, 44, 44), torch.randint(0, 7, (batch,))
if "channels-last" in variant:
    model = model.to(memory_format=torch.channels_last)
    x = x.to(memory_format=torch.channels_last)
sgd = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
times = []
for step in range(steps + 2):
    start = time.perf_counter()
    sgd.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled="bf16" in variant):
        logits = model(x)
    F.cross_entropy(logits.float(), y).backward()
    sgd.step()
    if step > 1:
        times.append(time.perf_counter() - start)
print(batch / statistics.median(times))
"""


def scratch_python():
    """The Python of a virtual environment with PyTorch, made where it is missing."""
    folder = pathlib.Path(os.environ.get("FER_BENCH_VENV", ROOT / "target" / "bench-venv"))
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    if subprocess.run([python, "-c", "import torch"], capture_output=True).returncode:
        subprocess.run([python, "-m", "pip", "install", "--quiet", "torch"], check=True)
    return python


def our_benchmark():
    """Builds the benchmark and returns its path."""
    command = ["cargo", "bench", "--profile", "dev", "--workspace", "--bench", "train_step", "--no-run"]
    out = subprocess.run(
        [*command, "--message-format=json"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    for line in out.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "train_step" and message.get("executable"):
            return message["executable"]
    sys.exit("cargo built no train_step")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch", type=int, default=128)
    args = parser.parse_args()
    bench, python = our_benchmark(), scratch_python()

    def ours(engine):
        command = [bench, "--engine", engine, "--batch", str(args.batch), "--steps", str(args.steps)]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        peaks.append(float(re.search(r"× \d+: (\d+) GFLOP/s", out)[1]))
        speed = re.search(rf"^{engine}\s+([\d.]+) images/s.*?(\d+) GFLOP/s", out, re.M)
        if not speed:
            return None
        work[engine] = float(speed[2]) / float(speed[1])
        return float(speed[1])

    def torch(variant):
        command = [python, "-c", CHILD, variant, str(args.batch), str(args.steps)]
        return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

    peaks, work = [], {}
    speeds = {name: [] for name in [*OURS, *TORCH]}
    for _ in range(args.rounds):
        for name in speeds:
            speed = ours(name) if name in OURS else torch(name)
            if speed is not None:
                speeds[name].append(speed)
    candle = ours("candle")

    version = subprocess.run(
        [python, "-c", "import torch; print(torch.__version__)"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    print(f"{cpu}, {os.cpu_count()} cores, {datetime.date.today()}, PyTorch {version}")
    print(f"VGG19-BN 3x44x44, batch {args.batch}, {args.rounds} processes x {args.steps} steps, images/s")
    print(f"  {'':<28} fastest  median  slowest")
    fastest = {name: max(values) for name, values in speeds.items() if values}
    for name, value in fastest.items():
        label = f"fer-tools {name}" if name in OURS else name
        middle, slowest = statistics.median(speeds[name]), min(speeds[name])
        print(f"  {label:<28} {value:7.1f} {middle:7.1f} {slowest:8.1f}")
    print(f"  {f'candle, one step of {min(args.batch, 16)}':<28} {candle:7.1f}")
    peak = max(peaks)
    print(f"f32 matrix-product peak {peak:.0f} GFLOP/s")
    for precision in OURS:
        if precision not in fastest:
            print(f"{precision}: this processor has no fast bfloat16")
            continue
        best = max(fastest[name] for name in TORCH if f" {precision}" in name)
        share = fastest[precision] * work[precision] / peak
        print(
            f"{precision}: {fastest[precision] / best:.2f}x the faster PyTorch {precision}, "
            f"{fastest[precision] / candle:.1f}x candle, {100 * share:.0f} % of the f32 peak"
        )


if __name__ == "__main__":
    main()
