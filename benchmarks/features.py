"""Whether contraction gives better features: Rifai et al. 2011 on MNIST, and tables.

    python -m benchmarks.features --data FOLDER --out RUN   all parts, four hours
    ... --parts paper labels deep tables                    some of them
    ... --models CAE                                        one model of the paper's
    ... --device cuda                                       where networks train
    ... --quick                                             a smoke test, two minutes

RUN holds a JSON file for each row and the trained encoders. What is there is not
measured again: a run that was stopped goes on, and two may share a folder, each with
OMP_NUM_THREADS=1, on other parts or models. Without --data, MNIST is fetched from
OpenML, and the tables are those that scikit-learn ships.

paper   1000 tied sigmoid units, pre-trained on 50,000 images, then fine-tuned below a
        softmax; the best candidate of each model on 10,000 images that validate, by
        seed 0; the error on 10,000 test images for three seeds.
labels  the same encoders, and few labels: fine-tuned, and frozen in a Pipeline.
deep    two layers, trained one by one or at once; tangents of the encoder in training.
tables  the code in front of a linear model, by nested cross-validation.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._data import mnist
from benchmarks._encoders import CANDIDATES, UNITS, name_of, pretrained
from benchmarks._fine_tuning import error, fine_tune
from benchmarks._report import parser, setting
from skcae.inspection import saturation

SEEDS = (0, 1, 2)
FINE_TUNING = {"rate": 0.003, "epochs": 20, "noise_std": 0.2}


@dataclass(frozen=True)
class Run:
    """Images, and a folder for what has been measured on them."""

    folder: Path
    train: tuple
    validation: tuple
    test: tuple
    device: str
    quick: bool

    def row(self, part, measure, **key):
        """One row, from the folder or measured and put there."""
        path = self.folder / part / f"{name_of(key)}.json"
        if path.exists():
            return json.loads(path.read_text())
        start = time.perf_counter()
        row = key | measure()
        row["seconds"] = round(time.perf_counter() - start, 1)
        print(f"{part}: {name_of(row)}", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(row))
        unfinished.rename(path)
        return row

    def encoder(self, seed, **parameters):
        """An autoencoder from the folder, or trained and put there."""
        (self.folder / "encoders").mkdir(parents=True, exist_ok=True)
        return pretrained(
            self.folder / "encoders", self.train[0], seed, self.device, parameters
        )

    def fine_tuned_errors(self, layers, seed, rows=None, **settings):
        """Percent of the images that validate, and of those that test."""
        X, y = self.train if rows is None else (part[rows] for part in self.train)
        if self.quick:
            settings["epochs"] = 2
        net = fine_tune(layers, X, y, **settings, seed=seed, device=self.device)
        return {
            "validation": error(net, *self.validation),
            "test": error(net, *self.test),
        }


def layers_of(encoder):
    """Weights and biases of its encoding half."""
    depth = len(encoder.coefs_) // 2
    return list(zip(encoder.coefs_[:depth], encoder.intercepts_[:depth], strict=True))


def trial(run, model, candidate, seed):
    """Pre-train, fine-tune, and look at the code of the images that test."""

    def measure():
        parameters = dict(candidate)
        settings = FINE_TUNING | {"rate": parameters.pop("rate", FINE_TUNING["rate"])}
        if model == "MLP":
            layers, figures = [(run.train[0].shape[1], UNITS)], {}
        else:
            encoder = run.encoder(seed, **parameters)
            layers = layers_of(encoder)
            images = run.test[0]
            figures = {
                "norm": float(np.sqrt(encoder.contraction(images)).mean()),
                "saturated": 100 * float(saturation(encoder, images).mean()),
            }
        return run.fine_tuned_errors(layers, seed, **settings) | figures

    return run.row("paper", measure, model=model, **candidate, seed=seed)


def chosen(run, model):
    """The candidate that validates best."""
    return min(
        CANDIDATES[model],
        key=lambda candidate: trial(run, model, candidate, 0)["validation"],
    )


def paper(run, models):
    """Table 1."""
    rows = []
    for model in models:
        best = chosen(run, model)
        rows += [trial(run, model, best, seed) for seed in SEEDS]
    return rows


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--data", help="folder with MNIST and tables of ADBench")
    arguments.add_argument("--models", nargs="+", default=list(CANDIDATES))
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--quick", action="store_true")
    o = arguments.parse_args()
    X, y = mnist(o.data)
    n = 2000 if o.quick else 50000
    run = Run(Path(o.out), (X[:n], y[:n]), (X[50000:60000], y[50000:60000]), (X[60000:], y[60000:]), o.device, o.quick)
    paper(run, o.models)

if __name__ == "__main__":
    main()
