#!/usr/bin/env python3
"""Writes pytorch_forward.json: what PyTorch itself gives for the forward operations.

    python3 tests/cases/make_pytorch_cases.py

The file in the repository was made with PyTorch 1.13 (Debian's python3-torch) on one thread. Values
are drawn from a seed, so another run gives the same inputs, and outputs within the tolerance.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(20)
torch.set_num_threads(1)
cases = []


def tensor(values):
    """A tensor in the cases' form; nine digits bring every float32 back."""
    def number(v):
        if v != v:
            return "NaN"
        if v in (float("inf"), float("-inf")):
            return "Infinity" if v > 0 else "-Infinity"
        short = f"{v:.9g}"
        return int(short) if float(short).is_integer() and abs(v) < 1e6 else float(short)

    flat = values.detach().reshape(-1).tolist()
    return {"shape": list(values.shape), "data": [number(v) for v in flat]}


def case(name, op, attrs, inputs, expected, call, abs_tol=1e-5, rel_tol=1e-5):
    cases.append({
        "id": f"pytorch-{op}-{name}",
        "source": f"PyTorch {torch.__version__}: {call}",
        "op": op,
        "attrs": attrs,
        "inputs": {k: tensor(v) for k, v in inputs.items() if v is not None},
        "expected": {k: tensor(v) for k, v in expected.items()},
        "tol": {"abs": abs_tol, "rel": rel_tol},
    })


def uniform(*shape):
    return torch.rand(*shape) * 2 - 1


def conv2d(name, x, w, bias=True, stride=(1, 1), pads=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    x, w = uniform(*x), uniform(*w)
    b = uniform(w.shape[0]) if bias else None
    if pads == "same":
        y = F.conv2d(x, w, b, stride, "same", dilation, groups)
        extra = [d * (k - 1) for d, k in zip(dilation, w.shape[2:])]
        pads = [extra[0] // 2, extra[1] // 2, extra[0] - extra[0] // 2, extra[1] - extra[1] // 2]
        call = 'F.conv2d(..., padding="same")'
    else:
        top, left, bottom, right = pads
        y = F.conv2d(F.pad(x, (left, right, top, bottom)), w, b, stride, 0, dilation, groups)
        call = "F.conv2d after F.pad"
    attrs = {"stride": stride, "pads": pads, "dilation": dilation, "groups": groups}
    k = w[0].numel()
    case(name, "conv2d", attrs, {"x": x, "w": w, "b": b}, {"y": y}, call, max(1e-5, 2e-7 * k))


def conv1d(name, x, w, bias=True, stride=1, pads=(0, 0), dilation=1, groups=1):
    x, w = uniform(*x), uniform(*w)
    b = uniform(w.shape[0]) if bias else None
    if pads == "same":
        y = F.conv1d(x, w, b, stride, "same", dilation, groups)
        extra = dilation * (w.shape[2] - 1)
        pads = [extra // 2, extra - extra // 2]
        call = 'F.conv1d(..., padding="same")'
    else:
        y = F.conv1d(F.pad(x, pads), w, b, stride, 0, dilation, groups)
        call = "F.conv1d after F.pad"
    attrs = {"stride": [stride], "pads": pads, "dilation": [dilation], "groups": groups}
    case(name, "conv1d", attrs, {"x": x, "w": w, "b": b}, {"y": y}, call)


def maxpool(name, x, kernel, stride=None, padding=0, dilation=1, ceil=False):
    """padding is the same before and after, as PyTorch has it"""
    dims = x.dim() - 2
    pair = lambda v: list(v) if isinstance(v, (tuple, list)) else [v] * dims
    kernel, padding, dilation = pair(kernel), pair(padding), pair(dilation)
    stride = kernel if stride is None else pair(stride)
    f = F.max_pool2d if dims == 2 else F.max_pool1d
    y, indices = f(x, kernel, stride, padding, dilation, ceil, return_indices=True)
    attrs = {"kernel": kernel, "stride": stride, "pads": padding * 2, "dilation": dilation, "ceilMode": ceil}
    case(name, f"maxpool{dims}d", attrs, {"x": x}, {"y": y, "indices": indices},
         f"F.max_pool{dims}d(return_indices=True)", 0, 0)


def avgpool(name, x, kernel, stride=None, padding=0, ceil=False, count=True, divisor=None):
    dims = x.dim() - 2
    pair = lambda v: list(v) if isinstance(v, (tuple, list)) else [v] * dims
    kernel, padding = pair(kernel), pair(padding)
    stride = kernel if stride is None else pair(stride)
    attrs = {"kernel": kernel, "stride": stride, "pads": padding * 2, "ceilMode": ceil, "countIncludePad": count}
    if dims == 2:
        y = F.avg_pool2d(x, kernel, stride, padding, ceil, count, divisor)
        if divisor is not None:
            attrs["divisorOverride"] = divisor
    else:
        y = F.avg_pool1d(x, kernel, stride, padding, ceil, count)
    case(name, f"avgpool{dims}d", attrs, {"x": x}, {"y": y}, f"F.avg_pool{dims}d", 1e-6)


conv2d("odd-shape", (2, 3, 7, 9), (5, 3, 3, 2))
conv2d("no-bias", (1, 2, 6, 6), (4, 2, 3, 3), bias=False)
conv2d("1x1", (2, 5, 4, 7), (7, 5, 1, 1))
conv2d("1x1-stride", (1, 3, 7, 8), (4, 3, 1, 1), stride=(2, 3))
conv2d("kernel-is-input", (2, 3, 5, 4), (6, 3, 5, 4))
conv2d("stride-pair", (1, 2, 11, 10), (3, 2, 3, 3), stride=(2, 3))
conv2d("dilation-pair", (1, 2, 11, 13), (3, 2, 3, 3), dilation=(2, 3))
conv2d("asymmetric-padding", (1, 2, 5, 6), (3, 2, 3, 3), pads=(1, 0, 2, 3))
conv2d("padding-beyond-the-kernel", (1, 1, 2, 3), (2, 1, 2, 2), pads=(3, 4, 2, 1))
conv2d("everything", (2, 4, 9, 11), (6, 2, 3, 2), stride=(2, 1), pads=(2, 1, 1, 0), dilation=(2, 3), groups=2)
conv2d("groups", (1, 6, 5, 5), (9, 2, 3, 3), pads=(1, 1, 1, 1), groups=3)
conv2d("depthwise", (2, 5, 6, 7), (5, 1, 3, 3), pads=(1, 1, 1, 1), groups=5)
conv2d("depthwise-multiplier-dilation", (1, 3, 7, 7), (6, 1, 3, 3), dilation=(2, 2), groups=3)
conv2d("same", (1, 2, 6, 7), (3, 2, 3, 3), pads="same")
conv2d("same-even-kernel", (1, 2, 6, 7), (3, 2, 4, 2), pads="same")
conv2d("same-dilation", (1, 2, 6, 7), (3, 2, 2, 3), pads="same", dilation=(3, 2))
conv2d("alexnet-first", (1, 3, 31, 31), (7, 3, 11, 11), stride=(4, 4), pads=(2, 2, 2, 2))
conv2d("deep", (1, 43, 4, 5), (7, 43, 3, 3), pads=(1, 1, 1, 1))
conv2d("wide", (1, 1, 3, 400), (2, 1, 3, 5), stride=(1, 1), pads=(0, 2, 0, 2))

conv1d("odd", (2, 3, 11), (4, 3, 3))
conv1d("same", (1, 2, 10), (3, 2, 5), pads="same")
conv1d("same-even-kernel", (1, 2, 10), (3, 2, 4), pads="same")
conv1d("stride-dilation", (1, 2, 17), (5, 2, 3), stride=2, dilation=3, pads=(1, 4))
conv1d("depthwise", (2, 4, 9), (8, 1, 3), groups=4, pads=(1, 1))
conv1d("kernel-is-input", (3, 2, 7), (5, 2, 7), bias=False)

maxpool("alexnet", uniform(1, 3, 13, 13), 3, 2)
maxpool("overlap", uniform(2, 2, 6, 11), 3, 1, 1)
maxpool("negatives-padding", -1 - torch.rand(1, 2, 5, 6), 2, 2, 1)
maxpool("zeros", torch.zeros(1, 1, 6, 9), 3, 2, 1)
maxpool("ties", torch.randint(0, 3, (1, 2, 8, 9)).float(), 3, 2)
maxpool("ceil", uniform(1, 2, 7, 8), 3, 2, 0, 1, True)
maxpool("ceil-padding", uniform(1, 2, 7, 8), (3, 2), (3, 3), (1, 1), 1, True)
maxpool("ceil-last-window-dropped", uniform(1, 1, 2, 2), 1, 2, 0, 1, True)
maxpool("ceil-window-larger-than-input", uniform(1, 2, 2, 2), 3, 2, 0, 1, True)
maxpool("dilation", uniform(1, 2, 9, 10), (2, 3), (1, 2), 0, (3, 2))
maxpool("dilation-padding-ceil", uniform(1, 2, 9, 12), 3, 2, 1, 2, True)
x = uniform(1, 2, 6, 9)
x[0, 0, 2, 3] = x[0, 0, 2, 4] = x[0, 1, 5, 8] = float("nan")
maxpool("nan", x, 3, 2)
maxpool("nan-stride-1", x, 2, 1)
x = torch.full((1, 2, 5, 11), float("-inf"))
x[0, 1, 2, 5] = -3e38
maxpool("minus-infinity", x, 3, 2, 1)
maxpool("1d", uniform(2, 3, 12), 3, 2)
maxpool("1d-ceil-padding-dilation", uniform(1, 2, 12), 3, 2, 1, 2, True)
maxpool("1d-negatives", -torch.rand(1, 2, 9), 4, 3, 2)

avgpool("plain", uniform(2, 2, 6, 9), 2)
avgpool("overlap", uniform(1, 2, 7, 11), 3, 1)
avgpool("padding", uniform(1, 2, 5, 9), 3, 2, 1)
avgpool("padding-not-counted", uniform(1, 2, 5, 9), 3, 2, 1, count=False)
avgpool("ceil", uniform(1, 2, 6, 8), 3, 2, 0, True)
avgpool("ceil-padding", uniform(1, 2, 6, 8), 3, 2, 1, True)
avgpool("ceil-padding-not-counted", uniform(1, 2, 6, 8), (3, 4), (2, 3), (1, 2), True, False)
avgpool("ceil-window-larger-than-input", uniform(1, 1, 2, 2), 3, 2, 0, True)
avgpool("divisor", uniform(1, 2, 5, 6), 3, 2, 1, False, True, 5)
avgpool("1d", uniform(2, 2, 11), 3, 2, 1)
avgpool("1d-ceil-not-counted", uniform(1, 2, 12), 4, 3, 2, True, False)

for size, out in [((7, 5), (3, 2)), ((6, 6), (6, 6)), ((2, 3), (5, 7)), ((13, 9), (1, 4))]:
    x = uniform(1, 2, *size)
    case(f"{size[0]}x{size[1]}-to-{out[0]}x{out[1]}", "adaptiveavgpool2d", {"outputSize": out}, {"x": x},
         {"y": F.adaptive_avg_pool2d(x, out)}, "F.adaptive_avg_pool2d", 1e-6)
x = uniform(2, 2, 10)
case("10-to-4", "adaptiveavgpool1d", {"outputSize": [4]}, {"x": x}, {"y": F.adaptive_avg_pool1d(x, 4)},
     "F.adaptive_avg_pool1d", 1e-6)

for name, shape, affine, eps in [("affine", (2, 4, 3, 5), True, 1e-5), ("plain", (2, 3, 4, 4), False, 1e-3)]:
    x, mean, var = uniform(*shape), uniform(shape[1]), torch.rand(shape[1]) + 0.5
    w, b = (uniform(shape[1]), uniform(shape[1])) if affine else (None, None)
    case(name, "batchnorm2d", {"eps": eps}, {"x": x, "mean": mean, "var": var, "w": w, "b": b},
         {"y": F.batch_norm(x, mean, var, w, b, False, 0, eps)}, "F.batch_norm(training=False)", 1e-5)

x = uniform(2, 9, 4, 3) * 20
case("size-5", "lrn", {"size": 5, "alpha": 1e-2, "beta": 0.75, "k": 2}, {"x": x},
     {"y": F.local_response_norm(x, 5, 1e-2, 0.75, 2)}, "F.local_response_norm", 1e-5)
x = uniform(1, 4, 3, 3)
case("size-beyond-channels", "lrn", {"size": 9, "alpha": 1, "beta": 0.5, "k": 1}, {"x": x},
     {"y": F.local_response_norm(x, 9, 1, 0.5, 1)}, "F.local_response_norm", 1e-6)

x = uniform(3, 5, 4) * 30
for axis in (0, 1, -1):
    case(f"axis-{axis}", "softmax", {"axis": axis}, {"x": x}, {"y": F.softmax(x, axis)}, "F.softmax", 1e-6)
    case(f"axis-{axis}", "logsoftmax", {"axis": axis}, {"x": x}, {"y": F.log_softmax(x, axis)},
         "F.log_softmax", 1e-5)
x = torch.tensor([[float("-inf")] * 3, [1, float("nan"), 2], [float("inf"), 1, 2], [1, float("-inf"), 2]])
case("not-finite", "softmax", {"axis": 1}, {"x": x}, {"y": F.softmax(x, 1)}, "F.softmax", 1e-6)
case("not-finite", "logsoftmax", {"axis": 1}, {"x": x}, {"y": F.log_softmax(x, 1)}, "F.log_softmax", 1e-5)

x, w, b = uniform(3, 2, 19), uniform(7, 19), uniform(7)
case("three-axes", "linear", {}, {"x": x, "w": w, "b": b}, {"y": F.linear(x, w, b)}, "F.linear")
x = torch.tensor([-1.0, 0.0, 2.0, float("nan"), float("inf"), float("-inf"), -1e-45])
case("not-finite", "relu", {}, {"x": x}, {"y": F.relu(x)}, "F.relu", 0, 0)

conv2d("depthwise-5x5-stride", (2, 6, 9, 10), (6, 1, 5, 5), stride=(2, 2), pads=(2, 2, 2, 2), groups=6)
conv2d("depthwise-wide", (1, 3, 6, 23), (3, 1, 3, 3), pads=(1, 1, 1, 1), groups=3)
conv2d("depthwise-7x7-multiplier", (1, 2, 9, 12), (4, 1, 7, 7), pads=(3, 3, 3, 3), groups=2)

meta = {"source": f"PyTorch {torch.__version__}", "how": "tests/cases/make_pytorch_cases.py"}
lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
path = pathlib.Path(__file__).with_name("pytorch_forward.json")
path.write_text(f'{{"format":1,"meta":{json.dumps(meta)},"cases":[\n{lines}\n]}}\n')
print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")
