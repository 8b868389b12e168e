"""A fitted model in other forms: an ONNX graph, a torch module."""

from skcae._module import AutoencoderModule
from skcae.export._to_onnx import to_onnx

__all__ = ["AutoencoderModule", "to_onnx"]
