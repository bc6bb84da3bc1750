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
model = None
optimizer = None
result = None


def start(threads):
    torch.set_num_threads(threads)
    onednn = ["oneDNN"] if torch.backends.mkldnn.is_available() else []
    version = ", ".join([torch.__version__, *blas(), *onednn])
    return {"version": version, "threads": torch.get_num_threads()}


def blas():
    """The BLAS that PyTorch has loaded, on Linux. Netlib's is slow: Debian's default."""
    try:
        with open("/proc/self/maps") as maps:
            loaded = maps.read()
    except OSError:
        return []
    libraries = {"openblas": "OpenBLAS", "libmkl": "MKL", "libblis": "BLIS", "libatlas": "ATLAS"}
    found = [name for library, name in libraries.items() if library in loaded]
    return found or (["reference BLAS"] if "/libblas.so" in loaded else [])


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


def load(name, parameters):
    """Creates a network of torchvision with the parameters that were sent before."""
    import torchvision

    global model
    model = getattr(torchvision.models, name)()
    state = {key: tensors.pop(key) for key in parameters}
    result = model.load_state_dict(state, strict=False)
    missing = [key for key in result.missing_keys if not key.endswith("num_batches_tracked")]
    if missing or result.unexpected_keys:
        raise ValueError(f"{name} has other parameters: {missing + result.unexpected_keys}")
    model.eval()
    return {}


@timed
@torch.inference_mode()
def forward():
    return model(tensors["x"])


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


def train(**options):
    """Starts training, without dropout and stochastic depth."""
    global optimizer
    model.train()
    for module in model.modules():
        if type(module).__name__ in ("Dropout", "StochasticDepth"):
            module.p = 0.0
    optimizer = torch.optim.SGD(model.parameters(), **options)
    return {}


@timed
def step(targets):
    optimizer.zero_grad(set_to_none=True)
    loss = F.cross_entropy(model(tensors["x"]), torch.tensor(targets))
    loss.backward()
    optimizer.step()
    return loss.detach()


COMMANDS = {
    "start": start,
    "read": read,
    "load": load,
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
