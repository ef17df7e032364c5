#!/usr/bin/env python3
"""What keeping the scores of faces that hardly changed saves and costs, on real sequences.

    python3 tools/bench/cascade.py [--data ../shared/data/ck48] [--model DIR]

CK+'s sequences end at the height of an expression; the data hold the last three frames of each, one after the other here
as a video of faces at 30 frames a second. fer-edge looks at it once with every face judged anew and then with growing
`reuse.difference`. Printed for each: how many faces kept their scores, how many decisions differ from those made anew, and
the accuracy on the six expressions that the data and the model share. Between two sequences another person stands in the same
place, which the difference of the pixels alone has to notice. FER_EDGE names the program; else it is built.
"""

import argparse
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import zlib

from infer import ROOT, fer_edge

LABELS = {"anger": "angry", "disgust": "disgust", "fear": "fear", "happy": "happy", "sadness": "sad", "surprise": "surprise"}


def sequences(folder):
    """Every sequence's label (None for contempt, which the model doesn't know) and pictures, in the order of their names."""
    found = {}
    for file in sorted(folder.glob("*/*.png")):
        subject, sequence, _ = file.stem.split("_")
        found.setdefault((subject, sequence, file.parent.name), []).append(file)
    return [(LABELS.get(name), files) for (_, _, name), files in sorted(found.items())]


def png_gray(file):
    """Pixels of a grey PNG of 8 bits without interlacing, which these all are; no package to install."""
    data, at, body = file.read_bytes(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        chunk = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunk)
            if (depth, colour, interlaced) != (8, 0, 0):
                sys.exit(f"{file}: expected a grey PNG of 8 bits, found depth {depth}, colour type {colour}")
        elif kind == b"IDAT":
            body += chunk
        at += 12 + size
    raw, before, pixels = zlib.decompress(body), bytes(width), b""
    for y in range(height):
        kind, line = raw[y * (width + 1)], bytearray(raw[y * (width + 1) + 1 : (y + 1) * (width + 1)])
        for x in range(width):
            a, b, c = line[x - 1] if x else 0, before[x], before[x - 1] if x else 0
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            line[x] = (line[x] + [0, a, b, (a + b) // 2, nearest][kind]) & 255
        before = bytes(line)
        pixels += before
    return width, height, pixels


def video(found, path):
    """All pictures as one YUV4MPEG2 video without colours."""
    with open(path, "wb") as out:
        for number, file in enumerate(file for _, files in found for file in files):
            width, height, pixels = png_gray(file)
            if number == 0:
                size = (width, height)
                out.write(f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 Cmono\n".encode())
            if (width, height) != size:
                sys.exit(f"{file}: {width}x{height}, expected {size[0]}x{size[1]} as the others")
            out.write(b"FRAME\n" + pixels)


def look(edge, path, model, reuse):
    """The decision on every frame, and how many faces kept their scores."""
    settings = {"FER_EDGE_SMOOTHING_TIME_MS": "0", "FER_EDGE_SMOOTHING_MARGIN": "0.0", "FER_EDGE_SMOOTHING_DWELL_MS": "0"}
    settings |= {f"FER_EDGE_REUSE_{key.upper()}": str(value) for key, value in reuse.items()}
    command = [edge, "run", "--detector", "none", *(["--model", model] if model else []), path]
    ran = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True)
    if ran.returncode:
        sys.exit(ran.stderr)
    decisions = [json.loads(line)["faces"][0]["raw_label"] for line in ran.stdout.splitlines()]
    return decisions, int(re.search(r"(\d+) faces reused", ran.stderr)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared" / "data" / "ck48")
    parser.add_argument("--model")
    parser.add_argument("--differences", type=float, nargs="+", default=[0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0])
    parser.add_argument("--score", type=float, default=0.5)
    parser.add_argument("--frames", type=int, default=5)
    args = parser.parse_args()
    found = sequences(args.data)
    if not found:
        sys.exit(f"{args.data}: no pictures <class>/<subject>_<sequence>_<frame>.png")
    truth = [label for label, files in found for _ in files]
    edge = fer_edge()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "sequences.y4m"
        video(found, path)
        anew, _ = look(edge, path, args.model, {"frames": 0})
        assert len(anew) == len(truth), "one decision a frame"
        print(f"{len(found)} sequences, {len(truth)} frames; score {args.score}, at most {args.frames} in a row")
        print(f"  {'difference':<12}{'reused':>8}{'changed':>9}{'accuracy':>10}")
        rows = [("anew", (anew, 0))]
        for difference in args.differences:
            reuse = {"difference": difference, "score": args.score, "frames": args.frames}
            rows.append((difference, look(edge, path, args.model, reuse)))
        known = [at for at, label in enumerate(truth) if label]
        for name, (decisions, reused) in rows:
            changed = sum(a != b for a, b in zip(decisions, anew))
            right = sum(decisions[at] == truth[at] for at in known)
            print(f"  {name:<12}{reused / len(truth):>8.1%}{changed:>9}{right / len(known):>10.2%}")


if __name__ == "__main__":
    main()
