#!/usr/bin/env python3
"""How many times as fast as ByzFL and Flower the rules are, on rows of the same kind.

Both sides run on one thread of this machine, one after the other, several times; for each rule the
ratio is taken within a run, of the best time of the fastest of ByzFL's NumPy path, ByzFL's PyTorch
path and Flower's function to the time that `byzlab bench aggregators` reports, and the median
ratio over the runs is printed. It is a benchmark and no test: other work on the machine changes it.

Set up once (about 5 GB, since the wheels of PyTorch on PyPI want libraries that are not used here):

    python3 -m venv venv
    venv/bin/pip install byzfl flwr torch
    cargo build --release

and run, leaving out the sizes for which there is no memory (four times rows x columns x 4 bytes):

    venv/bin/python benches/compare_aggregators.py target/release/byzlab \\
        --sizes 10x1000000 50x1000000 100x1000000 1000x10000 --runs 3
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

import byzfl  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from flwr.server.strategy import aggregate as flower  # noqa: E402

# Gathering all neighbours takes rows x rows x columns numbers: above this many it is left out.
GATHERED_MAX = 2_500_000_000


def byzfl_rules(rows):
    """What ByzFL offers for each of our names, with f a fifth of the rows."""
    f = rows // 5
    return {
        "mean": lambda: byzfl.Average(),
        "median": lambda: byzfl.Median(),
        "trimmed_mean": lambda: byzfl.TrMean(f),
        "mean_around_median": lambda: byzfl.Meamed(f),
        "krum": lambda: byzfl.Krum(f),
        "multi_krum": lambda: byzfl.MultiKrum(f),
        "geometric_median": lambda: byzfl.GeometricMedian(T=3),
        "centered_clipping": lambda: byzfl.CenteredClipping(L=1),
        "nearest_to_own": lambda: byzfl.MoNNA(f),
        "covariance_filter": lambda: byzfl.CAF(f),
        "nearest_neighbour_mixing": lambda: byzfl.NNM(f),
        "bucketing": lambda: byzfl.Bucketing(2),
        "clipping": lambda: byzfl.Clipping(2.0),
        "adaptive_clipping": lambda: byzfl.ARC(f),
    }


def flower_rules(rows):
    """What Flower offers for each of our names."""
    f = rows // 5
    return {
        "mean": lambda results: flower.aggregate(results),
        "median": lambda results: flower.aggregate_median(results),
        "trimmed_mean": lambda results: flower.aggregate_trimmed_avg(results, f / rows),
        "krum": lambda results: flower.aggregate_krum(results, f, 0),
        "multi_krum": lambda results: flower.aggregate_krum(results, f, rows - f),
    }


def best(budget, prepare, run):
    """The least seconds of a run, until the budget is spent; once if one run takes all of it."""
    least, total = float("inf"), 0.0
    while total < budget:
        prepared = prepare()
        start = time.perf_counter()
        run(prepared)
        seconds = time.perf_counter() - start
        least, total = min(least, seconds), total + seconds
    return least


def others(rule, rows, budget):
    """Seconds of the other libraries' ways to do one rule."""
    n, f = len(rows), len(rows) // 5
    seconds = {}
    make = byzfl_rules(n).get(rule)
    if rule == "nearest_neighbour_mixing" and n * (n - f) * rows.shape[1] > GATHERED_MAX:
        make = None
    if make:
        # ByzFL's clipping rules write into what they are given.
        seconds["byzfl numpy"] = best(budget, rows.copy, lambda x: make()(x))
        as_tensor = lambda: torch.from_numpy(rows.copy())  # noqa: E731
        seconds["byzfl torch"] = best(budget, as_tensor, lambda x: make()(x))
    call = flower_rules(n).get(rule)
    if call:
        results = lambda: [([row], 1) for row in rows]  # noqa: E731
        seconds["flower"] = best(budget, results, call)
    return seconds


def ours(program, rows, columns, rules, budget):
    """What our own program reports."""
    command = [program, "bench", "aggregators", "--rows", str(rows), "--columns", str(columns)]
    command += ["--seconds", str(budget), "--json", "--rules", ",".join(rules)]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return {rule["rule"]: rule["milliseconds"] for rule in report["rules"]}


def known(program):
    """The rules and pre-aggregators that our program has."""
    names = []
    for kind in ("aggregator", "pre-aggregator"):
        command = [program, "list", kind, "--json"]
        listed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        names += [member["name"] for shelf in json.loads(listed) for member in shelf["members"]]
    return names


def compare(arguments, rows, columns):
    """Prints the table of one size."""
    offered = set(byzfl_rules(rows)) | set(flower_rules(rows))
    rules = arguments.rules or [name for name in known(arguments.program) if name in offered]
    draws = np.random.default_rng(1)
    updates = draws.random((rows, columns), dtype=np.float32) * 2 - 1
    runs = {rule: [] for rule in rules}
    for run in range(arguments.runs):
        for rule in rules:
            theirs = others(rule, updates, arguments.seconds)
            own = ours(arguments.program, rows, columns, [rule], arguments.seconds)[rule]
            if theirs and own:
                name = min(theirs, key=theirs.get)
                runs[rule].append((1e3 * theirs[name] / own, own, 1e3 * theirs[name], name))
            print(f"run {run + 1}: {rule}", file=sys.stderr)
    print(f"\n{rows} x {columns}, one thread, {arguments.runs} runs\n")
    print("| rule | ours, ms | best other, ms | which | times as fast (median) | lowest | highest |")
    print("|---|---|---|---|---|---|---|")
    for rule, measured in runs.items():
        if not measured:
            print(f"| {rule} | | | | | | |")
            continue
        ratios = [ratio for ratio, *_ in measured]
        _, own, other, name = sorted(measured)[len(measured) // 2]
        print(
            f"| {rule} | {own:.2f} | {other:.1f} | {name} | **{statistics.median(ratios):.1f}** "
            f"| {min(ratios):.1f} | {max(ratios):.1f} |"
        )
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="the byzlab program, built for release")
    parser.add_argument("--sizes", nargs="+", default=["10x1000000", "50x1000000"])
    parser.add_argument("--rules", nargs="+", help="default: all that another library has")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each measurement")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for size in arguments.sizes:
        compare(arguments, *map(int, size.split("x")))


if __name__ == "__main__":
    main()
