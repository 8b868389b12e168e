"""A fitted estimator as an ONNX file, checked against the estimator."""

import hashlib
import importlib
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skcae._checks import check_choice, check_table, reading
from skcae._pipeline import column_of, last_step, names_of, take_rows, unwrapped
from skcae._typing import Model, Table
from skcae.anomaly import AnomalyDetector

if TYPE_CHECKING:
    from onnx import ModelProto

# So many rows are computed twice, and may differ by so much of the largest value.
_N_CHECKED = 1000
_TOLERANCE = 1e-6
# What a column may lose by rounding, relative to its spread.
_LARGEST_LOSS = 1e-4
# What the method of the estimator gives, by the name of the graph's output.
_METHODS = {
    "code": ("transform",),
    "score": ("score_samples",),
    "probabilities": ("predict_proba",),
    "variable": ("predict", "transform"),
}


class Input(NamedTuple):
    """What a graph reads, and rows to check it with.

    Attributes
    ----------
    name : str
    values : ndarray of shape (n_samples, width)
        As the graph reads them.
    cells : ndarray of shape (n_samples, width)
        The same rows, as scikit-learn reads them.
    is_text : bool
        Whether they are strings.
    """

    name: str
    values: np.ndarray
    cells: np.ndarray
    is_text: bool


def to_onnx(
    model: Model,
    X: Table,
    path: str | PathLike[str] | None = None,
    *,
    dtype: Literal["float32", "float64"] = "float32",
) -> "ModelProto":
    """Turn a fitted estimator into an ONNX graph, which needs no Python to run.

    Numbers are read and written in ``dtype``; between, all is computed in double
    precision, as scikit-learn does. Any number of rows may be given at once. The graph
    scores the first 1000 rows of ``X``, and an error is raised where it does not agree
    with the model.

    Parameters
    ----------
    model : ContractiveAutoencoder, AnomalyDetector or Pipeline
        Fitted. Steps before may be all that skl2onnx converts, ``ColumnTransformer``
        included; steps behind an autoencoder, too, and then only its code is used.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows to check the graph with, in the kind of table to deploy for. An array
        becomes one input, ``X``. A DataFrame becomes one input of shape (n_samples, 1)
        for each column, named as it.
    path : str or path-like, default=None
        File to write the graph to. Its SHA-256 is written beside it, to the same name
        with ``.sha256`` behind it, as the command ``sha256sum`` reads it: ONNX has no
        checksum of its own.
    dtype : {"float32", "float64"}, default="float32"
        Type of the numbers that go in and come out. "float64" is for columns whose
        offset is so large that float32 loses their digits.

    Returns
    -------
    graph : onnx.ModelProto
        Outputs of a ContractiveAutoencoder are ``code``, ``reconstruction``, ``score``,
        ``label`` and ``feature_errors``; of an AnomalyDetector ``score``, ``label`` and
        ``p_value``; each as the method of scikit-learn gives it. A row that
        scikit-learn refuses, with a missing or infinite value or one that the loss
        does not take, scores -inf and is labelled -1. The threshold is ``offset_``
        as it is now.

    Raises
    ------
    ImportError
        If skl2onnx, onnx or onnxruntime is missing: ``pip install "skcae[onnx]"``.
    ValueError
        If a step has no ONNX form, if ``X`` has cells that are neither numbers nor
        strings, or if graph and model do not agree.

    See Also
    --------
    skcae.ContractiveAutoencoder.to_module : Copy a fitted network into torch.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.export import to_onnx
    >>> X, _ = load_wine(return_X_y=True)
    >>> model = make_pipeline(
    ...     StandardScaler(), ContractiveAutoencoder(8, max_iter=2, random_state=0)
    ... ).fit(X)
    >>> graph = to_onnx(model, X)
    >>> [output.name for output in graph.graph.output]
    ['code', 'reconstruction', 'score', 'label', 'feature_errors']
    """
    for library in ("skl2onnx", "onnx", "onnxruntime"):
        try:
            importlib.import_module(library)
        except ImportError as error:
            raise ImportError(
                f'to_onnx needs {library}: pip install "skcae[onnx]"'
            ) from error
    from onnx.checker import ValidationError, check_model
    from onnx.shape_inference import InferenceError

    from skcae.export._conversion import convert

    check_choice("dtype", dtype, ("float32", "float64"))
    check_is_fitted(model)
    if sparse.issparse(X):
        raise ValueError("X must be dense, as an ONNX runtime reads it: X.toarray().")
    check_table(X)
    names = names_of(X)
    n_checked = min(X.shape[0] if hasattr(X, "shape") else len(X), _N_CHECKED)
    if n_checked == 0 or (names is not None and len(names) == 0):
        raise ValueError("X must have rows and columns, to check the graph with.")
    with reading():
        inputs = _inputs(take_rows(X, np.arange(n_checked)), names, dtype)
    own_names = getattr(model, "feature_names_in_", None)
    if names is None and own_names is not None:
        width = inputs[0].values.shape[1]
        if width != len(own_names):
            raise ValueError(
                f"X has {width} columns, but model was fitted to {len(own_names)}."
            )
    if names is None or own_names is None:
        names = own_names
    try:
        graph = convert(_plain(model), inputs, dtype)
        check_model(graph, full_check=True)
    except (
        NotImplementedError,
        RuntimeError,
        InferenceError,
        ValidationError,
    ) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"A step of model has no ONNX form: {reason}") from error
    content = graph.SerializeToString(deterministic=True)
    _check_agreement(content, model, inputs, names)
    if path is not None:
        _write(Path(path), content)
    return graph


def _plain(model):
    """The estimator with no wrappers and no steps that pass rows through."""
    model = unwrapped(model)
    if not isinstance(model, Pipeline):
        return model
    steps = [
        (name, step) for name, step in model.steps if step not in (None, "passthrough")
    ]
    return Pipeline([(name, _plain(step)) for name, step in steps])


def _inputs(X, names, dtype):
    if names is None:
        return [_input("X", np.asarray(X), dtype)]
    return [
        _input(name, np.asarray(column_of(X, position))[:, None], dtype)
        for position, name in enumerate(names)
    ]


def _input(name, cells, dtype):
    kind = pd.api.types.infer_dtype(cells.ravel(), skipna=True)
    if kind in ("string", "empty"):
        # ONNX has no missing string
        text = np.where(pd.isna(cells), "", cells).astype(object)
        return Input(name, text, cells, is_text=True)
    if kind not in ("integer", "floating", "mixed-integer-float", "boolean"):
        raise ValueError(
            f"Input {name!r} has cells of kind {kind!r}, but ONNX reads numbers or "
            "strings: convert them first. A table of both is to be a DataFrame."
        )
    numbers = pd.DataFrame(cells).to_numpy(np.float64, na_value=np.nan)
    with np.errstate(over="ignore"):
        rounded = numbers.astype(dtype)
    _check_loss(name, numbers, rounded)
    return Input(name, rounded, rounded.astype(np.float64), is_text=False)


def _check_loss(name, numbers, rounded):
    """Raise a ValueError where rounding costs a column its digits."""
    for column in range(numbers.shape[1]):
        is_finite = np.isfinite(numbers[:, column])
        cells, kept = numbers[is_finite, column], rounded[is_finite, column]
        with np.errstate(over="ignore", invalid="ignore"):
            spread = cells.std() if len(cells) else 0.0
        if spread > 0 and np.abs(cells - kept).max() > _LARGEST_LOSS * spread:
            raise ValueError(
                f"Column {column} of input {name!r} lies so far from 0, beside its "
                "spread, that float32 loses its digits: shift it before training, or "
                "give dtype='float64'."
            )


def _check_agreement(content, model, inputs, names):
    """Raise a ValueError where graph and model do not compute the same."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        content, options, providers=["CPUExecutionProvider"]
    )
    try:
        results = session.run(None, {one.name: one.values for one in inputs})
    except Exception as error:  # of classes that onnxruntime does not export
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"The graph cannot read X: {reason}") from error
    X = _table(inputs, names)
    for output, result in zip(session.get_outputs(), results, strict=True):
        methods = _METHODS.get(output.name, ())
        method = next((name for name in methods if hasattr(model, name)), None)
        if method is None:
            continue
        expected = np.reshape(getattr(model, method)(X), result.shape)
        with np.errstate(invalid="ignore"):  # of inf less inf
            difference = np.where(result == expected, 0, np.abs(result - expected))
        largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
        is_close = difference <= _TOLERANCE * largest
        # of neighbours that are equally far, graph and model may take different ones
        wanted = 0.1 if isinstance(last_step(model), AnomalyDetector) else 1
        if is_close.mean() < wanted:
            raise ValueError(
                f"The graph's {output.name!r} of X is not what {method} gives: a step "
                "does something else in ONNX. Leave steps out to find which."
            )


def _table(inputs, names):
    """The rows of all inputs as scikit-learn reads them."""
    columns = [column for one in inputs for column in one.cells.T]
    if names is None:
        return np.column_stack(columns)
    return pd.DataFrame(dict(zip(names, columns, strict=True)))


def _write(path, content):
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    path.with_name(path.name + ".sha256").write_text(
        f"{digest}  {path.name}\n", encoding="utf-8", newline="\n"
    )
