"""AlexNet in PyTorch for pytorch.ts, which starts this and talks to it over its pipes.

In:  a line of JSON { threads, image, layers, parameters }, the parameters as float32,
     then for each forward pass the batch size as uint32 and the images as float32.
Out: a line of JSON { version, threads }, then for each forward pass its milliseconds as float64
     and the logits as float32. All in the machine's byte order.
"""
import json
import struct
import sys
import time

import numpy
import torch
import torch.nn.functional as F


def read_floats(shape):
    size = 4 * int(numpy.prod(shape))
    data = sys.stdin.buffer.read(size)
    if len(data) != size:
        raise EOFError("the bench stopped in the middle of a message")
    return torch.from_numpy(numpy.frombuffer(data, numpy.float32).copy().reshape(shape))


def forward(x):
    for layer in setup["layers"]:
        if layer["op"] == "pool":
            x = F.max_pool2d(x, 3, 2)
            continue
        weight, bias = parameters[layer["name"] + ".weight"], parameters[layer["name"] + ".bias"]
        if layer["op"] == "conv":
            x = F.conv2d(x, weight, bias, layer["stride"], layer["padding"]).relu_()
        else:
            x = F.linear(x.flatten(1), weight, bias)
            if layer["relu"]:
                x = x.relu_()
    return x


setup = json.loads(sys.stdin.buffer.readline())
parameters = {p["name"]: read_floats(p["shape"]) for p in setup["parameters"]}
torch.set_num_threads(setup["threads"])
ready = {"version": torch.__version__, "threads": torch.get_num_threads()}
sys.stdout.write(json.dumps(ready) + "\n")
sys.stdout.flush()

while head := sys.stdin.buffer.read(4):
    images = read_floats([struct.unpack("=I", head)[0], *setup["image"]])
    start = time.perf_counter()
    with torch.inference_mode():
        logits = forward(images).numpy()
    ms = 1000 * (time.perf_counter() - start)
    sys.stdout.buffer.write(struct.pack("=d", ms) + logits.tobytes())
    sys.stdout.buffer.flush()
