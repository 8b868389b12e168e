"""A detector in operators of ONNX.

It follows ``AnomalyDetector._score_rows`` and ``ReferenceRows.distances`` step by step,
for n rows of d columns.
"""

import numpy as np

from skcae import _checks
from skcae.anomaly._detector import SMALLEST_ERROR
from skcae.anomaly._reference import SHORTEST, SHORTEST_COMPRESSED
from skcae.export._network import NetworkGraph, labels


def add_detector(graph, model, rows):
    """Add what a fitted detector says of rows.

    Parameters
    ----------
    graph : Graph
    model : AnomalyDetector
        Fitted.
    rows : str
        Name of the rows, in doubles.

    Returns
    -------
    results : list of str
        Names of the scores, labels and p-values.
    """
    centred = graph.Sub(rows, model._center)
    is_within = graph.all(graph.LessOrEqual(graph.Abs(centred), _checks.LARGEST_VALUE))
    centred = graph.Where(graph.insert_axis(is_within), centred, 0.0)
    parts = _log_parts(graph, model, graph.cast(centred, np.float32))
    standardised = [
        graph.Div(graph.Sub(part, mean), spread)
        for part, mean, spread in zip(parts, model._means, model._spreads, strict=True)
    ]
    mean = graph.Mul(graph.Sum(*standardised), model._spreads.mean() / len(parts))
    scores = graph.Where(is_within, graph.Neg(graph.Exp(mean)), -np.inf)

    calibration = model.calibration_scores_
    is_as_low = graph.LessOrEqual(
        calibration, graph.insert_axis(graph.Mul(scores, 1 - 1e-6))
    )
    n_as_low = graph.sum(graph.cast(is_as_low, np.float64))
    p_values = graph.Div(graph.Add(n_as_low, 1.0), len(calibration) + 1.0)
    return [scores, labels(graph, scores, model), p_values]


def _log_parts(graph, model, centred):
    """Logarithms of the error and of two distances, each of shape (n,)."""
    reference = model._reference
    search = _Search(graph, reference, graph.cast(centred, np.float64))

    distances, nearest = search.nearest(
        search.rows, search.table, reference.n_neighbors
    )
    distances = graph.Div(distances, np.sqrt(reference.rows.shape[1]))
    distances = graph.Max(distances, SHORTEST)
    inverse_squares = graph.Reciprocal(graph.Mul(distances, distances))
    log_distance = graph.Mul(graph.Log(graph.mean(inverse_squares)), -0.5)

    biases = graph.cast(graph.Gather(model._residuals, nearest), np.float64)
    original = graph.Add(search.rows, model._center)
    network = NetworkGraph(graph, model.estimator_._checkpoint)
    _, reconstructions = network.decode(network.encode(original))
    residuals = graph.Sub(original, reconstructions)
    residuals = graph.Sub(residuals, graph.mean(biases, axis=1))
    error = graph.mean(graph.Mul(residuals, residuals))
    log_error = graph.Mul(graph.Log(graph.Add(error, SMALLEST_ERROR)), 0.5)

    points = graph.Asinh(centred)
    table = graph.constant(reference.compressed)
    _, candidates = search.nearest(
        graph.cast(points, np.float64),
        graph.cast(table, np.float64),
        reference.n_candidates,
    )
    differences = graph.Sub(graph.Gather(table, candidates), graph.insert_axis(points))
    differences = graph.cast(graph.Abs(differences), np.float64)
    distances, order = graph.lowest(graph.mean(differences), reference.n_neighbors)
    level = graph.mean(graph.Log(graph.Max(distances, SHORTEST_COMPRESSED)))
    nearest = graph.GatherElements(candidates, order, axis=1)
    levels = graph.Gather(reference.levels.astype(np.float64), nearest)
    around = graph.Min(graph.mean(levels), float(reference.sparsest))
    return [log_error, log_distance, graph.Sub(level, around)]


class _Search:
    """Search for the nearest reference rows, as ``ReferenceRows._nearest``.

    Parameters
    ----------
    graph : Graph
    reference : ReferenceRows
    rows : str
        Name of the rows to search for, in doubles.

    Attributes
    ----------
    rows, table : str
        Names of the rows and of the reference rows, in doubles.
    """

    def __init__(self, graph, reference, rows):
        self._graph, self._rows_repeat = graph, reference.rows_repeat
        self.rows, self.table = rows, graph.doubles(reference.rows)

    def nearest(self, points, table, count):
        """Distances of the nearest points of a table, and which, but the row itself.

        Parameters
        ----------
        points, table : str
            Names of the rows and of the reference rows, transformed alike, in doubles.
        count : int

        Returns
        -------
        distances, places : str
            Names of tables of shape (n, count).
        """
        graph = self._graph
        lengths, of_table = (
            graph.insert_axis(graph.sum(graph.Mul(one, one))) for one in (points, table)
        )
        products = graph.Gemm(points, table, transB=1, alpha=-2.0)
        squares = graph.Sum(products, lengths, graph.Transpose(of_table, perm=[1, 0]))
        if self._rows_repeat:
            squares, places = graph.lowest(squares, count)
        else:
            squares, places = graph.lowest(squares, count + 1)
            others = self._others(places, count)
            squares, places = (
                graph.GatherElements(one, others, axis=1) for one in (squares, places)
            )
        return graph.Sqrt(graph.Relu(squares)), places

    def _others(self, places, count):
        """Positions of so many places that are not the row's own."""
        graph = self._graph
        first = graph.Slice(places, np.array([0]), np.array([3]), np.array([1]))
        is_own = graph.Equal(
            graph.Gather(self.table, first), graph.insert_axis(self.rows)
        )
        is_own = graph.cast(graph.all(is_own), np.int32)
        left_out = graph.Where(
            graph.cast(graph.ReduceMax(is_own, np.array([1])), np.bool_),
            graph.ArgMax(is_own, axis=1),
            count,
        )
        others = np.arange(count)[None, :]
        is_behind = graph.GreaterOrEqual(others, left_out)
        return graph.Add(graph.cast(is_behind, np.int64), others)
