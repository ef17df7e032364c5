#!/usr/bin/env python3
"""Makes the models of models/zoo from the recipes, and prints the table of accuracy against multiply-adds.

    python3 tools/zoo.py [--data ../shared/data/fer2013.csv.xz] [--until NAME | --only NAME] [--table]

Trains the teacher, makes its scales sparse, cuts the slim network out of it and the smaller ones out of that one, fine-tunes each with
the help of the one before, and judges them on PublicTest. Every step leaves its result in runs/, and what is there isn't made
again: stopped or killed, the same command goes on, at most five minutes earlier. About 12 hours on two cores with AMX. --until ends
behind a step; --only takes one step: the small networks need no more than the committed slim one; --table prints what is there.
What ships goes to models/zoo with card, manifest, recipe and the run's metrics.jsonl. FER_TOOLS names the program; else it is built.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RUNS, ZOO, RECIPES = ROOT / "runs", ROOT / "models" / "zoo", ROOT / "host" / "recipes"

TEACHER, SPARSE = "runs/vgg19/best.safetensors", "runs/vgg19-sparse/best.safetensors"
SLIM = "models/zoo/vgg19-slim/checkpoint.safetensors"

# VGG19's parameters and multiply-adds on grey faces.
WHOLE = {"parameters": 20_037_831, "multiply_adds": 673_518_080}
# name, recipe, what it is cut out of, its teacher, and how much is kept
BUDGETS = [
    ("vgg19-slim", "vgg19-slim", SPARSE, TEACHER, ["--keep-params", "9.5%", "--keep-macs", "25%", "--min-channels", 32]),
    ("vgg19-tiny", "vgg19-tiny", SLIM, SLIM, ["--keep-macs", "33.6M", "--min-channels", 24]),
    ("vgg19-half", "vgg19-slim", SPARSE, TEACHER, ["--keep-params", "50%", "--keep-macs", "50%", "--min-channels", 32]),
    ("vgg19-eighth", "vgg19-tiny", SLIM, SLIM, ["--keep-macs", "84M", "--min-channels", 24]),
    ("vgg19-fortieth", "vgg19-tiny", SLIM, SLIM, ["--keep-macs", "16.8M", "--min-channels", 16]),
]
# What ships, with the runs that led there and their recipes.
SHIPPED = {
    "vgg19-slim": [("vgg19", "vgg19"), ("vgg19-sparse", "sparse"), ("vgg19-slim", "vgg19-slim")],
    "vgg19-tiny": [("vgg19-tiny", "vgg19-tiny")],
}
# Largest file in the repository, in bytes; what is larger ships with weights of 16 bits.
LARGEST = 8_000_000


def fer_tools():
    """The program that does the work."""
    if "FER_TOOLS" in os.environ:
        return os.environ["FER_TOOLS"]
    command = ["cargo", "build", "--locked", "--bin", "fer-tools", "--message-format=json"]
    out = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in out.splitlines()]
    return next(m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "fer-tools")


class Zoo:
    def __init__(self, program, data):
        self.program, self.data = program, data

    def call(self, *arguments, capture=False):
        """Runs fer-tools in the root, so that the paths in cards and histories are those of the documents."""
        command = [self.program, *map(str, arguments)]
        out = subprocess.PIPE if capture else None
        return subprocess.run(command, cwd=ROOT, check=True, stdout=out, text=True).stdout

    def train(self, name, recipe, *arguments):
        """A run from its beginning, or on from where it was stopped; nothing where it is done."""
        if (RUNS / f"{name}.done").exists():
            return
        if (RUNS / name / "last.safetensors").exists():
            self.call("train", "--resume", f"runs/{name}")
        else:
            # a run that was killed before it first saved left nothing to go on with
            shutil.rmtree(RUNS / name, ignore_errors=True)
            self.call("train", self.data, *arguments, "--recipe", f"host/recipes/{recipe}.toml", "--out", f"runs/{name}")
        (RUNS / f"{name}.done").touch()

    def judge(self, name):
        """Accuracy on PublicTest with the centre crop and with ten, kept beside the run."""
        kept = RUNS / f"{name}.json"
        if not kept.exists():
            checkpoint = f"runs/{name}/best.safetensors"
            crops = {
                crops: json.loads(self.call("eval", checkpoint, self.data, "--crops", crops, "--json", capture=True))["accuracy"]
                for crops in ("center", "ten")
            }
            write(kept, json.dumps(crops))
        return json.loads(kept.read_text())

    def cut(self, name, recipe, source, teacher, limits):
        pruned, table = f"runs/{name}-pruned.safetensors", RUNS / f"{name}-pruned.json"
        if not table.exists():
            out = self.call("prune", source, *limits, "--out", pruned, "--json", capture=True)
            write(table, out)
        self.train(name, recipe, "--from", pruned, "--distill", teacher)
        self.judge(name)

    def ship(self, name):
        """The model folders in floats and in 8 bits, with all that a reader of the card needs to make them again."""
        folder, best = ZOO / name, f"runs/{name}/best.safetensors"

        def packaged(command, as_name, *flags):
            self.call(command, best, "--data", self.data, "--name", as_name, "--out", f"models/zoo/{as_name}", *flags)

        packaged("export", name)
        if (folder / "model.onnx").stat().st_size > LARGEST:
            packaged("quantize", name, "--precision", "f16")
        packaged("quantize", f"{name}-int8")
        shutil.copy(ROOT / best, folder / "checkpoint.safetensors")
        for run, used in SHIPPED[name]:
            shutil.copy(RUNS / run / "metrics.jsonl", folder / f"{run}.jsonl")
            shutil.copy(RECIPES / f"{used}.toml", folder / f"{run}.toml")
        for model in (name, f"{name}-int8"):
            with open(ZOO / model / "CARD.md", "a") as card:
                card.write(made(name))


def write(path, text):
    """All of it or nothing."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def metrics(run):
    return [json.loads(line) for line in (RUNS / run / "metrics.jsonl").read_text().splitlines()]


def made(name):
    """The card's section on how this copy came about, with recipes and logs in the folder `name`."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    rows = ""
    for run, _ in SHIPPED[name]:
        lines = metrics(run)
        best = max(line["validation_accuracy"] for line in lines)
        hours = lines[-1]["seconds"] / 3600
        rows += f"| `{run}.toml` | `{run}.jsonl` | {len(lines)} | {hours:.1f} | {best:.2%} |\n"
    return f"""
## How this copy was made

`python3 tools/zoo.py` runs the commands above and goes on where it was stopped. On {cpu}, {os.cpu_count()} cores, with the recipes
and logs in `models/zoo/{name}`:

| recipe | log | epochs | hours | best on PublicTest, centre crop |
| --- | --- | --- | --- | --- |
{rows}
The hours are the last `seconds` of each log, and count what else the machine did meanwhile. Networks were chosen on PublicTest, so the
accuracy there is a little optimistic. PrivateTest was not looked at.
"""


def table():
    """What there is so far, as Markdown."""
    rows = []
    for name, *_ in BUDGETS:
        if (RUNS / f"{name}.json").exists():
            after = json.loads((RUNS / f"{name}-pruned.json").read_text())["after"]
            rows.append((name, after, json.loads((RUNS / f"{name}.json").read_text())))
    if (RUNS / "vgg19.json").exists():
        rows.append(("vgg19", WHOLE, json.loads((RUNS / "vgg19.json").read_text())))
    print("| network | parameters | of VGG19's | multiply-adds | of VGG19's | PublicTest, ten crops | centre crop |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, size, accuracy in sorted(rows, key=lambda row: -row[1]["multiply_adds"]):
        parts = [size[what] / WHOLE[what] for what in ("parameters", "multiply_adds")]
        print(
            f"| {name} | {size['parameters']:,} | {parts[0]:.1%} | {size['multiply_adds'] / 1e6:.1f} M | {parts[1]:.1%} "
            f"| {accuracy['ten']:.2%} | {accuracy['center']:.2%} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data/fer2013.csv.xz")
    names = ["vgg19", "vgg19-sparse", *(budget[0] for budget in BUDGETS)]
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--until", choices=names)
    which.add_argument("--only", choices=names)
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if args.table:
        return table()
    RUNS.mkdir(exist_ok=True)
    zoo = Zoo(fer_tools(), args.data)
    steps = [
        ("vgg19", lambda: (zoo.train("vgg19", "vgg19"), zoo.judge("vgg19"))),
        ("vgg19-sparse", lambda: zoo.train("vgg19-sparse", "sparse", "--from", TEACHER, "--distill", TEACHER)),
        *((budget[0], lambda budget=budget: zoo.cut(*budget)) for budget in BUDGETS),
    ]
    for name, step in steps:
        if args.only not in (None, name):
            continue
        print(f"== {name}", file=sys.stderr, flush=True)
        step()
        if name in SHIPPED:
            zoo.ship(name)
        if name == args.until:
            break
    table()


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        # fer-tools has said why
        sys.exit(error.returncode)
