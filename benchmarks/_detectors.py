"""Outlier detectors to measure, each as its users would run it.

All have ``fit`` and ``score_samples``, whose scores are lower for anomalies. The rows
given to ``fit`` may be scored, too, and are then not their own neighbours.
"""

import tempfile
from functools import partial

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from torch.utils.data import DataLoader

from benchmarks._rivals import pyod_autoencoder
from skcae import ContractiveAutoencoder
from skcae.anomaly import AnomalyDetector


class Neighbours:
    """Distance from the nearest training rows.

    Parameters
    ----------
    divided : float
        0 for the mean distance to five of them. More divides it by the mean distance,
        to this power, that the five have from the rows nearest to them.
    """

    def __init__(self, divided=0.0):
        self.divided = divided

    def fit(self, X):
        """Keep the rows."""
        self._X = X
        self._search = NearestNeighbors(n_neighbors=5).fit(X)
        distances, _ = self._search.kneighbors()
        self._smallest = 1e-3 * np.sqrt(X.shape[1])
        self._level = distances.mean(axis=1)
        return self

    def score_samples(self, X):
        """Minus the distance, or its logarithm where it is divided."""
        distances, nearest = self._search.kneighbors(None if X is self._X else X)
        distances = distances.mean(axis=1)
        if not self.divided:
            return -distances
        around = self._level[nearest].mean(axis=1)
        log_distance, log_around = (
            np.log(np.maximum(part, self._smallest)) for part in (distances, around)
        )
        return self.divided * log_around - log_distance


class Factor:
    """Scikit-learn's LocalOutlierFactor, for new rows and for the training rows."""

    def fit(self, X):
        """Keep the rows."""
        self._X = X
        self._model = LocalOutlierFactor(novelty=True).fit(X)
        return self

    def score_samples(self, X):
        """Minus the factor."""
        if X is self._X:
            return self._model.negative_outlier_factor_
        return self._model.score_samples(X)


class Components:
    """What principal components with 90 % of the variance leave of a row."""

    def fit(self, X):
        """Find the components."""
        self._pca = PCA(0.9).fit(X)
        return self

    def score_samples(self, X):
        """Minus the mean squared error."""
        restored = self._pca.inverse_transform(self._pca.transform(X))
        return -np.mean((X - restored) ** 2, axis=1)


class Pyod:
    """A detector of PyOD, whose scores are higher for anomalies."""

    def __init__(self, model):
        self._model = model

    def fit(self, X):
        """Fit the model."""
        self._model.fit(X)
        return self

    def score_samples(self, X):
        """Minus PyOD's score."""
        return -self._model.decision_function(X)


class PackagedCae:
    """The contractive autoencoder of the package autoencoders, with its own trainer.

    Its weight of the penalty (0.01), batches (256), units (ReLU) and learning rate are
    its defaults. It has none for the network, so that is ours: 256 units, a code of 32.
    Its five epochs are too few for a table: they are 100 here.
    """

    def __init__(self, seed, sizes=(256, 32), epochs=100):
        import autoencoders  # noqa: F401  (missing packages are found out here)

        self._seed, self._epochs = seed, epochs
        *self._hidden, self._code = sizes

    def fit(self, X):
        """Train; the rows it would choose an epoch by are a tenth of the training's."""
        from autoencoders import ContractiveAutoencoderConfig
        from autoencoders.data.base import DatasetLoaders, TensorSpec
        from autoencoders.models.cae import ContractiveAutoencoderModel
        from autoencoders.training.trainer import AETrainer, TrainingConfig

        torch.manual_seed(self._seed)
        self._model = ContractiveAutoencoderModel(
            ContractiveAutoencoderConfig(latent_dim=self._code),
            sample_spec=TensorSpec((X.shape[1],)),
            encoder="mlp",
            encoder_config={"hidden_dims": self._hidden},
        )
        rows = torch.from_numpy(np.float32(X))
        train = DataLoader(rows, batch_size=256, shuffle=True)
        few = DataLoader(rows[: max(1, len(rows) // 10)], batch_size=256)
        with tempfile.TemporaryDirectory() as folder:
            settings = TrainingConfig(
                folder, epochs=self._epochs, device="cpu", seed=self._seed
            )
            AETrainer(self._model, settings, display=_Silent()).fit(
                DatasetLoaders(train, few, few)
            )
        return self

    def score_samples(self, X):
        """Minus the mean squared error."""
        rows = torch.from_numpy(np.float32(X))
        with torch.no_grad():
            restored = self._model.eval()(rows).reconstruction
        return -(restored - rows).square().mean(dim=1).numpy()


class _Silent:
    """A display of training that shows nothing."""

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


def _detector(seed, **parameters):
    return AnomalyDetector(random_state=seed, **parameters)


def _detector_without_penalty(seed):
    """The detector with its own network, but for the penalty."""
    network = ContractiveAutoencoder(
        lam=0, code_activation="silu", noise_std=0.5, contamination=0.1
    )
    return _detector(seed, estimator=network)


def _network(seed, **parameters):
    # a float spares a second network for a threshold that is not used
    return ContractiveAutoencoder(contamination=0.1, random_state=seed, **parameters)


def _pyod_autoencoder(seed):
    model = pyod_autoencoder(random_state=seed)
    if model is None:
        raise ImportError("PyOD is not installed")
    return Pyod(model)


def _lunar(seed):
    from pyod.models.lunar import LUNAR

    return Pyod(LUNAR(random_state=seed))


def _ecod(seed):
    from pyod.models.ecod import ECOD

    return Pyod(ECOD())


def _kernel_matching(seed):
    from karkcm import KCM

    return KCM(assume_scaled=True, random_state=seed)


DETECTOR, NETWORK, KNN = "AnomalyDetector()", "ContractiveAutoencoder()", "kNN"
DETECTOR_PLAIN, NETWORK_PLAIN = f"{DETECTOR}, λ = 0", f"{NETWORK}, λ = 0"
KNN_DIVIDED = "kNN, divided"
FOREST = "IsolationForest"
# trained on normal rows
NOVELTY = {
    DETECTOR: _detector,
    NETWORK: _network,
    DETECTOR_PLAIN: _detector_without_penalty,
    NETWORK_PLAIN: partial(_network, lam=0),
    KNN: lambda seed: Neighbours(),
    KNN_DIVIDED: lambda seed: Neighbours(0.5),
    FOREST: lambda seed: IsolationForest(random_state=seed),
    "LOF": lambda seed: Factor(),
    "PCA 90 %": lambda seed: Components(),
    "PyOD AutoEncoder": _pyod_autoencoder,
    "LUNAR": _lunar,
    "ECOD": _ecod,
    "kar-kcm": _kernel_matching,
    "CAE of autoencoders": PackagedCae,
}
# trained on rows with anomalies
TRIMMED = {
    f"trim_fraction={share:g}": partial(_detector, trim_fraction=share)
    for share in (0.0, 0.1, 0.4)
}
CONTAMINATED = TRIMMED | {
    name: NOVELTY[name] for name in (KNN, FOREST, "PCA 90 %", "LOF")
}
