#!/usr/bin/env python3
"""How many times as fast a round of a simulation is as one of Flower's.

Thirteen honest workers, one step of 25 samples each, a trimmed mean that leaves out three at either
end, no evaluation: Flower's simulation (Ray, one processor) and byzlab as one cell of `byzlab run`
on one thread. Of Flower the median round is taken, without start-up and first round; of byzlab the
seconds of a long run less those of a short one. Flower's start-up is printed too: the seconds until
its first round is aggregated. It is a benchmark and no test: other work on the machine changes it.

Set up once (about 5 GB, since the wheels of PyTorch on PyPI want libraries that are not used here):

    python3 -m venv venv
    venv/bin/pip install "flwr[simulation]" torch
    cargo build --release
    byzlab data fetch mnist

and run:

    venv/bin/python benches/compare_flower.py target/release/byzlab
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

# Our section for each model, the rounds of Flower's run, and of our long one.
MODELS = {
    "softmax": ("[model.softmax]", 12, 2000),
    "mlp": ("[model.mlp]\nhidden = [100]", 12, 1000),
    "cnn_mnist": ("[model.cnn_mnist]", 8, 60),
}

WORKERS, TRIMMED, BATCH = 13, 3, 25

CONFIG = """
schema = 1
name = "compare"
question = "How long does a round take?"
seeds = [1]
[data]
set = {{ mnist = {{}} }}
{model}
[training]
rounds = {rounds}
batch = 25
learning_rate = 0.1
[system.central]
workers = 13
[aggregation]
rule = "trimmed_mean"
byzantine = 3
[evaluation]
every = 1000000
"""


def network(name):
    """The same model in PyTorch."""
    from torch import nn

    if name == "softmax":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    if name == "mlp":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10)
        )
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10),
    )


def run_flower(name, rounds):
    """Flower's simulation: prints the seconds at which each round was aggregated."""
    import torch
    from flwr.client import ClientApp, NumPyClient
    from flwr.common import ndarrays_to_parameters
    from flwr.server import ServerApp, ServerAppComponents, ServerConfig
    from flwr.server.strategy import FedTrimmedAvg
    from flwr.simulation import run_simulation

    begin = time.perf_counter()
    aggregated = []

    class Worker(NumPyClient):
        """One step on a batch of random images of MNIST's shape."""

        def fit(self, parameters, config):
            torch.set_num_threads(1)
            model = network(name)
            with torch.no_grad():
                for tensor, values in zip(model.parameters(), parameters):
                    tensor.copy_(torch.from_numpy(values))
            images, labels = torch.rand(BATCH, 1, 28, 28), torch.randint(0, 10, (BATCH,))
            optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
            torch.nn.functional.cross_entropy(model(images), labels).backward()
            optimiser.step()
            return [tensor.detach().numpy() for tensor in model.parameters()], BATCH, {}

    class Timed(FedTrimmedAvg):
        """Notes when a round is aggregated."""

        def aggregate_fit(self, server_round, results, failures):
            assert len(results) == WORKERS and not failures, failures
            outcome = super().aggregate_fit(server_round, results, failures)
            aggregated.append(time.perf_counter() - begin)
            return outcome

    start = [tensor.detach().numpy() for tensor in network(name).parameters()]
    strategy = Timed(
        fraction_fit=1.0, fraction_evaluate=0.0, min_fit_clients=WORKERS,
        min_available_clients=WORKERS, beta=TRIMMED / WORKERS,
        initial_parameters=ndarrays_to_parameters(start),
    )
    components = ServerAppComponents(strategy=strategy, config=ServerConfig(num_rounds=rounds))
    run_simulation(
        server_app=ServerApp(server_fn=lambda context: components),
        client_app=ClientApp(client_fn=lambda context: Worker().to_client()),
        num_supernodes=WORKERS,
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0}, "init_args": {"num_cpus": 1},
        },
    )
    print(json.dumps(aggregated))


def theirs(name, rounds):
    """Seconds until the first round is aggregated, and of a round after that."""
    output = subprocess.run(
        [sys.executable, __file__, "flower", "--model", name, "--rounds", str(rounds)],
        capture_output=True, text=True,
    )
    if output.returncode != 0:
        sys.exit(output.stderr)
    ends = json.loads(output.stdout.splitlines()[-1])
    return ends[0], statistics.median(after - before for before, after in zip(ends, ends[1:]))


def ours(program, model, rounds):
    """Seconds of a run of one round, and of a round."""
    with tempfile.TemporaryDirectory() as folder:
        short = run_byzlab(program, folder, model, 1)
        long = run_byzlab(program, folder, model, rounds + 1)
    return short, (long - short) / rounds


def run_byzlab(program, folder, model, rounds):
    """Seconds of one run."""
    config = os.path.join(folder, f"{rounds}.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(CONFIG.format(model=model, rounds=rounds))
    begin = time.perf_counter()
    subprocess.run(
        [program, "run", config, "--threads", "1", "--out", os.path.join(folder, f"out{rounds}")],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="the program to compare with, built for release")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.program == "flower":
        return run_flower(arguments.model, arguments.rounds)

    print(f"{'model':<10} {'Flower ms':>10} {'byzlab ms':>10} {'ratio':>7} "
          f"{'Flower start s':>15} {'byzlab start s':>15}")
    for model in arguments.models:
        section, their_rounds, our_rounds = MODELS[model]
        first, one = theirs(model, their_rounds)
        start, other = ours(arguments.program, section, our_rounds)
        print(f"{model:<10} {1000 * one:>10.1f} {1000 * other:>10.2f} {one / other:>7.0f} "
              f"{first:>15.1f} {start:>15.2f}")


if __name__ == "__main__":
    main()
