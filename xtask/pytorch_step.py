"""Seconds of an optimiser step in PyTorch: the same network, batch and losses as `attention-anatomy bench --training`.

The median of some. Needs torch, numpy and safetensors, which `cargo xtask bench --training CONFIG` installs:

    python3 xtask/pytorch_step.py CONFIG [--batch N] [--steps N]
"""

import argparse
import pathlib
import sys
import time
import tomllib

import torch
from torch.nn import functional

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests/data/interchange"))
from reference import EPSILON, ORGANS, Network  # noqa: E402

CROPS = {"light": 160, "fine": 320, "paper": 320}


def losses(network, image, labels, regions):
    features = network.encoder(image)
    branch = network.region
    x = torch.relu(branch.conv(torch.relu(branch.reduce(features[-1])))).mean((2, 3))
    x = torch.relu(branch.shared(x))
    weights = functional.pad(torch.log(branch.attention(x).sigmoid() + EPSILON), (1, 0))
    log_p = (network.decoder(features) + weights[:, :, None, None]).log_softmax(1)
    p = log_p.exp()
    truth = functional.one_hot(labels, 1 + ORGANS).permute(0, 3, 1, 2).to(p.dtype)
    sums = truth.sum((0, 2, 3))
    present = sums > 0
    dice = 1 - (2 * (p * truth).sum((0, 2, 3)) + 1e-5) / (p.sum((0, 2, 3)) + sums + 1e-5)
    focal = -(truth * (1 - p) ** 2 * log_p).sum((0, 2, 3)) / sums.clamp(min=16)
    return dice[present].mean() + focal[present].mean() + functional.cross_entropy(branch.region(x), regions)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("config")
    arguments.add_argument("--batch", type=int)
    arguments.add_argument("--steps", type=int, default=3)
    arguments = arguments.parse_args()
    with open(arguments.config, "rb") as file:
        config = tomllib.load(file)
    batch = arguments.batch or config["batch"]
    at_once = min(config.get("micro_batch", batch), batch)
    entry, shape = config["input"], config["network"]
    crop = CROPS[entry["preset"]] if "preset" in entry else entry["crop"]
    network = Network(shape["stack"], shape["base"], shape["levels"])
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    image = torch.rand(batch, shape["stack"], crop, crop)
    labels = torch.randint(0, 1 + ORGANS, (batch, crop, crop)) * (torch.rand(batch, crop, crop) < 0.33)
    regions = torch.zeros(batch, dtype=torch.long)

    def step():
        optimiser.zero_grad()
        for start in range(0, batch, at_once):
            part = slice(start, start + at_once)
            losses(network, image[part], labels[part], regions[part]).backward()
        optimiser.step()

    step()
    times = []
    for _ in range(max(arguments.steps, 1)):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    seconds = sorted(times)[len(times) // 2]
    threads = torch.get_num_threads()
    print(f"PyTorch {torch.__version__}, CPU, {threads} threads, batch of {batch} ({at_once} at once): {seconds:.3f} s per step")


main()
