#!/usr/bin/env python3
"""Writes pytorch_gradients.json: what PyTorch's autograd gives for each operation.

    python3 tests/cases/make_pytorch_gradients.py

The file in the repository was made with PyTorch 1.13 (Debian's python3-torch). Inputs are drawn from
a seed, rounded to three decimals and then to float32; everything behind that is float64, so the
gradients are right to the seven digits that are written.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(21)
torch.set_num_threads(1)
cases = []

# of the largest element of each gradient: float32 sums, some of which cancel
TOLERANCE = 1e-5


def tensor(values, form):
    def number(v):
        short = float(f"{v:{form}}")
        return int(short) if short.is_integer() else short

    flat = values.detach().reshape(-1).tolist()
    return {"shape": list(values.shape), "data": [number(v) for v in flat]}


def uniform(*shape, scale=1000):
    """Three decimals from [-1, 1], as float32 has them."""
    return (torch.randint(-scale, scale + 1, shape).double() / 1000).float().double()


def case(name, op, attrs, inputs, f, call):
    """f of inputs gives y; dy is drawn. Without one f gives the loss."""
    leaves = {k: v.clone().requires_grad_() for k, v in inputs.items() if v is not None}
    y = f(*[leaves.get(k) for k in inputs])
    expected = {}
    if y.dim() == 0:
        y.backward()
        expected["loss"] = tensor(y.reshape(1), ".7g")
    else:
        dy = uniform(*y.shape)
        y.backward(dy)
    for key, leaf in leaves.items():
        expected[f"d{key}"] = tensor(leaf.grad, ".7g")
    given = {k: tensor(v, ".3f") for k, v in inputs.items() if v is not None}
    if y.dim() > 0:
        given["dy"] = tensor(dy, ".3f")
    cases.append({
        "id": f"pytorch-gradient-{op}-{name}",
        "source": f"PyTorch {torch.__version__}, float64: {call}, backward",
        "op": op,
        "attrs": attrs,
        "inputs": given,
        "expected": expected,
        "tol": {"abs": 0, "rel": 0, "largest": TOLERANCE},
    })


def conv(name, x, w, bias=True, stride=1, pads=0, dilation=1, groups=1):
    """pads: a number, PyTorch's "same", or before and after of each axis, through F.pad"""
    axes = len(x) - 2
    each = lambda v: list(v) if isinstance(v, (tuple, list)) else [v] * axes
    stride, dilation = each(stride), each(dilation)
    f = F.conv2d if axes == 2 else F.conv1d
    if pads == "same":
        call = f'F.conv{axes}d(..., padding="same")'
        extra = [d * (k - 1) for d, k in zip(dilation, w[2:])]
        pads = [e // 2 for e in extra] + [e - e // 2 for e in extra]
        y = lambda x, w, b: f(x, w, b, stride, "same", dilation, groups)
    else:
        call = f"F.conv{axes}d after F.pad"
        pads = [pads] * (2 * axes) if isinstance(pads, int) else list(pads)
        # F.pad takes the last axis first: left, right, top, bottom
        padding = [v for axis in reversed(range(axes)) for v in (pads[axis], pads[axis + axes])]
        y = lambda x, w, b: f(F.pad(x, padding), w, b, stride, 0, dilation, groups)
    attrs = {"stride": stride, "pads": pads, "dilation": dilation, "groups": groups}
    inputs = {"x": uniform(*x), "w": uniform(*w), "b": uniform(w[0]) if bias else None}
    case(name, f"conv{axes}d", attrs, inputs, y, call)


def pool(kind, name, x, kernel, stride=None, padding=0, dilation=1, ceil=False, count=True, divisor=None):
    x = x if isinstance(x, torch.Tensor) else uniform(*x)
    axes = x.dim() - 2
    each = lambda v: list(v) if isinstance(v, (tuple, list)) else [v] * axes
    kernel, padding, dilation = each(kernel), each(padding), each(dilation)
    stride = kernel if stride is None else each(stride)
    attrs = {"kernel": kernel, "stride": stride, "pads": padding * 2, "ceilMode": ceil}
    if kind == "max":
        attrs["dilation"] = dilation
        f = F.max_pool2d if axes == 2 else F.max_pool1d
        y = lambda x: f(x, kernel, stride, padding, dilation, ceil)
    else:
        attrs["countIncludePad"] = count
        if divisor:
            attrs["divisorOverride"] = divisor
        if axes == 2:
            y = lambda x: F.avg_pool2d(x, kernel, stride, padding, ceil, count, divisor)
        else:
            y = lambda x: F.avg_pool1d(x, kernel, stride, padding, ceil, count)
    case(name, f"{kind}pool{axes}d", attrs, {"x": x}, y, f"F.{kind}_pool{axes}d")


conv("plain", (2, 3, 7, 9), (5, 3, 3, 2))
conv("no-bias", (1, 2, 6, 6), (4, 2, 3, 3), bias=False)
conv("1x1", (2, 5, 4, 7), (7, 5, 1, 1))
conv("1x1-stride", (2, 3, 7, 8), (4, 3, 1, 1), stride=(2, 3))
conv("kernel-is-input", (3, 3, 5, 4), (6, 3, 5, 4))
conv("stride-2", (2, 2, 9, 9), (3, 2, 3, 3), stride=2, pads=1)
conv("stride-3-uneven", (1, 2, 11, 13), (3, 2, 3, 3), stride=3)
conv("stride-4", (2, 2, 13, 11), (3, 2, 5, 5), stride=4, pads=2)
conv("stride-pair", (1, 2, 11, 10), (3, 2, 3, 3), stride=(2, 3))
conv("dilation-2", (2, 2, 9, 9), (3, 2, 3, 3), pads=2, dilation=2)
conv("dilation-pair", (1, 2, 11, 13), (3, 2, 3, 3), dilation=(2, 3))
conv("asymmetric-padding", (2, 2, 5, 6), (3, 2, 3, 3), pads=(1, 0, 2, 3))
conv("padding-beyond-the-kernel", (1, 1, 2, 3), (2, 1, 2, 2), pads=(3, 4, 2, 1))
conv("everything", (2, 4, 9, 11), (6, 2, 3, 2), stride=(2, 1), pads=(2, 1, 1, 0), dilation=(2, 3), groups=2)
conv("groups-2", (2, 4, 5, 5), (6, 2, 3, 3), pads=1, groups=2)
conv("groups-3", (1, 6, 5, 5), (9, 2, 3, 3), pads=1, groups=3)
conv("depthwise", (2, 5, 6, 7), (5, 1, 3, 3), pads=1, groups=5)
conv("depthwise-multiplier", (1, 3, 7, 7), (6, 1, 3, 3), stride=2, dilation=2, groups=3)
conv("same", (1, 2, 6, 7), (3, 2, 3, 3), pads="same")
conv("same-even-kernel", (1, 2, 6, 7), (3, 2, 4, 2), pads="same")
conv("same-dilation", (1, 2, 6, 7), (3, 2, 2, 3), pads="same", dilation=(3, 2))
conv("alexnet-1", (1, 3, 35, 35), (4, 3, 11, 11), stride=4, pads=2)
conv("alexnet-2", (2, 4, 9, 9), (6, 4, 5, 5), pads=2)
conv("alexnet-3", (2, 6, 13, 13), (8, 6, 3, 3), pads=1)
conv("alexnet-5", (9, 3, 5, 5), (7, 3, 3, 3), pads=1)
conv("wide", (1, 1, 3, 200), (2, 1, 3, 5), pads=(0, 2, 0, 2))
conv("one-pixel-out", (5, 4, 3, 3), (13, 4, 3, 3))

conv("plain", (2, 3, 11), (4, 3, 3))
conv("same", (1, 2, 10), (3, 2, 5), pads="same")
conv("same-even-kernel", (1, 2, 10), (3, 2, 4), pads="same")
conv("stride-dilation", (2, 2, 17), (5, 2, 3), stride=2, dilation=3, pads=(1, 4))
conv("stride-4", (2, 2, 19), (3, 2, 3), stride=4, pads=(0, 1))
conv("groups", (2, 6, 9), (4, 3, 3), groups=2, pads=1)
conv("depthwise", (2, 4, 9), (8, 1, 3), groups=4, pads=1)
conv("kernel-is-input", (3, 2, 7), (5, 2, 7), bias=False)
conv("kernel-1", (4, 3, 6), (7, 3, 1))
conv("long", (1, 2, 450), (3, 2, 3), pads=1)

pool("max", "alexnet", (2, 3, 13, 13), 3, 2)
pool("max", "overlap", (2, 2, 6, 11), 3, 1, 1)
pool("max", "ties", torch.randint(0, 3, (2, 2, 8, 9)).double(), 3, 2)
pool("max", "zeros", torch.zeros(1, 2, 6, 9).double(), 3, 2, 1)
pool("max", "negatives", -1 - uniform(1, 2, 6, 7).abs(), 3, 2, 1)
pool("max", "ceil", (1, 2, 7, 8), 3, 2, 0, 1, True)
pool("max", "ceil-padding", (1, 2, 7, 8), (3, 2), (3, 3), (1, 1), 1, True)
pool("max", "dilation", (2, 2, 9, 10), (2, 3), (1, 2), 0, (3, 2))
pool("max", "plain", (2, 3, 12), 3)
pool("max", "overlap-ceil", (2, 3, 12), 4, 3, 2, 1, True)
pool("avg", "plain", (2, 2, 6, 9), 2)
pool("avg", "overlap", (1, 2, 7, 11), 3, 1)
pool("avg", "padding", (1, 2, 5, 9), 3, 2, 1)
pool("avg", "padding-not-counted", (1, 2, 5, 9), 3, 2, 1, count=False)
pool("avg", "ceil-padding", (1, 2, 6, 8), 3, 2, 1, ceil=True)
pool("avg", "ceil-not-counted", (1, 2, 6, 8), (3, 4), (2, 3), (1, 2), ceil=True, count=False)
pool("avg", "divisor", (1, 2, 5, 6), 3, 2, 1, divisor=5)
pool("avg", "plain", (2, 2, 11), 3, 2, 1)
pool("avg", "ceil-not-counted", (2, 2, 12), 4, 3, 2, ceil=True, count=False)

for size, out in [((7, 5), (3, 2)), ((6, 6), (6, 6)), ((2, 3), (5, 7)), ((13, 9), (1, 4))]:
    case(f"{size[0]}x{size[1]}-to-{out[0]}x{out[1]}", "adaptiveavgpool2d", {"outputSize": out},
         {"x": uniform(2, 2, *size)}, lambda x: F.adaptive_avg_pool2d(x, out), "F.adaptive_avg_pool2d")
for size, out in [(10, 4), (3, 7)]:
    case(f"{size}-to-{out}", "adaptiveavgpool1d", {"outputSize": [out]},
         {"x": uniform(2, 2, size)}, lambda x: F.adaptive_avg_pool1d(x, out), "F.adaptive_avg_pool1d")

for lead, in_f, out_f in [((3,), 19, 7), ((9,), 8, 16), ((1,), 40, 33), ((2, 3), 5, 6), ((), 7, 4)]:
    inputs = {"x": uniform(*lead, in_f), "w": uniform(out_f, in_f), "b": uniform(out_f)}
    name = "x".join(str(v) for v in (*lead, in_f)) + f"-to-{out_f}"
    case(name, "linear", {}, inputs, F.linear, "F.linear")

case("plain", "relu", {}, {"x": uniform(3, 7)}, F.relu, "F.relu")
case("zeros", "relu", {}, {"x": torch.tensor([0.0, -0.0, 1, -1, 0]).double()}, F.relu, "F.relu")
for axis in (0, 1, -1):
    case(f"axis-{axis}", "softmax", {"axis": axis}, {"x": uniform(3, 5, 4, scale=4000)},
         lambda x: F.softmax(x, axis), "F.softmax")
    case(f"axis-{axis}", "logsoftmax", {"axis": axis}, {"x": uniform(3, 5, 4, scale=4000)},
         lambda x: F.log_softmax(x, axis), "F.log_softmax")

for shape, smoothing, scale in [((4, 5), 0, 3000), ((1, 2), 0, 1000), ((6, 10), 0.1, 5000),
                                ((3, 33), 0.3, 1000), ((3, 4), 1, 2000), ((5, 3), 0, 60000)]:
    targets = torch.randint(0, shape[1], (shape[0],))
    case(f"{shape[0]}x{shape[1]}-smoothing-{smoothing}", "crossentropy",
         {"targets": targets.tolist(), "labelSmoothing": smoothing}, {"x": uniform(*shape, scale=scale)},
         lambda x: F.cross_entropy(x, targets, label_smoothing=smoothing), "F.cross_entropy")

for size, shape, alpha, beta, k in [(5, (2, 9, 4, 3), 1e-2, 0.75, 2), (3, (1, 4, 3, 3), 1.5, 0.75, 1),
                                    (9, (1, 4, 3, 3), 1, 0.5, 1), (1, (1, 3, 7), 2, 1, 1)]:
    case(f"size-{size}", "lrn", {"size": size, "alpha": alpha, "beta": beta, "k": k},
         {"x": uniform(*shape, scale=4000)},
         lambda x: F.local_response_norm(x, size, alpha, beta, k), "F.local_response_norm")

for shape, affine, eps in [((6, 4), True, 1e-5), ((3, 2, 9), True, 1e-5), ((2, 4, 3, 5), True, 1e-5),
                           ((2, 3, 4, 4), False, 1e-3), ((5, 2, 13, 13), True, 1e-5)]:
    w, b = (uniform(shape[1]), uniform(shape[1])) if affine else (None, None)
    case("x".join(str(v) for v in shape), "batchnormtraining", {"eps": eps},
         {"x": uniform(*shape, scale=3000), "w": w, "b": b},
         lambda x, w, b: F.batch_norm(x, None, None, w, b, True, 0, eps), "F.batch_norm(training=True)")

conv("depthwise-5x5-stride", (2, 3, 9, 10), (3, 1, 5, 5), pads=2, stride=2, groups=3)
conv("depthwise-wide", (1, 2, 6, 23), (4, 1, 3, 3), pads=1, groups=2)

meta = {"source": f"PyTorch {torch.__version__}", "how": "tests/cases/make_pytorch_gradients.py"}
lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
path = pathlib.Path(__file__).with_name("pytorch_gradients.json")
path.write_text(f'{{"format":1,"meta":{json.dumps(meta)},"cases":[\n{lines}\n]}}\n')
print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")
