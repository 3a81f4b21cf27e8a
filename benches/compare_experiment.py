#!/usr/bin/env python3
"""How many times less processor time a whole experiment takes than ByzFL's.

Ten honest workers and three corrupted, batches of 25, momentum 0.9, weight decay 1e-4, the attack
ALittleIsEnough with tau = 1.5, NNM and TrMean with f = 3: ByzFL in the loop of its documentation,
byzlab as one cell of `byzlab run`, both on one thread, one after the other, several times. What is
compared is the processor time of a step, without start-up: of a long run less a short one. Also
printed are the time to the first round and the most memory that was resident. It is a benchmark and
no test: other work on the machine changes it.

Set up once (about 5 GB, since the wheels of PyTorch on PyPI want libraries that are not used here):

    python3 -m venv venv
    venv/bin/pip install byzfl torch
    cargo build --release
    byzlab data fetch mnist

and run:

    venv/bin/python benches/compare_experiment.py target/release/byzlab --runs 3
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

# What a model is called by ByzFL and here, and the steps of a long run of each.
MODELS = {
    "softmax": ("logreg_mnist", "[model.softmax]", 200, 2000),
    "mlp": ("fc_mnist", "[model.mlp]\nhidden = [100]", 60, 600),
    "cnn_mnist": ("cnn_mnist", "[model.cnn_mnist]", 15, 60),
}

HONEST, CORRUPTED, BATCH = 10, 3, 25

CONFIG = """
schema = 1
name = "compare"
question = "How long does a step take?"
seeds = [1]
[data]
set = {{ mnist = {{}} }}
{model}
[training]
rounds = {rounds}
batch = 25
learning_rate = 0.1
momentum = 0.9
weight_decay = 1e-4
[system.central]
workers = 13
[aggregation]
byzantine = 3
like = [{{ "byzfl.NNM" = {{ f = 3 }} }}, {{ "byzfl.TrMean" = {{ f = 3 }} }}]
[threat]
corrupted = 3
knowledge = "omniscient"
like = {{ "byzfl.ALittleIsEnough" = {{ tau = 1.5 }} }}
[evaluation]
every = 1000000
"""


def theirs(model, steps):
    """Seconds of processor time of a step, and MB resident: in a process of its own."""
    output = subprocess.run(
        [sys.executable, __file__, "byzfl", "--model", model, "--steps", str(steps)],
        check=True, capture_output=True, text=True,
    )
    return json.loads(output.stdout.splitlines()[-1])


def run_byzfl(name, steps):
    """The loop of ByzFL's documentation, on random images of MNIST's number and shape."""
    import byzfl
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(1)
    images, labels = torch.rand(60000, 1, 28, 28), torch.randint(0, 10, (60000,))
    share = 60000 // HONEST

    def loader(first):
        part = slice(first * share, (first + 1) * share)
        samples = torch.utils.data.TensorDataset(images[part], labels[part])
        return torch.utils.data.DataLoader(samples, batch_size=BATCH, shuffle=True)

    optimiser = {
        "device": "cpu", "model_name": name, "optimizer_name": "SGD", "learning_rate": 0.1,
        "weight_decay": 1e-4, "milestones": [100000], "learning_rate_decay": 1.0,
    }
    clients = [
        byzfl.Client({
            **optimiser, "loss_name": "NLLLoss", "LabelFlipping": False, "momentum": 0.9,
            "nb_labels": 10, "training_dataloader": loader(worker),
            "store_per_client_metrics": False,
        })
        for worker in range(HONEST)
    ]
    server = byzfl.Server({
        **optimiser, "test_loader": loader(0), "validation_loader": None,
        "aggregator_info": {"name": "TrMean", "parameters": {"f": CORRUPTED}},
        "pre_agg_list": [{"name": "NNM", "parameters": {"f": CORRUPTED}}],
    })
    attacker = byzfl.ByzantineClient(
        {"name": "ALittleIsEnough", "f": CORRUPTED, "parameters": {"tau": 1.5}}
    )
    begin = None
    for step in range(steps + 2):
        if step == 2:  # The first steps also load libraries.
            begin = time.process_time()
        for client in clients:
            client.compute_gradients()
        honest = [client.get_flat_gradients_with_momentum() for client in clients]
        server.update_model_with_gradients(honest + attacker.apply_attack(honest))
        state = server.get_dict_parameters()
        for client in clients:
            client.set_model_state(state)
    seconds = (time.process_time() - begin) / steps
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "resident": resident}))


def ours(program, model, steps):
    """The same of byzlab, and the seconds from start to the end of a first round."""
    with tempfile.TemporaryDirectory() as folder:
        short, wall, _ = run_byzlab(program, folder, model, 1)
        long, _, resident = run_byzlab(program, folder, model, steps + 1)
    return {"seconds": (long - short) / steps, "first": wall, "resident": resident}


def run_byzlab(program, folder, model, rounds):
    """Processor seconds, seconds on the clock, and MB resident of one run."""
    config = os.path.join(folder, f"{rounds}.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(CONFIG.format(model=model, rounds=rounds))
    out = os.path.join(folder, f"out{rounds}")
    begin = time.perf_counter()
    child = subprocess.Popen(
        [program, "run", config, "--threads", "1", "--out", out],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - begin
    if status != 0:
        sys.exit(child.stderr.read().decode())
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="the program to compare with, built for release")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.program == "byzfl":
        return run_byzfl(arguments.model, arguments.steps)

    print(f"{'model':<10} {'byzfl ms':>9} {'byzlab ms':>10} {'ratio':>6} "
          f"{'first round s':>14} {'MB':>6} {'byzfl MB':>9}")
    for model in arguments.models:
        name, config, their_steps, our_steps = MODELS[model]
        rows = []
        for _ in range(arguments.runs):
            one, other = theirs(name, their_steps), ours(arguments.program, config, our_steps)
            rows.append((one["seconds"] / other["seconds"], one, other))
        ratio, one, other = sorted(rows, key=lambda row: row[0])[len(rows) // 2]
        first = statistics.median(row[2]["first"] for row in rows)
        print(f"{model:<10} {1000 * one['seconds']:>9.2f} {1000 * other['seconds']:>10.2f} "
              f"{ratio:>6.1f} {first:>14.2f} {other['resident']:>6.0f} {one['resident']:>9.0f}")


if __name__ == "__main__":
    main()
