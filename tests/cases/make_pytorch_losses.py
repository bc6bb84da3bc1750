#!/usr/bin/env python3
"""Writes pytorch_losses.json: losses that compare a tensor with another one, and their gradients.

    python3 tests/cases/make_pytorch_losses.py

The file in the repository was made with PyTorch 1.13 (Debian's python3-torch). Inputs are drawn from
a seed, rounded to three decimals and then to float32; everything behind that is float64.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(23)
torch.set_num_threads(1)
cases = []


def tensor(values):
    def number(v):
        if v != v:
            return "NaN"
        if v in (float("inf"), -float("inf")):
            return "Infinity" if v > 0 else "-Infinity"
        return float(f"{v:.9g}")

    return {"shape": list(values.shape), "data": [number(v) for v in values.detach().reshape(-1).tolist()]}


def uniform(shape, least, most):
    """Three decimals, as float32 has them."""
    return (torch.randint(1000 * least, 1000 * most + 1, shape).double() / 1000).float().double()


def case(name, op, f, x, target):
    leaf = x.clone().requires_grad_()
    loss = f(leaf, target)
    loss.backward()
    cases.append({
        "id": f"pytorch-{op}-{name}",
        "source": f"PyTorch {torch.__version__}, float64: F.{f.__name__}",
        "op": op,
        "attrs": {},
        "inputs": {"x": tensor(x), "b": tensor(target)},
        "expected": {"loss": tensor(loss.reshape(1)), "dx": tensor(leaf.grad)},
        "tol": {"abs": 1e-7, "rel": 2e-6},
    })


shapes = {"scores": (4, 5), "one": (1,), "signal": (3, 2, 7), "maps": (2, 3, 4, 5), "column": (9, 1)}
for name, shape in shapes.items():
    case(name, "mseloss", F.mse_loss, uniform(shape, -5, 5), uniform(shape, -5, 5))
    labels = torch.randint(0, 2, shape).double()
    case(name, "bcewithlogits", F.binary_cross_entropy_with_logits, uniform(shape, -9, 9), labels)
case("fractions", "bcewithlogits", F.binary_cross_entropy_with_logits, uniform((3, 4), -5, 5), uniform((3, 4), 0, 1))
sure = torch.tensor([[-80.0, 80, -30, 30], [80, -80, 1e4, -1e4], [15, -15, 8, -8], [1e30, -1e30, 0, 0]]).double()
case("sure", "bcewithlogits", F.binary_cross_entropy_with_logits, sure, (sure > 0).double())
case("wrong", "bcewithlogits", F.binary_cross_entropy_with_logits, sure[:3], (sure[:3] < 0).double())
case("right", "bcewithlogits", F.binary_cross_entropy_with_logits, torch.tensor([[17.0, -17]]).double(),
     torch.tensor([[1.0, 0]]).double())
case("large", "mseloss", F.mse_loss, 1e15 * uniform((3, 4), -5, 5).float().double(), torch.zeros(3, 4).double())

meta = {"source": f"PyTorch {torch.__version__}", "how": "tests/cases/make_pytorch_losses.py"}
lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
path = pathlib.Path(__file__).with_name("pytorch_losses.json")
path.write_text(f'{{"format":1,"meta":{json.dumps(meta)},"cases":[\n{lines}\n]}}\n')
print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")
