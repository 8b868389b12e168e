"""Contractive autoencoders for scikit-learn."""

from skcae._estimator import ContractiveAutoencoder

__version__ = "0.1.0"

__all__ = ["ContractiveAutoencoder"]
