"""One measurement of `infer.py` in a process of its own: a runtime, a file, faces, threads.

    python infer_peer.py RUNTIME FILE FACES.f32 C,H,W THREADS RUNS

Prints one line of JSON: milliseconds to load and of each run, each face's decision, and the process's peak memory.
"""

import json
import os
import resource
import sys
import time

RUNTIME, FILE, FACES, SHAPE, THREADS, RUNS = sys.argv[1:]
SHAPE, THREADS, RUNS = [int(x) for x in SHAPE.split(",")], int(THREADS), int(RUNS)
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = str(THREADS)

import numpy

WARM_UP = 5


def onnxruntime():
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    started = time.perf_counter()
    session = onnxruntime.InferenceSession(FILE, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return started, onnxruntime.__version__, lambda face: session.run(None, {name: face})[0]


def openvino():
    import openvino

    started = time.perf_counter()
    # without the hint it computes floats in bfloat16 where the processor can
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": THREADS, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    core = openvino.Core()
    model = core.read_model(FILE)
    model.reshape([1, *SHAPE])
    request = core.compile_model(model, "CPU", hints).create_infer_request()
    run = lambda face: next(iter(request.infer({0: face}, share_inputs=True, share_outputs=True).values()))
    return started, openvino.__version__.split("-")[0], run


def ncnn():
    import ncnn

    started = time.perf_counter()
    net = ncnn.Net()
    net.opt.num_threads, net.opt.use_vulkan_compute = THREADS, False
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)
    net.load_param(FILE.replace(".onnx", ".param"))
    net.load_model(FILE.replace(".onnx", ".bin"))

    def run(face):
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(face[0]).clone())
        return numpy.array(extractor.extract("out0")[1])

    return started, ncnn.__version__, run


def opencv():
    import cv2

    cv2.setNumThreads(THREADS)
    started = time.perf_counter()
    net = cv2.dnn.readNetFromONNX(FILE)

    def run(face):
        net.setInput(face)
        return net.forward()

    return started, cv2.__version__, run


def main():
    faces = numpy.fromfile(FACES, dtype="<f4").reshape(-1, 1, *SHAPE)
    started, version, run = {"onnxruntime": onnxruntime, "openvino": openvino, "ncnn": ncnn, "opencv": opencv}[RUNTIME]()
    run(faces[0])
    load = time.perf_counter() - started
    decisions = [int(numpy.argmax(run(face))) for face in faces]
    times = []
    for i in range(WARM_UP + RUNS):
        started = time.perf_counter()
        run(faces[i % len(faces)])
        times.append((time.perf_counter() - started) * 1e3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({
        "runs_on": version, "load_ms": load * 1e3, "runs_ms": times[WARM_UP:], "decisions": decisions, "peak_mb": peak,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
