#!/usr/bin/env python3
"""Makes the models of models/zoo from the recipes, and prints the table of accuracy against multiply-adds.

    python3 tools/zoo.py [--data FER2013] [--votes FER+] [--until NAME | --only NAME] [--table]

Trains the teacher, makes its scales sparse, cuts the slim network out of it and the smaller ones out of that one, fine-tunes each with
the help of the one before, grows a second teacher out of the slim network, and judges all on PublicTest. Every step leaves its result in
runs/, and what is there isn't made again: stopped or killed, the same command goes on, at most five minutes earlier; a second one at the
same time is refused. About 28 hours on two cores, as the logs of the zoo add up. --until ends behind a step; --only takes one step: the
small networks need no more than the committed slim one; --table prints what is there.
What ships goes to models/zoo with card, manifest, recipe and the run's metrics.jsonl, and stays as it is until its training comes out
otherwise or its folder is removed; what each network reached goes to docs/results/budgets.json. FER_TOOLS names the program; else it is
built.
"""

import argparse
import datetime
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
RUNS, ZOO, RECIPES = ROOT / "runs", ROOT / "models" / "zoo", ROOT / "host" / "recipes"

RESULTS = ROOT / "docs" / "results" / "budgets.json"
SLIM = "models/zoo/vgg19-slim/checkpoint.safetensors"
TWELFTH = "models/zoo/vgg19-twelfth/checkpoint.safetensors"
TINY = "models/zoo/vgg19-tiny/checkpoint.safetensors"

# VGG19's parameters and multiply-adds on grey faces.
WHOLE = {"parameters": 20_037_831, "multiply_adds": 673_518_080}


class Round(NamedTuple):
    """One training of a network, by a recipe and with the help of teachers."""

    recipe: str
    teachers: list
    # whether FER+'s votes soften the labels
    votes: bool = False
    # the checkpoints whose mean it starts from, instead of the last round's
    mean: list = []
    # what is cut out of the network first, and whether it then grows to the widths of the recipe
    prune: list = []
    grow: bool = False
    # of a further round; the first has what its network trains with
    dropout: float = 0


class Budget(NamedTuple):
    """A network that is cut out of another and fine-tuned, in one round or more."""

    name: str
    source: str
    prune: list
    train: list
    rounds: list

    @property
    def runs(self):
        """Its rounds, by the names of their runs: the first is called as the network."""
        first, *further = self.rounds
        return [(self.name, first), *((of.recipe.replace("vgg19", self.name, 1), of) for of in further)]

    @property
    def result(self):
        """The checkpoint that comes out."""
        return best(self.runs[-1][0])


def best(run):
    """The checkpoint of a run's best epoch."""
    return f"runs/{run}/best.safetensors"


def done(run):
    """The file that says that a run has come to its end."""
    return RUNS / f"{run}.done"


def bests(*rounds):
    """The checkpoints of rounds of the slim network."""
    return [best(f"vgg19-slim{of}") for of in rounds]


def start_of(run):
    """The mean of other runs' results that a run starts from."""
    return f"runs/{run}-start.safetensors"


TEACHER, SPARSE = best("vgg19"), best("vgg19-sparse")
# The slim network before its last layers grow, and the cut that makes room for that.
SETTLED = best("vgg19-slim-settle")
NARROWER = ["--keep-macs", "80%", "--per-layer", "--min-channels", 24]
# The second teacher, and what the first rounds on the way to it made.
GROWN, GROWN_MEAN = "runs/vgg19-teacher.safetensors", "runs/vgg19-mean.safetensors"


def large(name, params, macs, *further):
    """One cut out of the teacher with sparse scales, the weakest channels of the whole network."""
    prune = ["--keep-params", params, "--keep-macs", macs, "--min-channels", 32]
    return Budget(name, SPARSE, prune, [], [Round("vgg19-slim", [TEACHER]), *further])


def small(name, source, macs, channels, multiple, *further, train=()):
    """One cut out of a smaller network, every layer by the same share, and taught by that."""
    prune = ["--keep-macs", macs, "--per-layer", "--min-channels", channels, "--round-to", multiple]
    return Budget(name, source, prune, ["--dropout", 0.1, *train], [Round("vgg19-tiny", [source]), *further])


BUDGETS = [
    large(
        "vgg19-slim",
        "9.5%",
        "25%",
        Round("vgg19-mixed", [best("vgg19-slim")]),
        Round("vgg19-polish", [best("vgg19-slim"), best("vgg19-slim-mixed")]),
        Round("vgg19-votes", [start_of("vgg19-slim-votes")], votes=True, mean=bests("", "-mixed", "-polish")),
        Round("vgg19-votes-polish", [best("vgg19-slim-votes")], votes=True),
        Round("vgg19-settle", [best("vgg19-slim-votes-polish")], votes=True),
        Round("vgg19-wide", [SETTLED], votes=True, prune=NARROWER, grow=True),
        Round("vgg19-recall", [], votes=True),
        Round("vgg19-again", [], votes=True),
        Round("vgg19-afar", [], votes=True, mean=bests("-recall", "-again")),
        Round("vgg19-near", [], votes=True),
        Round("vgg19-heart", [], votes=True, mean=bests("-recall", "-again", "-near")),
    ),
    small("vgg19-twelfth", SLIM, "56M", 32, 16, Round("vgg19-matched", [SLIM]), Round("vgg19-polish", [SLIM])),
    Budget(
        "vgg19-tiny",
        SLIM,
        ["--keep-macs", "16%", "--per-layer", "--min-channels", 8],
        [],
        [
            Round("vgg19-small", [SLIM], votes=True, grow=True),
            Round("vgg19-recall", [], votes=True),
            Round("vgg19-patient", [SLIM], votes=True, dropout=0.05),
            Round("vgg19-rote", [], votes=True),
        ],
    ),
    large("vgg19-half", "50%", "50%"),
    small("vgg19-eighth", SLIM, "84M", 32, 16),
    # the slim network as teacher would take several times as long as their own steps
    small("vgg19-fortieth", TWELFTH, "16.8M", 16, 8),
    small("vgg19-eightieth", TINY, "8.4M", 8, 8, train=["--epochs", 18]),
]


class Shipped(NamedTuple):
    """What is to be known of a network that ships, besides its rounds."""

    # the runs that led to the one cut out of another, and their recipes
    before: list = []
    # further sentences for the card, by the SHA-256 of the checkpoint that they are true of
    notes: dict = {}


OLD_VOTES = """
The rounds with votes ran before `keep` was a setting, and the first two of them with another estimate of what votes say
(docs/prune.md): the script trains them as the recipes are now, and comes out elsewhere.
"""
BY_HAND = """
The rounds from `vgg19-slim-wide` on were begun by hand: `runs/slim-wide` in the commands is `runs/vgg19-slim-wide` of the script, and so on,
`runs/slim-narrow.safetensors` what it cuts first, and `models/zoo/vgg19-slim/checkpoint.safetensors` what `vgg19-slim-settle` left, this
folder's checkpoint in commit c48c9a8.
"""
OLD_SLIM = """
It was cut out of the `vgg19-slim` of before 2026-11-30; the script takes today's, and comes out elsewhere.
"""
LONG_TINY = """
The last two rounds were begun by hand: `runs/tiny-long` in the commands is `runs/vgg19-tiny-patient` of the script, and `/tmp/long.toml` its
`vgg19-patient.toml`.
"""
SHIPPED = {
    "vgg19-slim": Shipped(
        [("vgg19", "vgg19"), ("vgg19-sparse", "sparse")],
        {"82777374f0b4f42fdc5c1213c4b18351eb6f4e88d090d948ba9171b95c8cce4a": OLD_VOTES + BY_HAND},
    ),
    "vgg19-twelfth": Shipped(notes={"7ccfd42c2659a1550d72416ba82d02065ad9232b3aaa0e97110bafa3b90fcb31": OLD_SLIM}),
    "vgg19-tiny": Shipped(notes={"523c85e52559e702789202c91c049d8204268f87a83b89b18bcc3f948040c4c6": LONG_TINY}),
}
HOW_MADE = "## How this copy was made"
# Largest file in the repository, in bytes; what is larger ships with weights of 16 bits.
LARGEST = 8_000_000


def budget_of(name):
    return next(budget for budget in BUDGETS if budget.name == name)


def rounds(name):
    """All runs behind a shipped network, with their recipes."""
    return SHIPPED[name].before + [(run, of.recipe) for run, of in budget_of(name).runs]


def recipe_of(run, recipe):
    """The recipe as it was when the run started; of runs that kept no copy, as it is now."""
    kept = RUNS / f"{run}.toml"
    return kept if kept.exists() else RECIPES / f"{recipe}.toml"


def sha256_of(path):
    return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()


def fer_tools():
    """The program that does the work."""
    if "FER_TOOLS" in os.environ:
        return os.environ["FER_TOOLS"]
    command = ["cargo", "build", "--locked", "--bin", "fer-tools", "--message-format=json"]
    out = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in out.splitlines()]
    return next(m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "fer-tools")


def hold():
    """The lock on runs/. The fer-tools that this script starts holds it too: it may outlive the script."""
    lock = open(RUNS / "zoo.lock", "a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        sys.exit(f"zoo: somebody works in {RUNS} already: {lock.read().strip() or 'it does not say who'}")
    return lock


class Zoo:
    def __init__(self, program, data, votes, lock):
        self.program, self.data, self.votes, self.lock = program, data, votes, lock

    def holder(self, text):
        """Leaves word for who comes second."""
        self.lock.truncate(0)
        self.lock.write(text)
        self.lock.flush()

    def call(self, *arguments, capture=False):
        """Runs fer-tools in the root, so that the paths in cards and histories are those of the documents."""
        command = [self.program, *map(str, arguments)]
        out = subprocess.PIPE if capture else None
        with subprocess.Popen(command, cwd=ROOT, stdout=out, text=True, pass_fds=[self.lock.fileno()]) as child:
            self.holder(f"process {child.pid}, of tools/zoo.py {os.getpid()}: {' '.join(command)}")
            try:
                said, _ = child.communicate()
            except Terminated:
                # it saves first
                child.terminate()
                raise
        self.holder(f"process {os.getpid()}, tools/zoo.py")
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, command)
        return said

    def train(self, name, recipe, *arguments):
        """A run from its beginning, or on from where it was stopped; nothing where it is done."""
        if done(name).exists():
            return
        if (RUNS / name / "last.safetensors").exists():
            self.call("train", "--resume", f"runs/{name}")
        else:
            # a run that was killed before it first saved left nothing to go on with
            shutil.rmtree(RUNS / name, ignore_errors=True)
            write(RUNS / f"{name}.machine", machine())
            shutil.copy(RECIPES / f"{recipe}.toml", RUNS / f"{name}.toml")
            self.call("train", self.data, *arguments, "--recipe", f"host/recipes/{recipe}.toml", "--out", f"runs/{name}")
        done(name).touch()

    def softened(self):
        """Labels softened by FER+'s votes."""
        return ["--ferplus", self.votes, "--labels", "ferplus-mixed7"]

    def grow(self):
        """The second teacher: as wide as the first, grown out of the slim network, in rounds that start where others ended."""

        def go_on(run, source):
            self.train(run, run, *self.softened(), "--from", source, "--dropout", 0)
            return best(run)

        blend = "vgg19-slim-blend"
        self.train(blend, "vgg19-blend", *self.softened(), "--from", SETTLED, "--dropout", 0, "--distill", SETTLED)
        self.train("vgg19-grown", "vgg19-grown", *self.softened(), "--grow", best(blend), "--distill", best(blend))
        recall = go_on("vgg19-recall", best("vgg19-grown"))
        again = go_on("vgg19-again", recall)
        self.call("average", recall, again, "--out", GROWN_MEAN)
        near = go_on("vgg19-near", go_on("vgg19-afar", GROWN_MEAN))
        self.call("average", near, GROWN_MEAN, "--out", GROWN)
        self.judge("vgg19-grown", GROWN)

    def judge(self, name, checkpoint):
        """Size, and accuracy on PublicTest with the centre crop and with ten, kept in the repository."""
        sha256 = sha256_of(checkpoint)
        if results().get(name, {}).get("sha256") == sha256:
            return

        def ask(*arguments):
            return json.loads(self.call(*arguments, "--json", capture=True))

        # a cut of nothing counts
        size = ask("prune", checkpoint, "--percent", 0, "--out", f"runs/{name}-uncut.safetensors")["after"]
        reached = {what: size[what] for what in ("parameters", "multiply_adds")}
        for crops in ("center", "ten"):
            reached[crops] = ask("eval", checkpoint, self.data, "--crops", crops)["accuracy"]
        reached |= {"sha256": sha256, "date": str(datetime.date.today())}
        # read only now: judging takes minutes, in which somebody may have changed the file
        write(RESULTS, json.dumps(results() | {name: reached}, indent=2) + "\n")

    def cut(self, budget):
        pruned, table = f"runs/{budget.name}-pruned.safetensors", RUNS / f"{budget.name}-pruned.json"
        if not table.exists():
            out = self.call("prune", budget.source, *budget.prune, "--out", pruned, "--json", capture=True)
            write(table, out)
        source = pruned
        for number, (run, of) in enumerate(budget.runs):
            if not done(run).exists():
                self.round(run, of, source, ["--dropout", of.dropout] if number else budget.train)
            source = best(run)
        self.judge(budget.name, budget.result)

    def round(self, run, of, source, flags):
        """One round of a network, from `source`, what is left of it, or a mean instead."""
        if of.mean:
            source = start_of(run)
            self.call("average", *of.mean, "--out", source)
        if of.prune:
            pruned = f"runs/{run}-pruned.safetensors"
            self.call("prune", source, *of.prune, "--out", pruned)
            source = pruned
        # a network that grows has its recipe's dropout
        start = ["--grow", source] if of.grow else ["--from", source, *flags]
        distill = (flag for teacher in of.teachers for flag in ("--distill", teacher))
        votes = self.softened() if of.votes else []
        self.train(run, of.recipe, *votes, *start, *distill)

    def ship(self, name):
        """The model folders in floats and in 8 bits, with all that a reader of the card needs to make them again."""
        folder, result = ZOO / name, budget_of(name).result
        kept, last = folder / "checkpoint.safetensors", ZOO / f"{name}-int8"
        if complete(last) and kept.exists() and sha256_of(kept) == sha256_of(result):
            return
        shutil.rmtree(last, ignore_errors=True)

        def packaged(command, as_name, *flags):
            self.call(command, result, "--data", self.data, "--name", as_name, "--out", f"models/zoo/{as_name}", *flags)
            card = ZOO / as_name / "CARD.md"
            write(card, card.read_text() + made(name))

        packaged("export", name)
        if (folder / "model.onnx").stat().st_size > LARGEST:
            packaged("quantize", name, "--precision", "f16")
        for run, used in rounds(name):
            shutil.copy(RUNS / run / "metrics.jsonl", folder / f"{run}.jsonl")
            shutil.copy(recipe_of(run, used), folder / f"{run}.toml")
        shutil.copy(ROOT / result, kept)
        packaged("quantize", last.name)


class Terminated(SystemExit):
    """SIGTERM came."""


def terminated(number, _):
    raise Terminated(128 + number)


def write(path, text):
    """All of it or nothing."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def complete(folder):
    """Whether a model folder has been written to its last line, which is the card's."""
    card = folder / "CARD.md"
    return card.exists() and HOW_MADE in card.read_text()


def results():
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def metrics(run):
    return [json.loads(line) for line in (RUNS / run / "metrics.jsonl").read_text().splitlines()]


def made(name):
    """The card's section on how this copy came about, with recipes and logs in the folder `name`."""
    rows = ""
    for run, used in rounds(name):
        lines = metrics(run)
        keeps_last = 'keep = "last"' in recipe_of(run, used).read_text()
        right = max(line["validation_accuracy"] for line in (lines[-1:] if keeps_last else lines))
        hours = lines[-1]["seconds"] / 3600
        where = (RUNS / f"{run}.machine").read_text()
        rows += f"| `{run}.toml` | `{run}.jsonl` | {where} | {len(lines)} | {hours:.1f} | {right:.2%} |\n"
    note = SHIPPED[name].notes.get(sha256_of(budget_of(name).result), "")
    return f"""
{HOW_MADE}

`python3 tools/zoo.py` runs the commands above and goes on where it was stopped, with the recipes and logs in `models/zoo/{name}`:

| recipe | log | machine, commit, date | epochs | hours | the kept epoch on PublicTest, centre crop, as the run logged it in bfloat16 |
| --- | --- | --- | --- | --- | --- |
{rows}
The hours are the last `seconds` of each log, and count what else the machine did meanwhile. Networks were chosen on PublicTest, so the
accuracy there is a little optimistic. PrivateTest was not looked at.
{note}"""


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return ", ".join([cpu, f"{os.cpu_count()} cores", *head.stdout.split(), str(datetime.date.today())])


def table():
    """What has been measured so far, as Markdown."""
    print("| network | parameters | of VGG19's | multiply-adds | of VGG19's | PublicTest, ten crops | centre crop | date |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, of in sorted(results().items(), key=lambda item: -item[1]["multiply_adds"]):
        parts = [of[what] / WHOLE[what] for what in ("parameters", "multiply_adds")]
        print(
            f"| {name} | {of['parameters']:,} | {parts[0]:.1%} | {of['multiply_adds'] / 1e6:.1f} M | {parts[1]:.1%} "
            f"| {of['ten']:.2%} | {of['center']:.2%} | {of['date']} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data/fer2013.csv.xz")
    parser.add_argument("--votes", default="../shared/data/ferplus_fer2013new.csv")
    names = ["vgg19", "vgg19-sparse", *(budget.name for budget in BUDGETS), "vgg19-grown"]
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--until", choices=names)
    which.add_argument("--only", choices=names)
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if args.table:
        return table()
    RUNS.mkdir(exist_ok=True)
    lock = hold()
    signal.signal(signal.SIGTERM, terminated)
    zoo = Zoo(fer_tools(), args.data, args.votes, lock)
    zoo.holder(f"process {os.getpid()}, tools/zoo.py")
    if (ROOT / SLIM).exists():
        zoo.judge("vgg19-slim", SLIM)
    steps = [
        ("vgg19", lambda: (zoo.train("vgg19", "vgg19"), zoo.judge("vgg19", TEACHER))),
        ("vgg19-sparse", lambda: zoo.train("vgg19-sparse", "sparse", "--from", TEACHER, "--distill", TEACHER)),
        *((budget.name, lambda budget=budget: zoo.cut(budget)) for budget in BUDGETS),
        ("vgg19-grown", zoo.grow),
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
