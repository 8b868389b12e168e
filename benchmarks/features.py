"""Whether contraction gives better features: Rifai et al. 2011 on MNIST, and tables.

    python -m benchmarks.features --data FOLDER --out RUN   hours on two cores
    ... --parts paper labels                                some of the parts
    ... --models CAE AE                                     some of the models
    ... --labels 100 1000                                   some numbers of labels
    ... --parts tables --tables FOLDER                      with ADBench's and KEEL's
    ... --device cuda                                       where networks train
    ... --quick                                             a trial, a few minutes

RUN holds a JSON file for each row, and the trained encoders. What is there is not
measured again: a run that was stopped goes on, and two may share a folder, each with
OMP_NUM_THREADS=1, on other parts, models or seeds. Without --data, MNIST is fetched
from OpenML; without --tables, the tables are those that scikit-learn ships.

paper     1000 tied sigmoid units, pre-trained on 50,000 images and fine-tuned below a
          softmax. 10,000 images choose each model's candidate, with seed 0; 10,000
          others test it, with three seeds. Fine-tuning adds noise to the images.
clean     the same without the noise.
labels    the same encoders where few images have labels: fine-tuned, with and without
          noise on the images, and frozen, in a Pipeline; five draws, and three seeds
          in turn. The images that validate choose rate and steps, by draw 0.
tangents  the directions that the CAE keeps, in tangent propagation with 1000 labels;
          three draws.
deep      two layers, trained one upon the other or at once; three seeds.
tables    256 units before a linear model, beside features that nobody trained: all
          labels, few labels, and test rows that are damaged; five seeds.
"""

import json
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import wilcoxon

from benchmarks import _digits
from benchmarks._data import labelled, mnist
from benchmarks._digits import Digits
from benchmarks._encoders import CANDIDATES
from benchmarks._report import parser, setting, spreads
from benchmarks._rows import once
from benchmarks._tables import CHOSEN_ON, FIGURES, METHODS, RIVALS, Split

# Table 1 of Rifai et al. 2011: test error in percent, mean norm (x 1e-4), saturated
# units in percent
PAPER = {
    "AE": (1.78, 17.5, 49.90),
    "AE + weight decay": (1.68, 5.00, 12.97),
    "DAE, Gaussian": (1.18, 0.86, 17.77),
    "DAE, masking": (1.57, 7.87, 68.19),
    "CAE": (1.14, 0.73, 86.36),
}
MODELS = {
    "paper": tuple(CANDIDATES),
    "clean": tuple(CANDIDATES),
    "labels": _digits.FEW,
    "tangents": ("CAE",),
    "deep": _digits.DEEP,
    "tables": METHODS,
}


def tables(folder, data, methods, seeds, quick):
    """Rows of the labelled tables, last those that chose the autoencoders."""
    pairs = product(seeds, list(labelled(data, 200 if quick else 750)))
    for seed, (name, X, y) in sorted(pairs, key=lambda pair: pair[1][0] in CHOSEN_ON):
        split = Split(X, y, seed)
        for method in methods:
            yield once(
                folder / "tables",
                {"table": name, "method": method, "seed": seed},
                partial(split.measure, method),
            )


def images(options):
    """What trains, what validates and what tests."""
    X, y = mnist(options.data)
    n = 3000 if options.quick else 50_000
    parts = slice(n), slice(50_000, 60_000), slice(60_000, None)
    return [(X[part], y[part]) for part in parts]


def report_paper(rows):
    """Means and standard deviations over seeds, beside the paper's."""
    frame = pd.DataFrame(rows)
    figures = frame.groupby("model", sort=False)[
        ["validation", "test", "norm", "saturated"]
    ].agg(["mean", "std"])
    figures.columns = [" ".join(pair) for pair in figures.columns]
    for position, name in enumerate(("test", "norm", "saturated")):
        figures[f"{name}, paper"] = pd.Series(
            {model: published[position] for model, published in PAPER.items()}
        )
    print(figures.round(3).T.to_string())


def report_spread(rows, by, over=None):
    """Mean and standard deviation of the test error."""
    text = spreads(pd.DataFrame(rows).groupby(by, sort=False)["test"])
    print((text.unstack(over) if over else text).to_string())


def report_tables(rows):
    """Means over tables, and paired tests over them."""
    frame = pd.DataFrame(rows)
    chosen_on = frame["table"].isin(CHOSEN_ON)
    for group, kept in (
        ("tables that chose no autoencoder", frame[~chosen_on]),
        ("tables that chose the autoencoders", frame[chosen_on]),
    ):
        if kept.empty:
            continue
        figures = [name for name in FIGURES if name in kept]
        by_seed = kept.groupby(["method", "seed"], sort=False)[figures].mean()
        print(f"\n{kept['table'].nunique()} {group}: mean ± deviation over seeds")
        print(spreads(by_seed.groupby("method", sort=False), ".1f").to_string())
        means = kept.groupby(["table", "method"], sort=False)[figures].mean()
        for name in figures:
            report_gains(name, means[name].unstack().dropna(axis=1, how="all"))
    clean = frame.pivot_table("clean", "table", "method", sort=False)
    print("\nclean rows")
    print(clean.round(1).to_string())


def report_gains(figure, scores):
    """What each method gains over rivals: mean, tables won, p."""
    rivals = [name for name in RIVALS if name in scores]
    texts = {
        rival: {
            method: gain_text(scores[method] - scores[rival])
            for method in scores.columns.drop(rival)
        }
        for rival in rivals
    }
    print(f"\n{figure}: gain over each, tables won, p of Wilcoxon's test")
    print(pd.DataFrame(texts).fillna("").to_string())


def gain_text(gains):
    """Mean, how many are positive, and the p-value of Wilcoxon's test."""
    gains = gains.dropna()
    p = wilcoxon(gains).pvalue if gains.any() else 1
    return f"{gains.mean():+.1f} {np.sum(gains > 0)}/{len(gains)} {p:.4f}"


def main():
    """Measure what is missing, and print."""
    arguments = parser(__doc__, out="folder for rows and encoders")
    arguments.add_argument("--data", help="folder with MNIST")
    arguments.add_argument("--tables", help="folder with labelled tables")
    arguments.add_argument("--parts", nargs="+", choices=MODELS, default=list(MODELS))
    models = sorted(set().union(*MODELS.values()))
    arguments.add_argument("--models", nargs="+", choices=models, default=models)
    arguments.add_argument("--labels", nargs="+", type=int, default=_digits.N_LABELS)
    arguments.add_argument(
        "--seeds", nargs="+", type=int, default=list(range(5)), help="of the tables"
    )
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--quick", action="store_true")
    options = arguments.parse_args()
    if not options.out:
        arguments.error("--out FOLDER is needed")
    # what is only tried must not be taken for a row
    folder = Path(options.out, "quick" if options.quick else "")
    conditions = setting(device=options.device, threads=torch.get_num_threads())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "setting.json").write_text(json.dumps(conditions))

    if set(options.parts) - {"tables"}:
        digits = Digits(folder, *images(options), options.device, options.quick)
    for part in options.parts:
        models = [model for model in MODELS[part] if model in options.models]
        if not models:
            continue
        print(f"\n{part}", flush=True)
        if part in ("paper", "clean"):
            fine_tuning = _digits.CLEAN if part == "clean" else {}
            report_paper(_digits.paper(digits, models, **fine_tuning))
        elif part == "labels":
            rows = _digits.labels(digits, models, options.labels)
            report_spread(rows, ["model", "method", "n_labels"], "n_labels")
        elif part == "tangents":
            report_spread(_digits.tangents(digits), "weight")
        elif part == "deep":
            report_spread(_digits.deep(digits, models), "model")
        else:
            seeds = [0] if options.quick else options.seeds
            report_tables(tables(folder, options.tables, models, seeds, options.quick))


if __name__ == "__main__":
    main()
