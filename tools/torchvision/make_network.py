"""Writes one network of torchvision with random weights, and what PyTorch computes with it.

    python3 make_network.py NAME SIDE FOLDER [OPSET ...] [--no-training]

(torch 1.13, torchvision 0.14)

FOLDER receives weights.pth, opset11.onnx and so on, and as raw float32: images.f32 [4, 3, SIDE, SIDE]
and logits.f32 [4, 1000]. gradients64.pth and gradients32.pth have the gradients of one training step
with these images, without dropout, for the classes 1, 10, 100 and 999: computed in float64 and in
float32. They differ much more than logits do, because a rounding error may switch a ReLU.
"""

import copy
import os
import sys

import torch
import torchvision
from torch import nn

trains = "--no-training" not in sys.argv
name, side, folder, *opsets = (arg for arg in sys.argv[1:] if arg != "--no-training")
fixtures = os.path.join(os.path.dirname(__file__), "../../tests/fixtures/networks")
sys.path.insert(0, fixtures)
from make_network_fixtures import randomize  # noqa: E402

torch.manual_seed(1)
options = {"init_weights": True} if name == "googlenet" else {}
model = getattr(torchvision.models, name)(**options).eval()
x = torch.nn.functional.interpolate(torch.randn(4, 3, 9, 9), int(side), mode="bicubic")
randomize(model, x)
torch.save(model.state_dict(), f"{folder}/weights.pth")
with torch.no_grad():
    logits = model(x)
x.numpy().tofile(f"{folder}/images.f32")
logits.numpy().tofile(f"{folder}/logits.f32")
for opset in opsets:
    torch.onnx.export(
        model, x[:1], f"{folder}/opset{opset}.onnx", opset_version=int(opset),
        input_names=["input"], output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
    )

if not trains:
    sys.exit()
for module in model.modules():
    if isinstance(module, nn.Dropout):
        module.p = 0.0
    if isinstance(module, torchvision.ops.StochasticDepth):
        module.p = 0.0
if name == "googlenet":  # its training has losses of its own
    model.aux1 = model.aux2 = None
    model.aux_logits = False
for bits, typed in (32, copy.deepcopy(model).float()), (64, model.double()):
    y = typed.train()(x.to(next(typed.parameters()).dtype))
    nn.functional.cross_entropy(y, torch.tensor([1, 10, 100, 999])).backward()
    gradients = {key: p.grad.float() for key, p in typed.named_parameters()}
    torch.save(gradients, f"{folder}/gradients{bits}.pth")
