"""The network of AttentionAnatomy in PyTorch, and the vectors that the tests compare with.

Needs torch, numpy, safetensors and onnxruntime. The stored files were made with:

    python reference.py weights network.safetensors
    python reference.py pickle network.safetensors network.pt
    attention-anatomy import network.safetensors -o ours.safetensors
    attention-anatomy export ours.safetensors --onnx network.onnx --pytorch again.safetensors
    python reference.py expected network.safetensors again.safetensors network.onnx expected.safetensors

`expected` fails unless onnxruntime on the exported file, PyTorch on the made weights and PyTorch on the exported weights
agree. A trained network loads the same way: `Network(5, base, levels).load_state_dict(load_file("exported.safetensors"))`.
"""

import hashlib
import json
import sys

import numpy
import torch
from safetensors.torch import load_file, save_file
from torch import nn

ORGANS, REGIONS, BRANCH, EPSILON = 33, 5, 64, 1e-6


class ConvNorm(nn.Module):
    def __init__(self, channels_in, channels_out, kernel, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x):
        return self.norm(self.conv(x))


class Block(nn.Module):
    def __init__(self, channels_in, channels_out, stride=1):
        super().__init__()
        self.first = ConvNorm(channels_in, channels_out, 3, stride)
        self.second = ConvNorm(channels_out, channels_out, 3)
        changes = channels_in != channels_out or stride != 1
        self.shortcut = ConvNorm(channels_in, channels_out, 1, stride) if changes else None

    def forward(self, x):
        y = self.second(torch.relu(self.first(x)))
        return torch.relu(y + (self.shortcut(x) if self.shortcut else x))


class Encoder(nn.Module):
    def __init__(self, stack, base, levels):
        super().__init__()
        widths = [stack] + [base << level for level in range(levels)]
        self.levels = nn.ModuleList(
            Block(widths[level], widths[level + 1], 1 if level == 0 else 2) for level in range(levels)
        )

    def forward(self, x):
        features = []
        for level in self.levels:
            x = level(x)
            features.append(x)
        return features


class UpStep(nn.Module):
    def __init__(self, deep, here):
        super().__init__()
        self.up = nn.ConvTranspose2d(deep, here, 2, 2)
        self.block = Block(2 * here, here)

    def forward(self, x, skip):
        return self.block(torch.cat([self.up(x), skip], 1))


class Decoder(nn.Module):
    def __init__(self, base, levels):
        super().__init__()
        self.steps = nn.ModuleList(UpStep(base << level + 1, base << level) for level in reversed(range(levels - 1)))
        self.head = nn.Conv2d(base, 1 + ORGANS, 1)

    def forward(self, features):
        x = features[-1]
        for step, skip in zip(self.steps, reversed(features[:-1])):
            x = step(x, skip)
        return self.head(x)


class RegionBranch(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.reduce = ConvNorm(channels, BRANCH, 1)
        self.conv = ConvNorm(BRANCH, BRANCH, 3)
        self.shared = nn.Linear(BRANCH, BRANCH)
        self.region = nn.Linear(BRANCH, REGIONS)
        self.attention = nn.Linear(BRANCH, ORGANS)

    def forward(self, features):
        x = torch.relu(self.conv(torch.relu(self.reduce(features)))).mean((2, 3))
        x = torch.relu(self.shared(x))
        return self.region(x).softmax(1), self.attention(x).sigmoid()


class Network(nn.Module):
    """Stacks `[N, S, H, W]` in [0, 1] to probabilities `[N, 34, H, W]`, regions `[N, 5]`, attention `[N, 33]`."""

    def __init__(self, stack=5, base=16, levels=5):
        super().__init__()
        self.encoder = Encoder(stack, base, levels)
        self.decoder = Decoder(base, levels)
        self.region = RegionBranch(base << levels - 1)

    def forward(self, image):
        features = self.encoder(image)
        regions, attention = self.region(features[-1])
        weights = nn.functional.pad(torch.log(attention + EPSILON), (1, 0))
        return (self.decoder(features) + weights[:, :, None, None]).softmax(1), regions, attention


def small():
    return Network(stack=5, base=4, levels=3)


def make_weights(path):
    """A network whose every number matters: statistics, scales and shifts far from their start, attention near 0 and 1."""
    torch.manual_seed(1)
    network = small()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.2, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    nn.init.normal_(network.region.attention.weight, 0, 2)
    nn.init.normal_(network.region.attention.bias, 0, 2)
    nn.init.normal_(network.region.region.weight, 0, 5)
    nn.init.normal_(network.decoder.head.weight, 0, 5)
    description = {
        "format": 1,
        "name": "interchange",
        "network": {"base": 4, "levels": 3, "stack": 5, "attention": True},
        "input": {
            "spacing_mm": 3.0,
            "crop": 32,
            "slice_distance_mm": 3.0,
            "input_fwhm_mm": 4.0,
            "stack": 5,
            "hu_knots": [[-1000.0, 0.0], [2000.0, 1.0]],
        },
        "trained_organs": [],
        "data": [],
        "steps": 0,
        "note": "random numbers",
    }
    save_file(network.state_dict(), path, {"attention_anatomy": json.dumps(description)})


def make_pickle(made, path):
    """The same weights as a trainer keeps them, beside other things."""
    torch.save({"epoch": 3, "state_dict": load_file(made), "optimizer": {"lr": 1e-3, "momentum": torch.ones(2)}}, path)


def make_expected(made, exported, onnx, path):
    import onnxruntime

    image = torch.from_numpy(numpy.random.default_rng(2).random((2, 5, 32, 16), numpy.float32))
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    names = ["probabilities", "regions", "attention"]
    answers = session.run(names, {"image": image.numpy()})
    for weights in (made, exported):
        network = small()
        network.load_state_dict(load_file(weights))
        with torch.no_grad():
            for name, ours, theirs in zip(names, network.eval()(image), answers):
                difference = (ours - torch.from_numpy(theirs)).abs().max().item()
                print(f"{weights} {name}: PyTorch and onnxruntime differ by {difference:.1e}")
                assert difference < 1e-5
    with open(onnx, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    tensors = {name: torch.from_numpy(answer) for name, answer in zip(names, answers)}
    made_with = f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}"
    save_file({"image": image, **tensors}, path, {"onnx_sha256": digest, "made_with": made_with})


if __name__ == "__main__":
    {"weights": make_weights, "pickle": make_pickle, "expected": make_expected}[sys.argv[1]](*sys.argv[2:])
