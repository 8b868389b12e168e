"""An estimator to a graph: skl2onnx, with converters for our models."""

import numpy as np
import pandas as pd
from onnx import TensorProto, ValueInfoProto, compose, helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import (
    DoubleTensorType,
    Int64TensorType,
    StringTensorType,
)
from skl2onnx.operator_converters.one_hot_encoder import (
    convert_sklearn_one_hot_encoder,
)
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from skcae._estimator import ContractiveAutoencoder
from skcae._pipeline import last_step
from skcae.anomaly import AnomalyDetector
from skcae.export._detector import add_detector
from skcae.export._graph import Graph
from skcae.export._imputer import add_imputer, n_columns_out
from skcae.export._network import add_autoencoder

# Runtimes since 2023 read these versions of the operators.
_OPSETS = {"": 18, "ai.onnx.ml": 3}
# Of all names inside, so that a column may have a name that skl2onnx gives.
_PREFIX = "skcae/"


def convert(model, inputs, dtype):
    """Turn an estimator into a graph that computes in double precision.

    Parameters
    ----------
    model : estimator
        Fitted, without wrappers.
    inputs : list of Input
        What the graph reads.
    dtype : str
        Of the numbers that go in and come out.

    Returns
    -------
    onnx.ModelProto
    """
    types = [(one.name, _type(one)) for one in inputs]
    is_joined = _takes_one_table(model, inputs)
    if is_joined:
        types = [("X", DoubleTensorType([None, len(inputs)]))]
    inside = compose.add_prefix(_convert_inside(model, types), _PREFIX)

    number = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    tables = [table.name for table in inside.graph.input]
    columns = [f"{_PREFIX}{i}" for i in range(len(inputs))] if is_joined else tables
    read, nodes = [], []
    for one, column in zip(inputs, columns, strict=True):
        element = TensorProto.STRING if one.is_text else number
        shape = ["n", one.values.shape[1]]
        read.append(helper.make_tensor_value_info(one.name, element, shape))
        inner = TensorProto.STRING if one.is_text else TensorProto.DOUBLE
        nodes.append(helper.make_node("Cast", [one.name], [column], to=inner))
    if is_joined:
        nodes.append(helper.make_node("Concat", columns, tables, axis=1))
    nodes += inside.graph.node
    written = []
    for result in inside.graph.output:
        output = ValueInfoProto()
        output.CopyFrom(result)
        output.name = result.name.removeprefix(_PREFIX)
        if any(output.name == one.name for one in inputs):
            raise ValueError(
                f"X has a column {output.name!r}, which is an output's name: rename it."
            )
        tensor = output.type.tensor_type
        if tensor.elem_type == TensorProto.DOUBLE:
            tensor.elem_type = number
        nodes.append(
            helper.make_node("Cast", [result.name], [output.name], to=tensor.elem_type)
        )
        written.append(output)
    name = type(last_step(model)).__name__
    return helper.make_model(
        helper.make_graph(nodes, name, read, written, inside.graph.initializer),
        opset_imports=inside.opset_import,
        ir_version=inside.ir_version,
        producer_name="skcae",
    )


def _type(one):
    kind = StringTensorType if one.is_text else DoubleTensorType
    return kind([None, one.values.shape[1]])


def _takes_one_table(model, inputs):
    """Whether columns of numbers are to be joined before the first step."""
    while isinstance(model, Pipeline):
        model = model.steps[0][1]
    is_selecting = isinstance(model, ColumnTransformer)
    return len(inputs) > 1 and not (is_selecting or any(one.is_text for one in inputs))


def _convert_inside(model, inputs):
    """Turn an estimator into a graph of doubles, by skl2onnx."""
    last = last_step(model)

    def parse(scope, step, inputs, custom_parsers=None):
        operator = scope.declare_local_operator(type(step).__name__, step)
        operator.inputs = inputs
        for name, shape in _outputs(step, is_last=step is last).items():
            kind = Int64TensorType if name == "label" else DoubleTensorType
            operator.outputs.append(scope.declare_local_variable(name, kind(shape)))
        return operator.outputs

    ours = [*_family(ContractiveAutoencoder), *_family(AnomalyDetector)]
    return convert_sklearn(
        model,
        initial_types=inputs,
        target_opset=_OPSETS,
        custom_parsers=dict.fromkeys(ours, parse),
        custom_shape_calculators=dict.fromkeys(ours, lambda operator: None)
        | {SimpleImputer: _set_shape_of_imputed},
        custom_conversion_functions=dict.fromkeys(ours, _convert_ours)
        | {SimpleImputer: _convert_imputer, OneHotEncoder: _convert_encoder},
        options={id(last): {"zipmap": False}} if is_classifier(last) else None,
    )


def _family(kind):
    yield kind
    for subclass in kind.__subclasses__():
        yield from _family(subclass)


def _outputs(step, *, is_last):
    """Names and shapes of what one of our models gives."""
    n_features = step.n_features_in_
    if isinstance(step, AnomalyDetector):
        return {"score": [None], "label": [None], "p_value": [None]}
    code = {"code": [None, step.n_components_]}
    if not is_last:
        return code
    return code | {
        "reconstruction": [None, n_features],
        "score": [None],
        "label": [None],
        "feature_errors": [None, n_features],
    }


def _convert_ours(scope, operator, container):
    graph, step = Graph(scope, container), operator.raw_operator
    rows = graph.cast(operator.inputs[0].full_name, np.float64)
    if isinstance(step, AnomalyDetector):
        results = add_detector(graph, step, rows)
    else:
        results = add_autoencoder(graph, step, rows, is_last=len(operator.outputs) > 1)
    for result, output in zip(results, operator.outputs, strict=True):
        graph.Identity(result, results=[output.full_name])


def _set_shape_of_imputed(operator):
    (table,), (output,) = operator.inputs, operator.outputs
    output.type = type(table.type)([None, n_columns_out(operator.raw_operator)])


def _convert_imputer(scope, operator, container):
    graph = Graph(scope, container)
    (table,), (output,) = operator.inputs, operator.outputs
    is_text = isinstance(table.type, StringTensorType)
    result = add_imputer(graph, operator.raw_operator, table.full_name, is_text=is_text)
    graph.Identity(result, results=[output.full_name])


def _convert_encoder(scope, operator, container):
    for categories in operator.raw_operator.categories_:
        if pd.isna(categories).any():
            raise NotImplementedError(
                "OneHotEncoder has a category for missing values; put a SimpleImputer "
                "before it"
            )
    convert_sklearn_one_hot_encoder(scope, operator, container)
