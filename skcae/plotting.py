"""Pictures of fitted autoencoders: displays after scikit-learn's convention.

A display's constructor takes numbers. ``from_estimator``, or ``from_estimators`` with a
dict from names to models where several are compared, computes them, mostly by
:mod:`skcae.inspection`, and draws. A model is a fitted
:class:`~skcae.ContractiveAutoencoder`, or a fitted Pipeline, FrozenEstimator or search
that ends in one.

``plot`` draws into ``ax``, or into a figure of its own where that is None, and returns
the display, with ``figure_``, ``ax_`` (or ``axes_``) and the artists as attributes. A
display of several panels draws them in the place of ``ax``, or into the axes of a list
of as many. Legends stand above the axes, where they cover no data. What is not as
described raises a ValueError that names it, when it is drawn. Matplotlib
(``pip install "skcae[plot]"``) is imported when something is drawn.
"""

from skcae.anomaly._anomaly_scores import AnomalyScoresDisplay
from skcae.anomaly._drift import DriftDisplay
from skcae.inspection._contraction_curve import ContractionCurveDisplay
from skcae.inspection._jacobian_spectrum import JacobianSpectrumDisplay
from skcae.inspection._lambda_path import LambdaPathDisplay
from skcae.inspection._score_field import ScoreFieldDisplay
from skcae.inspection._sensitivity import SensitivityDisplay
from skcae.inspection._tangent_vectors import TangentVectorsDisplay
from skcae.inspection._training_curves import TrainingCurvesDisplay

__all__ = [
    "AnomalyScoresDisplay",
    "ContractionCurveDisplay",
    "DriftDisplay",
    "JacobianSpectrumDisplay",
    "LambdaPathDisplay",
    "ScoreFieldDisplay",
    "SensitivityDisplay",
    "TangentVectorsDisplay",
    "TrainingCurvesDisplay",
]
