#!/usr/bin/env python3
"""Writes pytorch_elementwise.json: activations, sums and products, and their gradients.

    python3 tests/cases/make_pytorch_elementwise.py

The file in the repository was made with PyTorch 1.13 (Debian's python3-torch). Inputs are drawn from
a seed, rounded to three decimals and then to float32; everything behind that is float64. Where an
input is not finite, only the result is given, because PyTorch's vector code and its scalar code
disagree about some gradients there.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(22)
torch.set_num_threads(1)
cases = []
inf, nan = float("inf"), float("nan")


def tensor(values, form):
    def number(v):
        if v != v:
            return "NaN"
        if v in (inf, -inf):
            return "Infinity" if v > 0 else "-Infinity"
        short = float(f"{v:{form}}")
        return int(short) if short.is_integer() else short

    return {"shape": list(values.shape), "data": [number(v) for v in values.detach().reshape(-1).tolist()]}


def uniform(*shape, scale=1000):
    """Three decimals from [-scale/1000, scale/1000], as float32 has them."""
    return (torch.randint(-scale, scale + 1, shape).double() / 1000).float().double()


def case(name, op, attrs, inputs, f, call, gradient=True):
    leaves = {k: v.clone().requires_grad_(gradient) for k, v in inputs.items()}
    y = f(*leaves.values())
    given, expected = {k: tensor(v, ".7g") for k, v in inputs.items()}, {"y": tensor(y, ".7g")}
    if gradient:
        dy = uniform(*y.shape)
        y.backward(dy)
        given["dy"] = tensor(dy, ".3f")
        expected |= {f"d{k}": tensor(leaf.grad, ".7g") for k, leaf in leaves.items()}
    cases.append({
        "id": f"pytorch-{op}-{name}",
        "source": f"PyTorch {torch.__version__}, float64: {call}",
        "op": op,
        "attrs": attrs,
        "inputs": given,
        "expected": expected,
        "tol": {"abs": 1e-6, "rel": 1e-5},
    })


def activation(name, args, f, call):
    """The name and the arguments are those of the operation here. F.hardswish has a kink at 3."""
    attrs = {"name": name, "args": ["Infinity" if a == inf else "-Infinity" if a == -inf else a for a in args]}
    label = "-".join([name, *[a if isinstance(a, str) else f"{a:.3g}" for a in args]])
    case(label, "activation", attrs, {"x": uniform(3, 13, scale=7000)}, f, call)
    x = torch.tensor([nan, inf, -inf, 0, -40, 40, 1e20, -1e20]).double()
    case(f"{label}-not-finite", "activation", attrs, {"x": x}, f, call, gradient=False)


activation("relu6", [], F.relu6, "F.relu6")
activation("leakyRelu", [0.1], lambda x: F.leaky_relu(x, 0.1), "F.leaky_relu(x, 0.1)")
activation("sigmoid", [], torch.sigmoid, "torch.sigmoid")
activation("tanh", [], torch.tanh, "torch.tanh")
activation("silu", [], F.silu, "F.silu")
activation("hardswish", [], F.hardswish, "F.hardswish")
activation("hardsigmoid", [1 / 6, 0.5], F.hardsigmoid, "F.hardsigmoid")
activation("gelu", ["none"], F.gelu, "F.gelu")
activation("gelu", ["tanh"], lambda x: F.gelu(x, approximate="tanh"), 'F.gelu(x, approximate="tanh")')
activation("softplus", [1, 20], F.softplus, "F.softplus")
activation("softplus", [2, 4], lambda x: F.softplus(x, 2, 4), "F.softplus(x, 2, 4)")
activation("hardtanh", [-0.5, 2], lambda x: F.hardtanh(x, -0.5, 2), "F.hardtanh(x, -0.5, 2)")
activation("hardtanh", [-inf, 1], lambda x: torch.clamp(x, max=1), "torch.clamp(x, max=1)")
activation("elu", [0.7], lambda x: F.elu(x, 0.7), "F.elu(x, 0.7)")

for name, shape, size in [("per-channel", (2, 3, 4, 5), 3), ("one", (2, 3, 4), 1), ("features", (4, 5), 5)]:
    case(name, "prelu", {}, {"x": uniform(*shape), "w": uniform(size)}, F.prelu, "F.prelu")
for name, a, b in [("per-channel", (2, 3, 4, 5), (1, 3, 1, 1)), ("maps", (2, 3, 4, 5), (2, 1, 4, 5)),
                   ("scalar", (3, 7), (1,))]:
    case(name, "add", {}, {"x": uniform(*a), "b": uniform(*b)}, torch.add, "torch.add")
    case(name, "mul", {}, {"x": uniform(*a), "b": uniform(*b)}, torch.mul, "torch.mul")

for name, left, right, trans_a, trans_b in [
    ("matrices", (5, 4), (4, 3), False, False), ("pairs", (2, 3, 4), (2, 4, 5), False, False),
    ("transposed-b", (2, 2, 5, 3), (2, 2, 6, 3), False, True), ("transposed-a", (2, 3, 4), (2, 3, 2), True, False),
    ("both", (1, 3, 5), (1, 2, 3), True, True),
]:
    def product(x, b):
        return torch.matmul(x.mT if trans_a else x, b.mT if trans_b else b)

    case(name, "matmul", {"transposeA": trans_a, "transposeB": trans_b}, {"x": uniform(*left), "b": uniform(*right)},
         product, "torch.matmul")

meta = {"source": f"PyTorch {torch.__version__}", "how": "tests/cases/make_pytorch_elementwise.py"}
lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
path = pathlib.Path(__file__).with_name("pytorch_elementwise.json")
path.write_text(f'{{"format":1,"meta":{json.dumps(meta)},"cases":[\n{lines}\n]}}\n')
print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")
