"""Runs ONNX files in an independent runtime.

    judge.py onnxruntime|openvino [MODEL.onnx INPUTS.npy LOGITS.npy]...

Each model reads its inputs, [batch, channels, height, width] of 32-bit floats, and its logits,
[batch, classes], are written to LOGITS.npy. Without models only the runtime's version is printed.
Exit code 3: the runtime is not installed.
"""

import sys

NOT_INSTALLED = 3
# Images run at once, so that a thousand of them fit into memory.
BATCH = 64


def onnxruntime_session():
    import onnxruntime

    def load(path):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda batch: session.run(None, {name: batch})[0]

    return onnxruntime.__version__, load


def openvino_session():
    import openvino

    core = openvino.Core()
    # OpenVINO would otherwise compute in bfloat16 where the processor can.
    precise = {"INFERENCE_PRECISION_HINT": "f32"}

    def load(path):
        model = core.compile_model(path, "CPU", precise)
        return lambda batch: model(batch)[0]

    return openvino.__version__, load


RUNTIMES = {"onnxruntime": onnxruntime_session, "openvino": openvino_session}


def main(arguments):
    if len(arguments) % 3 != 1 or arguments[0] not in RUNTIMES:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        import numpy

        version, load = RUNTIMES[arguments[0]]()
    except ImportError as error:
        print(error, file=sys.stderr)
        return NOT_INSTALLED
    print(arguments[0], version)
    jobs = iter(arguments[1:])
    for model, inputs, logits in zip(jobs, jobs, jobs):
        run = load(model)
        images = numpy.load(inputs)
        rows = [run(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
        numpy.save(logits, numpy.concatenate(rows).astype(numpy.float32))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
