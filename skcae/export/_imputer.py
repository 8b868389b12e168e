"""A SimpleImputer in operators of ONNX: skl2onnx's own rounds doubles to float32."""

import numpy as np
import pandas as pd


def add_imputer(graph, imputer, table, *, is_text):
    """Add what a fitted imputer makes of a table.

    ONNX has no missing string: the empty one stands for it.

    Parameters
    ----------
    graph : Graph
    imputer : SimpleImputer
        Fitted.
    table : str
        Name of the table, of doubles or of strings.
    is_text : bool
        Whether it is of strings.

    Returns
    -------
    result : str
        Name of the table without missing cells, with indicators behind it if the
        imputer adds them.
    """
    missing, values = imputer.missing_values, imputer.statistics_[None, :]
    if is_text:
        if imputer.add_indicator:
            raise NotImplementedError("SimpleImputer(add_indicator=True) for strings")
        is_missing = graph.LabelEncoder(
            table,
            op_domain="ai.onnx.ml",
            keys_strings=["" if pd.isna(missing) else missing],
            values_int64s=[1],
            default_int64=0,
        )
        is_missing = graph.cast(is_missing, np.bool_)
        return graph.Where(is_missing, values.astype(object), table)
    is_missing = (
        graph.IsNaN(table) if pd.isna(missing) else graph.Equal(table, float(missing))
    )
    result = graph.Where(is_missing, values.astype(np.float64), table)
    result = graph.Gather(result, _kept(imputer), axis=1)
    if imputer.add_indicator:
        flags = graph.Gather(is_missing, imputer.indicator_.features_, axis=1)
        result = graph.Concat(result, graph.cast(flags, np.float64), axis=1)
    return result


def n_columns_out(imputer):
    """Number of columns that a fitted imputer gives."""
    n_flags = len(imputer.indicator_.features_) if imputer.add_indicator else 0
    return len(_kept(imputer)) + n_flags


def _kept(imputer):
    """Positions of the columns that had a value to learn from, or are kept without."""
    is_kept = ~pd.isna(imputer.statistics_) | imputer.keep_empty_features
    return np.flatnonzero(is_kept)
