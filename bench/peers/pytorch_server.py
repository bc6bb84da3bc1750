"""Runs PyTorch for pytorch_process.ts, which starts this script and talks to it through pipes.

stdin:  Lines of JSON, { command, … }: the name of a function below, and its arguments.
        { command: "tensor", name, shape } is followed by float32 values, and has no reply.
stdout: One line of JSON for every other command. Timed functions reply with { ms }.
        The reply { bytes } to "read" is followed by the values of the last result.
All values are in the machine's byte order.
"""
import json
import sys
import time

import numpy
import torch
import torch.nn.functional as F

tensors = {}
network = []  # AlexNet's layers
optimizer = None
result = None


def start(threads, layers):
    torch.set_num_threads(threads)
    network.extend(layers)
    version = torch.__version__ + (", no fast BLAS" if slow_blas() else "")
    return {"version": version, "threads": torch.get_num_threads()}


def slow_blas():
    """Whether PyTorch uses Netlib's slow BLAS, the default on Debian."""
    try:
        with open("/proc/self/maps") as maps:
            loaded = maps.read()
    except OSError:
        return False
    fast = ("openblas", "libmkl", "libblis", "libatlas")
    return "/libblas.so" in loaded and not any(name in loaded for name in fast)


def read_tensor(name, shape):
    size = 4 * int(numpy.prod(shape))
    data = sys.stdin.buffer.read(size)
    if len(data) != size:
        raise EOFError("the benchmark ended in the middle of a message")
    values = numpy.frombuffer(data, numpy.float32).copy()
    tensors[name] = torch.from_numpy(values.reshape(shape))


def read():
    return {"bytes": 4 * result.numel()}


def timed(work):
    """Makes a command that replies with its time, and stores its result for "read"."""

    def command(**options):
        global result
        begin = time.perf_counter()
        result = work(**options)
        return {"ms": 1000 * (time.perf_counter() - begin)}

    return command


def alexnet(x):
    for layer in network:
        if layer["op"] == "pool":
            x = F.max_pool2d(x, 3, 2)
            continue
        weight, bias = tensors[layer["name"] + ".weight"], tensors[layer["name"] + ".bias"]
        if layer["op"] == "conv":
            x = F.conv2d(x, weight, bias, layer["stride"], layer["padding"]).relu_()
        else:
            x = F.linear(x.flatten(1), weight, bias)
            if layer["relu"]:
                x = x.relu_()
    return x


@timed
@torch.inference_mode()
def forward():
    return alexnet(tensors["x"])


@timed
@torch.inference_mode()
def conv_forward(stride, padding):
    return F.conv2d(tensors["x"], tensors["weight"], None, stride, padding)


@timed
@torch.inference_mode()
def conv_dx(stride, padding):
    x, weight, dy = tensors["x"], tensors["weight"], tensors["dy"]
    return torch.nn.grad.conv2d_input(x.shape, weight, dy, stride, padding)


@timed
@torch.inference_mode()
def conv_dw(stride, padding):
    x, weight, dy = tensors["x"], tensors["weight"], tensors["dy"]
    return torch.nn.grad.conv2d_weight(x, weight.shape, dy, stride, padding)


def train(parameters, **options):
    global optimizer
    trained = [tensors[name].requires_grad_() for name in parameters]
    optimizer = torch.optim.SGD(trained, **options)
    return {}


@timed
def step(targets):
    optimizer.zero_grad(set_to_none=True)
    loss = F.cross_entropy(alexnet(tensors["x"]), torch.tensor(targets))
    loss.backward()
    optimizer.step()
    return loss.detach()


COMMANDS = {
    "start": start,
    "read": read,
    "forward": forward,
    "conv forward": conv_forward,
    "conv dx": conv_dx,
    "conv dw": conv_dw,
    "train": train,
    "step": step,
}

while line := sys.stdin.buffer.readline():
    options = json.loads(line)
    command = options.pop("command")
    if command == "tensor":
        read_tensor(**options)
        continue
    reply = COMMANDS[command](**options)
    sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n")
    if command == "read":
        sys.stdout.buffer.write(result.contiguous().numpy().tobytes())
    sys.stdout.buffer.flush()
