"""Nodes of an ONNX graph, each added by a call."""

from functools import partial

import numpy as np
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """A graph to add to: ``graph.Add(a, b)`` adds a node of that operator.

    Operands are names of results, or numbers and arrays, which become constants in
    their own type. A call returns the name of its result. Methods reduce tables along
    the last axis.

    Parameters
    ----------
    scope : Scope
        Of skl2onnx, which invents names.
    container : ModelComponentContainer
        Of skl2onnx, which holds nodes and constants.
    """

    def __init__(self, scope, container):
        self._scope, self._container = scope, container

    def __getattr__(self, operator):
        return partial(self._add, operator)

    def _add(self, operator, *operands, results=None, **attributes):
        results = results or [self._scope.get_unique_variable_name(operator)]
        operands = [
            one if isinstance(one, str) else self.constant(one) for one in operands
        ]
        self._container.add_node(operator, operands, results, **attributes)
        return results[0]

    def constant(self, values):
        """Add a number or an array; strings are objects."""
        name = self._scope.get_unique_variable_name("constant")
        values = np.asarray(values, order="C")
        if values.dtype == object:
            texts = [text.encode() for text in values.ravel()]
            string = TensorProto.STRING
            self._container.add_initializer(name, string, values.shape, texts)
        else:
            tensor = numpy_helper.from_array(values)
            self._container.add_initializer(name, None, None, tensor)
        return name

    def doubles(self, array):
        """Add an array of doubles that float32 holds, which halves its room."""
        return self.cast(np.asarray(array, dtype=np.float32), np.float64)

    def cast(self, operand, dtype):
        """Convert to another type."""
        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.Cast(operand, to=to)

    def insert_axis(self, operand):
        """Insert an axis of length 1 behind the first."""
        return self.Unsqueeze(operand, np.array([1]))

    def mean(self, operand, axis=-1):
        """Average."""
        return self.ReduceMean(operand, np.array([axis]), keepdims=0)

    def sum(self, operand):
        """Add up."""
        return self.ReduceSum(operand, np.array([-1]), keepdims=0)

    def all(self, conditions):
        """Whether all are true."""
        numbers = self.cast(conditions, np.int32)
        lowest = self.ReduceMin(numbers, np.array([-1]), keepdims=0)
        return self.cast(lowest, np.bool_)

    def lowest(self, operand, count):
        """Find the lowest values, in ascending order; return them and their places."""
        results = [
            self._scope.get_unique_variable_name(name) for name in ("lowest", "places")
        ]
        self.TopK(operand, np.array([count]), results=results, largest=0)
        return results
