#!/usr/bin/env python3
"""Makes the models of models/zoo from the recipes, and prints the table of accuracy against multiply-adds.

    python3 tools/zoo.py [--data FILE] [--votes FILE] [--until NAME] [--table]

Trains the slim network of an earlier commit once more, makes its scales sparse, cuts smaller ones out of it, each with its help,
and judges them on PublicTest; then grows VGG19 at full width from it. Every step leaves its result in runs/, and what is there
isn't made again: stopped or killed, the same command goes on, at most five minutes earlier. About three hours on two cores with
AMX, and three more for VGG19 at full width, which is why that comes last. --until ends behind a step; --table prints what is
there. What ships goes to models/zoo with card, manifest, recipe and the run's metrics.jsonl. FER_TOOLS names the program; else it
is built.
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

# The network that this begins with, as its commit shipped it: what vgg19.toml, sparse.toml and vgg19-slim.toml made of fresh
# weights in half a day, a quarter of VGG19's multiply-adds.
FIRST, FIRST_AT = "runs/first-slim.safetensors", "b921422:models/zoo/vgg19-slim/checkpoint.safetensors"
SLIM, SPARSE = "runs/vgg19-slim-again/best.safetensors", "runs/vgg19-slim-sparse/best.safetensors"

# VGG19's parameters and multiply-adds on grey faces.
WHOLE = {"parameters": 20_037_831, "multiply_adds": 673_491_456}
# What is cut out of the slim network: name, multiply-adds kept of VGG19's.
BUDGETS = {"vgg19-tiny": 0.05, "vgg19-fortieth": 0.025, "vgg19-eighth": 0.125, "vgg19-twelfth": 1 / 12}
# What ships, with the runs that led there and their recipes; the last run's network is the one.
AGAIN = ("vgg19-slim-again", "vgg19-slim-again")
SHIPPED = {
    "vgg19-slim": [AGAIN],
    "vgg19-tiny": [AGAIN, ("vgg19-slim-sparse", "sparse"), ("vgg19-tiny", "vgg19-tiny")],
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
    def __init__(self, program, data, votes):
        self.program, self.data = program, data
        self.labels = ["--ferplus", votes, "--labels", "ferplus-mixed7"]

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
            recipe = ["--recipe", f"host/recipes/{recipe}.toml"]
            self.call("train", self.data, *self.labels, *arguments, *recipe, "--out", f"runs/{name}")
        (RUNS / f"{name}.done").touch()

    def first(self):
        """The network that this begins with."""
        if not (ROOT / FIRST).exists():
            write(ROOT / FIRST, subprocess.run(["git", "show", FIRST_AT], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)

    def judge(self, name):
        """Accuracy on PublicTest with the centre crop and with ten, kept beside the run."""
        kept = RUNS / f"{name}.json"
        if not kept.exists():
            checkpoint = f"runs/{name}/best.safetensors"
            crops = {
                crops: json.loads(self.call("eval", checkpoint, self.data, "--crops", crops, "--json", capture=True))["accuracy"]
                for crops in ("center", "ten")
            }
            write(kept, json.dumps(crops).encode())
        return json.loads(kept.read_text())

    def cut(self, name, share):
        """A smaller network out of the sparse one, with the slim one's help."""
        pruned, table = f"runs/{name}-pruned.safetensors", RUNS / f"{name}-pruned.json"
        if not table.exists():
            macs = int(share * WHOLE["multiply_adds"])
            out = self.call("prune", SPARSE, "--keep-macs", macs, "--min-channels", 8, "--out", pruned, "--json", capture=True)
            write(table, out.encode())
        self.train(name, "vgg19-tiny", "--from", pruned, "--distill", SLIM)

    def ship(self, name):
        """The model folders in floats and in 8 bits, with all that a reader of the card needs to make them again."""
        folder, best = ZOO / name, f"runs/{SHIPPED[name][-1][0]}/best.safetensors"

        def packaged(command, as_name, *flags):
            self.call(command, best, "--data", self.data, "--name", as_name, "--out", f"models/zoo/{as_name}", *flags)

        packaged("export", name)
        if (folder / "model.onnx").stat().st_size > LARGEST:
            packaged("quantize", name, "--precision", "f16")
        # what the search among all twenty ways chose for the first slim network; it takes ten minutes and finds little
        packaged("quantize", f"{name}-int8", "--method", "entropy", "--equalize", "yes", "--correct-bias", "yes")
        shutil.copy(ROOT / best, folder / "checkpoint.safetensors")
        for run, recipe in SHIPPED[name]:
            shutil.copy(RUNS / run / "metrics.jsonl", folder / f"{run}.jsonl")
            shutil.copy(RECIPES / f"{recipe}.toml", folder / f"{run}.toml")
        for model in (name, f"{name}-int8"):
            with open(ZOO / model / "CARD.md", "a") as card:
                card.write(made(name))


def write(path, data):
    """All of it or nothing."""
    new = path.with_suffix(".new")
    new.write_bytes(data)
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
The network that this began with is vgg19-slim as commit {FIRST_AT.partition(":")[0]} shipped it; `models/zoo/vgg19-slim/first` has its card,
recipes and logs. The hours are the last `seconds` of each log, and count what else the machine did meanwhile. Networks were chosen on PublicTest, so the
accuracy there is a little optimistic. PrivateTest was not looked at.
"""


def table():
    """What there is so far, as Markdown."""
    rows = []
    for kept in RUNS.glob("*-pruned.json"):
        name = kept.stem.removesuffix("-pruned")
        if (RUNS / f"{name}.json").exists():
            after = json.loads(kept.read_text())
            rows.append((name, after["after"], json.loads((RUNS / f"{name}.json").read_text())))
            slim = after["before"]
    for name, size in [(AGAIN[0], slim if rows else None), ("vgg19-grown", WHOLE)]:
        if size and (RUNS / f"{name}.json").exists():
            rows.append((name, size, json.loads((RUNS / f"{name}.json").read_text())))
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
    parser.add_argument("--votes", default="../shared/data/ferplus_fer2013new.csv")
    parser.add_argument("--until", choices=[AGAIN[0], "vgg19-slim-sparse", *BUDGETS])
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if args.table:
        return table()
    RUNS.mkdir(exist_ok=True)
    zoo = Zoo(fer_tools(), args.data, args.votes)
    zoo.first()
    steps = {
        AGAIN[0]: lambda: zoo.train(*AGAIN, "--from", FIRST, "--distill", FIRST),
        "vgg19-slim-sparse": lambda: zoo.train("vgg19-slim-sparse", "sparse", "--from", SLIM, "--distill", SLIM),
        **{name: lambda name=name: zoo.cut(name, BUDGETS[name]) for name in BUDGETS},
        "vgg19-grown": lambda: zoo.train("vgg19-grown", "vgg19-grown", "--grow", SLIM, "--distill", SLIM),
    }
    for name, step in steps.items():
        print(f"== {name}", file=sys.stderr, flush=True)
        step()
        if name != "vgg19-slim-sparse":
            zoo.judge(name)
        for model, runs in SHIPPED.items():
            if runs[-1][0] == name:
                zoo.ship(model)
        if name == args.until:
            break
    table()


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        # fer-tools has said why
        sys.exit(error.returncode)
