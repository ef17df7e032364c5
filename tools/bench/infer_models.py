"""Files for `infer.py`: VGG19 for faces with random weights as ONNX, its 8-bit form, both for ncnn, and faces.

    python infer_models.py FOLDER
    python infer_models.py MODEL.onnx NAME        one more file for ncnn: NAME.param and NAME.bin

The widths are those of WuJie1010's FER VGG19 (BatchNorm folded), and half of them. Nothing here is trained: such files measure
time, not accuracy. `onnxruntime.quantization` makes the 8-bit files, statically, from the faces.
"""

import pathlib
import struct
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

SHAPE = [3, 44, 44]
WIDTHS = [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"]
FACES = 32


def faces():
    """Grey pictures with soft structure, in three equal channels as the reference feeds them."""
    random = numpy.random.default_rng(5)
    coarse = random.random((FACES, 1, 11, 11), dtype=numpy.float32)
    grey = coarse.repeat(4, axis=2).repeat(4, axis=3) * 0.8
    grey += random.random(grey.shape, dtype=numpy.float32) * 0.2
    return numpy.ascontiguousarray(grey.repeat(3, axis=1))


def network(path, divisor):
    """Writes the float file. He's initialisation keeps the maps' size from layer to layer."""
    random = numpy.random.default_rng(divisor)
    nodes, weights, value, channels = [], [], "pixels", SHAPE[0]

    def parameters(name, *shape):
        scale = (2 / numpy.prod(shape[1:])) ** 0.5
        weight = random.standard_normal(shape, dtype=numpy.float32) * scale
        bias = random.standard_normal(shape[0], dtype=numpy.float32) * 0.05
        weights.extend(numpy_helper.from_array(x.astype(numpy.float32), f"{name}/{what}") for x, what in [(weight, "w"), (bias, "b")])
        return [f"{name}/w", f"{name}/b"]

    for i, width in enumerate(WIDTHS):
        if width == "M":
            nodes.append(helper.make_node("MaxPool", [value], [f"pool{i}"], kernel_shape=[2, 2], strides=[2, 2]))
            value = f"pool{i}"
            continue
        inputs = [value, *parameters(f"conv{i}", width // divisor, channels, 3, 3)]
        nodes.append(helper.make_node("Conv", inputs, [f"conv{i}"], kernel_shape=[3, 3], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"conv{i}"], [f"relu{i}"]))
        value, channels = f"relu{i}", width // divisor
    nodes.append(helper.make_node("Flatten", [value], ["flat"], axis=1))
    nodes.append(helper.make_node("Gemm", ["flat", *parameters("head", 7, channels)], ["logits"], transB=1))
    tensor = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "vgg19", [tensor("pixels", 1, *SHAPE)], [tensor("logits", 1, 7)], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


class Calibration(CalibrationDataReader):
    def __init__(self, pictures):
        self.rows = iter([{"pixels": picture[None]} for picture in pictures])

    def get_next(self):
        return next(self.rows, None)


def quantise(source, path, pictures):
    quantize_static(
        source, path, Calibration(pictures), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


def largest_inputs(source, pictures):
    """The greatest magnitude of each layer's input, which ncnn's integers are scaled to."""
    import onnxruntime

    model = onnx.load(source)
    names = [node.input[0] for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    model.graph.output.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names if n != "pixels")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    outputs = [output.name for output in session.get_outputs()]
    largest = {"pixels": float(numpy.abs(pictures).max())}
    for picture in pictures:
        for name, value in zip(outputs, session.run(None, {"pixels": picture[None]})):
            largest[name] = max(largest.get(name, 0), float(numpy.abs(value).max()))
    return largest


def without_codes(model):
    """Takes the quantizers out of an 8-bit file: its constants as numbers, and the greatest magnitude each layer's input
    can have, None where there are no quantizers."""
    constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    nodes, same, largest = [], {}, {}
    for node in model.graph.node:
        inputs = [same.get(name, name) for name in node.input]
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            scale = constants[inputs[1]].astype(numpy.float32)
            zero = constants[inputs[2]] if len(inputs) > 2 else numpy.zeros(1, numpy.int8)
            if inputs[0] in constants:
                codes = constants[inputs[0]]
                along = [-1] + [1] * (codes.ndim - 1)
                constants[node.output[0]] = (codes.astype(numpy.float32) - zero.reshape(along)) * scale.reshape(along)
                continue
            same[node.output[0]] = inputs[0]
            codes = numpy.iinfo(zero.dtype)
            largest[inputs[0]] = float(scale * max(codes.max - int(zero), int(zero) - codes.min))
            continue
        del node.input[:]
        node.input.extend(inputs)
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return constants, largest or None


def for_ncnn(source, path, largest=None):
    """The file as ncnn's two; with `largest`, or where the file is in 8 bits, in 8 bits."""
    model = onnx.load(source)
    constants, known = without_codes(model)
    largest = largest or known
    followed = {node.input[0] for node in model.graph.node if node.op_type == "Relu"}
    lines, binary, names = ["Input in0 0 1 in0"], b"", {"pixels": "in0"}
    for node in model.graph.node:
        source, output = names[node.input[0]], "out0" if node.op_type == "Gemm" else node.output[0]
        if node.op_type == "Relu":
            names[node.output[0]] = source
            continue
        names[node.output[0]] = output
        head = f"{node.output[0]} 1 1 {source} {output}"
        if node.op_type == "MaxPool":
            lines.append(f"Pooling {head} 0=0 1=2 2=2 5=1")
        elif node.op_type == "Flatten":
            lines.append(f"Flatten {head}")
        else:
            weight, bias = constants[node.input[1]], constants[node.input[2]]
            count, rows = weight.shape[0], weight.reshape(weight.shape[0], -1)
            eight = " 8=2" if largest else ""
            if node.op_type == "Conv":
                relu = " 9=1" if node.output[0] in followed else ""
                lines.append(f"Convolution {head} 0={count} 1=3 4=1 5=1 6={weight.size}{eight}{relu}")
            else:
                lines.append(f"InnerProduct {head} 0={count} 1=1 2={weight.size}{eight}")
            if largest:
                scale = 127 / numpy.maximum(numpy.abs(rows).max(1), 1e-9)
                data = numpy.clip(numpy.round(rows * scale[:, None]), -127, 127).astype(numpy.int8).tobytes()
                binary += struct.pack("<I", 0x000D4B38) + data + b"\0" * (-len(data) % 4) + bias.tobytes()
                binary += scale.astype("<f4").tobytes() + struct.pack("<f", 127 / largest[node.input[0]])
            else:
                binary += struct.pack("<I", 0) + weight.tobytes() + bias.tobytes()
    path.with_suffix(".param").write_text(f"7767517\n{len(lines)} {len(lines)}\n" + "\n".join(lines) + "\n")
    path.with_suffix(".bin").write_bytes(binary)


def main():
    if len(sys.argv) == 3:
        return for_ncnn(sys.argv[1], pathlib.Path(sys.argv[2]))
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    pictures = faces()
    for name, divisor in [("vgg19", 1), ("half", 2)]:
        source, bytes_ = folder / f"{name}-f32.onnx", folder / f"{name}-int8.onnx"
        network(source, divisor)
        quantise(source, bytes_, pictures)
        for_ncnn(source, folder / f"{name}-f32.onnx")
        for_ncnn(source, folder / f"{name}-int8.onnx", largest_inputs(source, pictures))
    # last and whole: it tells infer.py that all of it is there
    new = folder / "faces.new"
    pictures.astype("<f4").tofile(new)
    new.rename(folder / "faces.f32")


if __name__ == "__main__":
    main()
