#!/usr/bin/env python3
"""Writes pytorch_spatial.json: results and gradients of operations that move, resample and normalise.

    python3 tests/cases/make_pytorch_spatial.py

The file in the repository was made with PyTorch 1.13 (Debian's python3-torch). Inputs are drawn from
a seed, rounded to three decimals and then to float32; everything behind that is float64.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(22)
torch.set_num_threads(1)
cases = []

# of the largest element of each tensor: float32 sums, some of which cancel
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


def case(name, op, attrs, inputs, f, call, extra={}):
    """f of inputs gives y; dy is drawn."""
    leaves = {k: v.clone().requires_grad_() for k, v in inputs.items() if v is not None}
    y = f(*[leaves.get(k) for k in inputs])
    dy = uniform(*y.shape)
    y.backward(dy)
    expected = {"y": tensor(y, ".7g"), **{k: tensor(v, ".7g") for k, v in extra.items()}}
    for key, leaf in leaves.items():
        expected[f"d{key}"] = tensor(leaf.grad, ".7g")
    given = {k: tensor(v, ".3f") for k, v in inputs.items() if v is not None}
    cases.append({
        "id": f"pytorch-spatial-{op}-{name}",
        "source": f"PyTorch {torch.__version__}, float64: {call}, and backward",
        "op": op,
        "attrs": attrs,
        "inputs": {**given, "dy": tensor(dy, ".3f")},
        "expected": expected,
        "tol": {"abs": 0, "rel": 0, "largest": TOLERANCE},
    })


def shape_name(shape):
    return "x".join(str(v) for v in shape)


for axis in (0, 1, -1):
    parts = [[2, 3, 5] for _ in range(3)]
    for part, size in zip(parts, (2, 1, 4)):
        part[axis] = size
    inputs = dict(zip("xwb", (uniform(*part) for part in parts)))
    case(f"axis-{axis}", "cat", {"axis": axis}, inputs, lambda *t: torch.cat(t, axis), "torch.cat")

for axis, start, end, step in [(1, 1, 3, 1), (-1, -4, -1, 1), (2, 0, 5, 2)]:
    index = [slice(None)] * 3
    index[axis] = slice(start, end, step)
    case(f"axis-{axis}-{start}-{end}-{step}", "slice",
         {"axis": axis, "start": start, "end": end, "step": step}, {"x": uniform(2, 4, 6)},
         lambda x: x[tuple(index)], "x[start:end:step]")

for dims in [(0, 2, 3, 1), (0, 3, 1, 2), (3, 1, 0, 2), (-1, 1, -2, 0)]:
    case(shape_name(dims), "permute", {"dims": dims}, {"x": uniform(2, 3, 4, 5)},
         lambda x: x.permute(dims), "Tensor.permute")

for channels, groups in [(6, 2), (12, 3)]:
    # channel_shuffle of PyTorch 1.13 has no gradient
    def shuffle(x):
        n, c, h, w = x.shape
        y = x.reshape(n, groups, c // groups, h, w).transpose(1, 2).reshape(x.shape)
        assert torch.equal(y, F.channel_shuffle(x.detach(), groups))
        return y

    case(f"{channels}-in-{groups}", "channelshuffle", {"groups": groups},
         {"x": uniform(2, channels, 2, 3)}, shuffle, "F.channel_shuffle")

for pads, value in [((1, 2), 0), ((1, 0, 2, 3), 0.5), ((-1, 2, 1, -2), -1), ((0, -2, -1, 0, 1, 1), 0)]:
    case(shape_name(pads), "pad", {"pads": pads, "value": value}, {"x": uniform(2, 3, 4, 5)},
         lambda x: F.pad(x, pads, value=value), "F.pad")

for pads, mode in [((1, 2), "reflect"), ((1, 0, 2, 3), "reflect"), ((3, 2, 0, 1), "replicate"), ((4, 0), "replicate")]:
    shape = (2, 3, 5) if len(pads) == 2 else (2, 3, 4, 5)
    case(f"{mode}-{shape_name(pads)}", "pad", {"pads": pads, "mode": mode}, {"x": uniform(*shape)},
         lambda x: F.pad(x, pads, mode), "F.pad")


def interpolate(name, shape, mode, size=None, scale=None, align=None, recompute=None):
    """In float32, in which PyTorch computes positions."""
    attrs = {"mode": mode}
    if size:
        attrs["outputSize"] = size
    if scale:
        attrs["scales"] = scale
    if align:
        attrs["alignCorners"] = True
    if recompute:
        attrs["recomputeScaleFactor"] = True
    y = lambda x: F.interpolate(x.float(), size, scale, mode, align, recompute)
    case(f"{mode}-{name}", "interpolate", attrs, {"x": uniform(*shape)}, y, "F.interpolate in float32")


for mode, align in [("nearest", None), ("nearest-exact", None), ("bilinear", False), ("bilinear", True)]:
    aligned = "-aligned" if align else ""
    interpolate(f"x2{aligned}", (1, 2, 3, 4), mode, scale=(2, 2), align=align)
    interpolate(f"3x4-to-7x5{aligned}", (1, 2, 3, 4), mode, size=(7, 5), align=align)
    interpolate(f"8x9-to-3x4{aligned}", (1, 2, 8, 9), mode, size=(3, 4), align=align)
    interpolate(f"to-1x1{aligned}", (1, 2, 4, 5), mode, size=(1, 1), align=align)
    interpolate(f"fractions{aligned}", (1, 2, 5, 7), mode, scale=(1.7, 0.6), align=align)
    interpolate(f"recomputed{aligned}", (1, 2, 5, 7), mode, scale=(1.7, 0.6), align=align, recompute=True)
    interpolate(f"same-size{aligned}", (1, 2, 5, 4), mode, scale=(1.1, 1.2), align=align)
    if mode == "nearest":  # PyTorch uses the scale forward, but not backward
        cases[-1]["expected"].pop("dx")
for mode, align in [("nearest", None), ("linear", False), ("linear", True)]:
    interpolate(f"1d{'-aligned' if align else ''}", (2, 3, 5), mode, scale=(2.5,), align=align)


def conv_transpose(name, x, w, bias=True, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    axes = len(x) - 2
    each = lambda v: list(v) if isinstance(v, tuple) else [v] * axes
    f = F.conv_transpose2d if axes == 2 else F.conv_transpose1d
    settings = [each(v) for v in (stride, padding, output_padding)]
    dilation = each(dilation)
    attrs = dict(zip(("stride", "pads", "outputPadding"), settings), dilation=dilation, groups=groups)
    inputs = {"x": uniform(*x), "w": uniform(*w), "b": uniform(w[1] * groups) if bias else None}
    case(name, f"convtranspose{axes}d", attrs, inputs, lambda x, w, b: f(x, w, b, *settings, groups, dilation),
         f"F.conv_transpose{axes}d")


conv_transpose("everything", (2, 4, 4, 5), (4, 3, 3, 2), stride=(2, 3), padding=(1, 0), output_padding=1, groups=2)
conv_transpose("output-padding-beyond-the-stride", (1, 2, 4, 3), (2, 3, 2, 2), output_padding=2, dilation=3, bias=False)
conv_transpose("depthwise", (1, 4, 3, 4), (4, 1, 3, 3), stride=2, padding=1, groups=4)
conv_transpose("everything", (2, 4, 5), (4, 3, 3), stride=3, padding=2, output_padding=1, dilation=2, groups=2)

for shape, last, affine, eps in [((5, 7), (7,), True, 1e-5), ((2, 3, 4, 5), (4, 5), True, 1e-3),
                                 ((2, 3, 33), (33,), False, 1e-5)]:
    w, b = (uniform(*last), uniform(*last)) if affine else (None, None)
    case(shape_name(shape), "layernorm", {"shape": last, "eps": eps},
         {"x": uniform(*shape, scale=3000), "w": w, "b": b},
         lambda x, w, b: F.layer_norm(x, last, w, b, eps), "F.layer_norm")
for shape, groups, affine, eps in [((2, 6, 4, 5), 3, True, 1e-5), ((2, 4, 3, 3), 4, True, 1e-3),
                                   ((3, 8), 2, True, 1e-5), ((2, 6, 5), 1, False, 1e-5)]:
    w, b = (uniform(shape[1]), uniform(shape[1])) if affine else (None, None)
    case(f"{shape_name(shape)}-in-{groups}", "groupnorm", {"groups": groups, "eps": eps},
         {"x": uniform(*shape, scale=3000), "w": w, "b": b},
         lambda x, w, b: F.group_norm(x, groups, w, b, eps), "F.group_norm")

for size, out in [((7, 5), (3, 2)), ((2, 3), (5, 7)), ((13, 9), (1, 1))]:
    x = uniform(2, 2, *size, scale=4)  # many ties
    indices = F.adaptive_max_pool2d(x, out, return_indices=True)[1]
    case(f"{shape_name(size)}-to-{shape_name(out)}", "adaptivemaxpool2d", {"outputSize": out}, {"x": x},
         lambda x: F.adaptive_max_pool2d(x, out), "F.adaptive_max_pool2d", {"indices": indices})

meta = {"source": f"PyTorch {torch.__version__}", "how": "tests/cases/make_pytorch_spatial.py"}
lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
path = pathlib.Path(__file__).with_name("pytorch_spatial.json")
path.write_text(f'{{"format":1,"meta":{json.dumps(meta)},"cases":[\n{lines}\n]}}\n')
print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")
