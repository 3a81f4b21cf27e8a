#!/usr/bin/env python3
"""Times PyTorch in eager mode on the models of `byzlab bench training`, and prints the ratios.

Usage, from a virtual environment that has PyTorch:

    python benches/compare_training.py target/release/byzlab [--seconds 2] [--json]

Both sides take steps of plain gradient descent, forward, backward and update, on one thread. The
least time of many is taken on each side, because all else that a machine does only adds to it.
"""

import argparse
import json
import subprocess
import time

import torch
from torch import nn


def models():
    """The models, with PyTorch's default initial values."""
    yield "softmax", lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    yield "mlp_128", lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    yield "mlp_200_200", lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(),
        nn.Linear(200, 10),
    )
    yield "cnn_mnist", lambda: nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10),
    )


def steps_per_second(make, batch, seconds):
    """The most steps a second, from at least three steps and so many seconds."""
    torch.manual_seed(1)
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    loss_of = nn.CrossEntropyLoss()
    images = torch.rand(batch, 1, 28, 28)
    labels = torch.arange(batch) % 10
    least, begin, steps = float("inf"), time.perf_counter(), 0
    while steps < 3 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        optimizer.zero_grad()
        loss_of(model(images), labels).backward()
        optimizer.step()
        least = min(least, time.perf_counter() - start)
        steps += 1
    return 1 / least


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="the program to compare with, built for release")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each model")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    command = [arguments.program, "bench", "training", "--json", "--seconds"]
    output = subprocess.run(
        [*command, str(arguments.seconds)], check=True, capture_output=True, text=True
    )
    ours = json.loads(output.stdout)
    known = dict(models())
    rows = []
    for timed in ours["models"]:
        theirs = steps_per_second(known[timed["model"]], timed["batch"], arguments.seconds)
        rows.append({
            "model": timed["model"],
            "batch": timed["batch"],
            "byzlab": timed["steps_per_second"],
            "pytorch": theirs,
            "ratio": timed["steps_per_second"] / theirs,
            "share_of_peak": timed["share_of_peak"],
        })
    if arguments.json:
        print(json.dumps({"pytorch": torch.__version__, "models": rows}, indent=2))
        return
    print(f"PyTorch {torch.__version__}, products at {ours['gemm_gflops']:.1f} GFLOP/s")
    print(f"{'model':<12} {'batch':>5} {'byzlab/s':>10} {'pytorch/s':>10} {'ratio':>6} {'of peak':>8}")
    for row in rows:
        print(
            f"{row['model']:<12} {row['batch']:>5} {row['byzlab']:>10.1f} {row['pytorch']:>10.1f} "
            f"{row['ratio']:>6.2f} {100 * row['share_of_peak']:>6.1f} %"
        )


if __name__ == "__main__":
    main()
