"""The estimator: a transformer and an outlier detector in one."""

import copy
import math
from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial
from os import PathLike
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    OutlierMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from skcae import _advice, _checks, _fit
from skcae._callbacks import CallbackSupportMixin, FitTask, with_callbacks
from skcae._core import penalties
from skcae._core.checkpoint import Checkpoint
from skcae._core.network import Network
from skcae._core.ranks import ALONE, ranks
from skcae._core.training import TrainingDivergedError
from skcae._module import AutoencoderModule, from_module, to_module
from skcae._progress import progress
from skcae._table import SomeRows, readable
from skcae._threshold import auto_offset, quantile_offset
from skcae._trim import untrimmed
from skcae._typing import Activation, Seed, Table

_CPU = torch.device("cpu")
_DTYPES = [np.float64, np.float32]
# Rows whose scores set a threshold, at most.
_MOST_SCORES = 2**20
# Of a stream, whose threshold follows them.
_REMEMBERED_SCORES = 2000
# What models do as if they had it that were saved before there was such a parameter.
_LATER_PARAMETERS = {
    "allow_nan": False,
    "masking_fraction": 0.0,
    "swap_fraction": 0.0,
    "score_dtype": "float64",
    "distributed": False,
    "checkpoint_folder": None,
    "checkpoint_every": 10,
}


class ContractiveAutoencoder(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    OutlierMixin,
    CallbackSupportMixin,
    BaseEstimator,
):
    r"""Autoencoder whose code changes little when the row changes little.

    An encoder f maps a row x of d columns to a code of k units and a decoder g
    maps the code back. Training minimises, averaged over rows and divided by d,

    .. math:: \|x - g(f(x))\|^2 + \lambda \, \|\partial f / \partial x\|_F^2,

    the squared reconstruction error plus λ times the squared Frobenius norm of
    the encoder's Jacobian (Rifai et al. 2011) [1]_. The code serves as features
    (:meth:`transform`), the reconstruction error as a score of how anomalous a
    row is (:meth:`score_samples`). The Jacobian does not know the scale of the
    columns: put a scaler before this estimator. Sparse rows are made dense batch by
    batch, never as a whole.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Units k of the code. May exceed the number of columns. "auto" is 32, or one less
        than the columns where these are 6 or fewer, which is for anomalies: features
        want 64 or more, there above all.
    hidden_layer_sizes : tuple of int, default=(256,)
        Widths of the encoder's layers between the columns and the code; the
        decoder mirrors them. ``()`` is the network of Rifai et al.
    activation : str, default="relu"
        Activation of the hidden layers: "identity", "sigmoid", "tanh", "relu",
        "softplus" or "silu".
    code_activation : str or None, default=None
        Activation of the code, one of the same. None for that of the hidden layers,
        but "silu", whose units do not die, in place of "relu", and "identity" above
        hidden layers where ``n_components="auto"`` makes the code narrow.
    decoder_activation : str or None, default=None
        Activation of the decoder's hidden layers, one of the same. None for that of
        the encoder's.
    output_activation : {"identity", "sigmoid"}, default="identity"
        Activation of the reconstruction. "sigmoid" is for columns in [0, 1].
    loss : {"squared_error", "log_loss"}, default="squared_error"
        Reconstruction error. "log_loss" is the Bernoulli cross-entropy, less the
        entropy of the row so that a perfect reconstruction costs 0; it needs
        ``output_activation="sigmoid"`` and columns in [0, 1], also when scoring,
        as behind ``MinMaxScaler(clip=True)``.
    lam : float, default=0.1
        Weight λ of the penalty, at least 0, which is a plain autoencoder. On
        standardised columns a tied linear network drops the directions whose
        variance is below ``lam / 2``. Code that averages the squared error over
        columns but sums the penalty has a λ that is d times smaller:
        ``lam = d * λ``.
    penalty : {"encoder", "reconstruction"}, default="encoder"
        Whether the Jacobian is that of the code or that of the whole
        reconstruction (Alain & Bengio 2014) [2]_, which takes a smooth
        activation.
    penalty_method : {"auto", "exact", "hutchinson"}, default="auto"
        How training computes the penalty: exactly, by an unbiased estimate from
        one random probe a row and step [3]_, or by whichever is cheaper. See
        ``penalty_method_``.
    tied_weights : bool, default=True
        Whether the decoder's weights are the encoder's, transposed. Untied, an
        encoder may shrink and its decoder grow, which escapes the penalty
        without learning anything: then use ``weight_decay``, or
        ``penalty="reconstruction"``, which no such rescaling can lower.
    noise_std : float or "auto", default="auto"
        Standard deviation of Gaussian noise on the inputs in training, in units
        of the columns: a denoising autoencoder, alone (``lam=0``) or together
        with λ. The Jacobian is then taken at the noisy row. "auto" is 0, or half of the
        columns' root mean square deviation where these are 6 or fewer: so narrow a
        table is copied otherwise.
    masking_fraction : float in [0, 1), default=0.0
        Share of cells, drawn anew at every step, that training hides [4]_: the network
        reads the column's mean, or 0 with ``output_activation="sigmoid"``, and is to
        restore the cell.
    swap_fraction : float in [0, 1], default=0.0
        Share of cells, drawn anew at every step, that training replaces by the same
        column's cell in another row of the batch, at random, so that columns keep their
        distributions. Swaps, masks and noise combine with one another, in this order,
        and with λ. Missing cells are neither swapped nor masked.
    trim_fraction : float in [0, 1), default=0.0
        Share of the training rows to leave out, the farthest from their neighbours: the
        share of anomalies among them, if there are any. It measures the distance to 3 %
        of the rows. So a group of 5 % of them, which may be normal, is kept, and so is
        a group of as many anomalies that are alike. :meth:`partial_fit` keeps all.
    learning_rate_init : float, default=0.001
        Learning rate of Adam. Recovery may lower it, see ``history_``.
    batch_size : int or "auto", default="auto"
        Rows per step; "auto" is a sixteenth of the rows, between 16 and 256.
    max_iter : int, default=100
        Epochs at most. Reaching it is no cause for a warning.
    tol : float, default=1e-5
        The loss has to fall by this share of the loss of the column means to
        count as an improvement.
    n_iter_no_change : int, default=10
        Epochs without an improvement after which training stops, counted once λ
        has warmed up.
    early_stopping : bool, default=False
        Whether to watch the loss on rows set aside, instead of that on the
        training rows, and to end with the weights that were best there.
    validation_fraction : float, default=0.1
        Share of the rows to set aside for early stopping.
    weight_decay : float, default=0
        Decoupled L2 decay of the weights, per step and unit of learning rate.
    max_grad_norm : float or None, default=1
        Norm that gradients are clipped to, where the objective is counted in
        units of the loss of the column means.
    lam_warmup : int, default=5
        Epochs over which λ rises linearly from 0; at most half of ``max_iter``.
        In :meth:`partial_fit` it counts calls.
    warm_start : bool, default=False
        Whether :meth:`fit` starts from the weights of the last fit. ``n_iter_``
        and ``history_`` then go on, and λ does not warm up again.
    allow_nan : bool, default=False
        Whether cells may be missing, which is nan. They reach the network as the
        ``mean_`` of their column. Losses and scores are means over the observed cells,
        so that a row with missing cells compares with one without, and what
        :meth:`inverse_transform` makes of a row's code fills them. A row without any
        value is taken for that of the means.
    score_dtype : {"float64", "float32"}, default="float64"
        What scores are computed in. "float32" takes half of the time; scores then agree
        to about six digits, and may depend on the processor.
    distributed : bool, default=False
        Whether the process is one of the ranks of torch.distributed's default process
        group, and fits on rows of its own. Gradients are averaged over the rows of all
        ranks in every step, and so are the columns' means, the losses that training
        watches and the scores that set the threshold. So all ranks end with the same
        model. ``batch_size`` is that of each rank; "auto" divides that of the whole
        table among them. A rank may have fewer rows, or none.
    checkpoint_folder : str, PathLike or None, default=None
        Where :meth:`fit` saves its state on the way. The same fit (parameters, table
        and ``random_state``, which must be given) then goes on from what it finds, and
        ends with the same bits as one that was never interrupted; one that had ended
        does so at once. Each fit has a file of its own, so that the candidates of a
        search may share a folder. The table is known by its shape, the means of its
        columns and their loss.
    checkpoint_every : int, default=10
        Epochs from one checkpoint to the next.
    contamination : "auto" or float in (0, 0.5], default="auto"
        Share of the training rows to call outliers. "auto" calls what exceeds Tukey's
        upper fence on the logarithms of the training errors; for 30 to 999 rows, on
        those of a third of them, by a second network trained on the others. Of more
        than 2^20 rows, so many set the threshold, one at random of each stretch.
    random_state : int, RandomState instance or None, default=None
        Seeds weights, batches, noise and probes. Global random states are
        neither read nor changed.
    device : str or torch.device, default="cpu"
        Where to compute: "cpu", "cuda", "cuda:1", "mps", or "auto" for the best
        that is there. A fitted model forgets its device: where it is not
        available, the model is used on the CPU.
    verbose : {0, 1, 2}, default=0
        0 for silence; 1 for a bar on the standard error, which takes rich (the extra
        "progress"), or a few lines without it, in a file, and from parallel workers; 2
        for a line an epoch on the standard output. Both say at the end why training
        ended. The time left is that up to ``max_iter``, without the second network of
        ``contamination="auto"``.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, where all are strings.
    mean_ : ndarray of shape (n_features,)
        Means of the training columns, over observed cells.
    n_components_ : int
        Units of the code.
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of all layers, encoder and decoder, in float64.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases of all layers, in float64.
    offset_ : float
        Threshold: a row whose score lies below it is an outlier. It may be assigned
        without a refit; :meth:`partial_fit` then leaves it.
    n_iter_ : int
        Epochs trained.
    converged_ : bool
        Whether :meth:`fit` ended because nothing improved any more, and not at
        ``max_iter`` nor by a callback. False after :meth:`partial_fit`.
    loss_curve_ : list of float
        The objective of each epoch.
    history_ : dict of list of float
        One entry an epoch:

        - "reconstruction": error, mean over rows and columns as the steps met them;
        - "penalty": squared norm of the Jacobian, likewise, divided by the number
          of columns; while λ is 0, of up to 256 rows after the epoch;
        - "lam": λ in this epoch;
        - "loss": reconstruction + lam * penalty;
        - "validation_loss": the same at full λ on the rows set aside, after the
          epoch; nan without early stopping;
        - "grad_norm": mean over steps, before clipping, of the objective in units
          of the loss of the column means;
        - "weight_norm": of all weights, without biases, after the epoch;
        - "learning_rate";
        - "n_iter_no_change": epochs without an improvement so far.
    penalty_method_ : {"closed_form", "exact", "hutchinson"}
        How training computed the penalty. "closed_form" is exact, too, and needs
        no matrix per row: one layer, or two of which the upper is linear.

    See Also
    --------
    skcae.anomaly.AnomalyDetector : Networks and neighbours, to find anomalies.
    sklearn.decomposition.PCA : The linear code of least error.

    Notes
    -----
    Training is done in float32; everything else computes in float64, so that
    scores do not depend on how rows are batched, nor on the number of threads. Networks
    whose matrix products are large enough for several threads use one or all, whichever
    takes less time, and may differ in the last bits from fit to fit;
    ``torch.set_num_threads(1)`` rules that out.

    Divergence is undone: an epoch whose loss is not finite, or explodes, is tried
    again with a tenth of the learning rate; one that ends worse than the column
    means halves it. What cannot be undone raises an error that says what to change, and
    leaves an earlier fit as it was. A model that ends no better than the column means
    comes with a ``ConvergenceWarning``.

    With scikit-learn 1.9 or later, ``set_callbacks`` attaches callbacks of
    :mod:`sklearn.callback`; earlier versions have no such method. Each epoch is a task.
    Training stops after one whose ``on_fit_task_end`` returns true. Callbacks are given
    the training rows, as ``X`` and also as ``y``, and as ``fitted_estimator`` a model
    with the weights of the epoch, whose threshold takes no second network. To save a
    model by skops, take its callbacks off by ``model.set_callbacks()``: whoever loads
    it would have to trust their types as well.

    References
    ----------
    .. [1] Rifai, S., Vincent, P., Muller, X., Glorot, X., Bengio, Y. (2011).
       Contractive auto-encoders: explicit invariance during feature extraction.
       ICML.
    .. [2] Alain, G., Bengio, Y. (2014). What regularized auto-encoders learn from
       the data-generating distribution. JMLR 15.
    .. [3] Hutchinson, M. F. (1989). A stochastic estimator of the trace of the
       influence matrix for Laplacian smoothing splines. Communications in
       Statistics 18 (3).
    .. [4] Vincent, P., Larochelle, H., Lajoie, I., Bengio, Y., Manzagol, P.-A. (2010).
       Stacked denoising autoencoders: learning useful representations in a deep
       network with a local denoising criterion. JMLR 11.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skcae import ContractiveAutoencoder
    >>> X, _ = load_wine(return_X_y=True)
    >>> model = make_pipeline(
    ...     StandardScaler(),
    ...     ContractiveAutoencoder(n_components=8, max_iter=20, random_state=0),
    ... ).fit(X)
    >>> model.transform(X).shape
    (178, 8)
    >>> model.score_samples(X).shape
    (178,)
    """

    # scikit-learn sets these, where no checker sees it
    n_features_in_: int
    feature_names_in_: np.ndarray
    _recent_scores: np.ndarray

    def __init__(
        self,
        n_components: int | Literal["auto"] = "auto",
        *,
        hidden_layer_sizes: Sequence[int] = (256,),
        activation: Activation = "relu",
        code_activation: Activation | None = None,
        decoder_activation: Activation | None = None,
        output_activation: Literal["identity", "sigmoid"] = "identity",
        loss: Literal["squared_error", "log_loss"] = "squared_error",
        lam: float = 0.1,
        penalty: Literal["encoder", "reconstruction"] = "encoder",
        penalty_method: Literal["auto", "exact", "hutchinson"] = "auto",
        tied_weights: bool = True,
        noise_std: float | Literal["auto"] = "auto",
        masking_fraction: float = 0.0,
        swap_fraction: float = 0.0,
        trim_fraction: float = 0.0,
        learning_rate_init: float = 0.001,
        batch_size: int | Literal["auto"] = "auto",
        max_iter: int = 100,
        tol: float = 1e-5,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        weight_decay: float = 0.0,
        max_grad_norm: float | None = 1.0,
        lam_warmup: int = 5,
        warm_start: bool = False,
        allow_nan: bool = False,
        score_dtype: Literal["float64", "float32"] = "float64",
        distributed: bool = False,
        checkpoint_folder: str | PathLike | None = None,
        checkpoint_every: int = 10,
        contamination: float | Literal["auto"] = "auto",
        random_state: Seed = None,
        device: str | torch.device = "cpu",
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.code_activation = code_activation
        self.decoder_activation = decoder_activation
        self.output_activation = output_activation
        self.loss = loss
        self.lam = lam
        self.penalty = penalty
        self.penalty_method = penalty_method
        self.tied_weights = tied_weights
        self.noise_std = noise_std
        self.masking_fraction = masking_fraction
        self.swap_fraction = swap_fraction
        self.trim_fraction = trim_fraction
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.lam_warmup = lam_warmup
        self.warm_start = warm_start
        self.allow_nan = allow_nan
        self.score_dtype = score_dtype
        self.distributed = distributed
        self.checkpoint_folder = checkpoint_folder
        self.checkpoint_every = checkpoint_every
        self.contamination = contamination
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    # Fitting

    # the outer one, or what callbacks have opened would not be closed after an error
    @_checks.unchanged_on_error
    @with_callbacks
    def fit(self, X: Table, y: Any = None) -> Self:
        """Train the autoencoder and set the threshold for outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            At least two rows; finite; in [0, 1] for ``loss="log_loss"``. No column may
            be missing altogether.
        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : ContractiveAutoencoder
            Fitted.

        Raises
        ------
        ValueError
            If a parameter or the data are not as described, or if training
            diverges at every learning rate that was tried. An earlier fit is
            left as it was.
        """
        _checks.check_parameters(self)
        team = self._ranks()
        with team.agreeing():
            warm = self.warm_start and self.__sklearn_is_fitted__()
            everything = self._check_training_rows(X, reset=not warm, fewest=2)
            X = untrimmed(everything, self.trim_fraction)
            self._check_observed(X, every_column=True)

        def attributes(fitted):
            model = copy.copy(self)
            model._keep(fitted, goes_on=warm)
            model._set_threshold(everything, X)
            return vars(model)

        task = FitTask(self, X, self.max_iter)
        with self._advised(X), progress(self, silent=team.rank > 0) as reports:
            fitted = _fit.fit(
                X,
                self,
                self._checkpoint if warm else None,
                task.epochs(attributes) + reports,
                ranks=team,
            )
        self._keep(fitted, goes_on=warm)
        unseen = None
        if self.contamination == "auto" and not warm:
            unseen = _fit.unseen_scores(X, self, team)
        scores = self._set_threshold(everything, X, unseen, team)
        task.end()
        _advice.judge(
            -scores.mean(),
            fitted.checkpoint.baseline_loss,
            fitted.varies,
            self._cure(X),
        )
        return self

    @_checks.unchanged_on_error
    def partial_fit(self, X: Table, y: Any = None) -> Self:
        """Train for one pass over the rows, from where the last call ended.

        The optimiser and the random state go on, and each call is one epoch of
        λ's warm-up. The threshold follows the scores of the last 2000 rows, or of all
        rows of this call if they are more, unless ``offset_`` was assigned since the
        last fit. ``max_iter``, ``tol``, ``early_stopping``, ``verbose`` and callbacks
        play no part.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            As in :meth:`fit`, with the features of the first call.
        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : ContractiveAutoencoder
            Fitted.

        Raises
        ------
        ValueError
            As in :meth:`fit`.
        """
        goes_on = self.__sklearn_is_fitted__()
        _checks.check_parameters(self)
        team = self._ranks()
        with team.agreeing():
            X = self._check_training_rows(X, reset=not goes_on)
            self._check_observed(X, every_column=not goes_on)
        checkpoint = self._checkpoint if goes_on else None
        with self._advised(X):
            fitted = _fit.update(X, self, checkpoint, ranks=team)
        assigned = goes_on and self._offset_is_assigned()
        recent = self._recent_scores if goes_on else np.empty(0)
        self._keep(fitted, goes_on)
        scores = self._score_some(X, team)
        n_kept = max(_REMEMBERED_SCORES, len(scores))
        self._recent_scores = np.concatenate([recent, scores])[-n_kept:]
        if not assigned:
            # a stream's rows are too new to be learnt by heart
            self._set_offset(
                auto_offset(self._recent_scores)
                if self.contamination == "auto"
                else quantile_offset(self._recent_scores, self.contamination)
            )
        return self

    def _ranks(self):
        return ranks(self.distributed, _checks.resolve_device(self.device))

    def _check_training_rows(self, X, *, reset, fewest=1):
        fewest = 0 if self.distributed else fewest
        X = self._validated(X, reset=reset, ensure_min_samples=fewest)
        _checks.check_columns(X, self.loss, self._names())
        return X

    def _check_observed(self, X, every_column):
        if self.allow_nan and X.shape[0] > 0:  # a rank may have no rows
            _checks.check_observed(X, self._names(), every_column=every_column)

    def _cure(self, X):
        return partial(_advice.cure, X, self, self._names())

    @contextmanager
    def _advised(self, X):
        """Say what to change where training diverges."""
        try:
            yield
        except TrainingDivergedError as error:
            raise ValueError(
                f"Training diverged in epoch {error.epoch}: the {error.term} exploded "
                "at every learning rate that was tried, from learning_rate_init down. "
                + self._cure(X)(error.term)
            ) from error

    def _keep(self, fitted, goes_on):
        history = fitted.history
        if goes_on:
            history = {name: self.history_[name] + history[name] for name in history}
        self.history_ = history
        self.n_iter_ = fitted.checkpoint.epochs
        self.n_components_ = fitted.checkpoint.sizes[-1]
        self.penalty_method_ = fitted.penalty_method
        self.converged_ = fitted.converged
        self._checkpoint = fitted.checkpoint

    def _set_threshold(self, everything, X, unseen=None, team=ALONE):
        """Set it from everything, or from the rows X that were trained on.

        Return the scores of X, or of some of very many rows.
        """
        scores = self._score_some(X, team)
        if self.contamination == "auto":
            kept = min(self.n_components_, X.shape[1])
            self._set_offset(auto_offset(scores, kept, unseen))
        else:
            of_all = scores if X is everything else self._score_some(everything, team)
            self._set_offset(quantile_offset(of_all, self.contamination))
        self._recent_scores = scores[-_REMEMBERED_SCORES:]
        return scores

    def _set_offset(self, offset):
        # tells whether the threshold was assigned since
        self.offset_ = self._computed_offset = offset

    def _offset_is_assigned(self):
        pair = self.offset_, self._computed_offset
        # nan, of set_weights, differs from itself
        return pair[0] != pair[1] and any(offset == offset for offset in pair)

    # Using the fitted network

    def transform(self, X: Table) -> Table:
        """Encode rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            In the floating type of ``X``; inf or nan beyond the range of numbers.
        """
        X = self._check_rows(X)
        return self._map(X, self._checkpoint.encode, dtype=X.dtype)

    def inverse_transform(self, X: Table) -> np.ndarray:
        """Decode codes into rows.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_components)
            Codes, as :meth:`transform` returns them.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            In the floating type of ``X``; inf or nan beyond the range of numbers.
        """
        check_is_fitted(self)
        _checks.check_in_memory(X)
        with _checks.reading():
            codes = check_array(X, dtype=_dtypes(X), input_name="X")
        if codes.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but the codes of this "
                f"ContractiveAutoencoder have {self.n_components_}."
            )
        return self._map(codes, Network.decode, dtype=codes.dtype)

    def score_samples(self, X: Table) -> np.ndarray:
        """Score rows by minus their reconstruction error; higher is more normal.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the mean over observed columns of the squared error (in squared
            units of the columns) or, for ``loss="log_loss"``, of the cross-entropy
            less the entropy of the row (in nats).
        """
        return self._score_rows(self._check_rows_to_score(X))

    def decision_function(self, X: Table) -> np.ndarray:
        """Score rows relative to the threshold: ``score_samples(X) - offset_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            Negative for outliers.
        """
        scores = self.score_samples(X)
        if self.offset_ != self.offset_ and not self._offset_is_assigned():
            raise ValueError(
                "There is no threshold: set_weights was given no rows to set it from. "
                "Give it X, or assign offset_."
            )
        _checks.check_number("offset_", self.offset_)
        return np.subtract(scores, self.offset_, out=scores)

    def predict(self, X: Table) -> np.ndarray:
        """Label rows as inliers or outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            1 for inliers, -1 for outliers.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def score(self, X: Table, y: Any = None) -> float:
        """Average :meth:`score_samples` over rows: free of λ, so candidates compare.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : Ignored
            Present for API consistency.

        Returns
        -------
        score : float
            Minus the mean reconstruction error.
        """
        return float(self.score_samples(X).mean())

    def feature_errors(self, X: Table) -> np.ndarray:
        """Reconstruction error of each cell.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        errors : ndarray of shape (n_samples, n_features)
            Their mean over columns is ``-score_samples(X)``; nan where a cell is
            missing.
        """
        return self._map(self._check_rows_to_score(X), self._checkpoint.cell_losses)

    def jacobian(self, X: Table) -> np.ndarray:
        """Jacobian of the encoder at each row, exact for every network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        jacobians : ndarray of shape (n_samples, n_components, n_features)
            Change of each unit of the code by change of each column; may be nan where
            the code is beyond the range of numbers.
        """
        return self._map_encoder(X, penalties.jacobian, for_every_unit=True)

    def contraction(self, X: Table) -> np.ndarray:
        r"""Squared Frobenius norm of the encoder's Jacobian, exact.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        norms : ndarray of shape (n_samples,)
            :math:`\|J(x)\|_F^2`, what the penalty of Rifai et al. (2011)
            averages; smaller is more contractive. May be nan where the code is beyond
            the range of numbers.
        """
        return self._map_encoder(X, penalties.squared_norms)

    def to_module(self) -> AutoencoderModule:
        """Copy the network into a :class:`torch.nn.Module`, to train it further.

        Returns
        -------
        module : torch.nn.Module
            With submodules ``encoder`` and ``decoder``, in float32 on the CPU;
            calling it reconstructs. Tied weights stay tied. :meth:`set_weights` takes
            it back.
        """
        check_is_fitted(self)
        return to_module(self._checkpoint)

    @_checks.unchanged_on_error
    def set_weights(self, module: AutoencoderModule, X: Table = None) -> Self:
        """Take back the weights of a module that was trained further.

        Parameters
        ----------
        module : AutoencoderModule
            What :meth:`to_module` of this model gave, on any device and in any floating
            type. Its values are copied, and rounded to float32.
        X : {array-like, DataFrame} of shape (n_samples, n_features), default=None
            Rows that it was trained on, to set the threshold from. None leaves a model
            without a threshold, whose ``offset_`` is nan and that refuses to
            :meth:`predict`, unless ``offset_`` was assigned: then it stays.

        Returns
        -------
        self : ContractiveAutoencoder
            Its codes and scores are the module's. ``history_``, ``n_iter_`` and
            ``converged_`` still tell of :meth:`fit`. :meth:`partial_fit` and a warm
            start go on from these weights, with a new optimiser.

        Raises
        ------
        ValueError
            If the module has other layers than this model, tied weights that were
            untied, or parameters that are not finite. The model is then left as it was.
        """
        check_is_fitted(self)
        if X is not None:
            X = self._check_rows(X)
            _checks.check_columns(X, self._checkpoint.loss, self._names())
        self._checkpoint = from_module(module, self._checkpoint)
        self._recent_scores = np.empty(0)
        if X is not None:
            self._set_threshold(X, X)
        elif not self._offset_is_assigned():
            self._set_offset(np.nan)
        return self

    def _score_rows(self, X):
        _checks.check_parameter("score_dtype", self.score_dtype)
        dtype = getattr(torch, self.score_dtype)
        return self._checkpoint.scores(readable(X), self._inference_device(), dtype)

    def _score_some(self, X, team):
        """Scores of the rows of all ranks, or of a share of very many."""
        (n_samples,) = team.totals(X.shape[0])
        if n_samples > _MOST_SCORES:
            n_rows = math.ceil(X.shape[0] * _MOST_SCORES / n_samples)
            X = SomeRows(readable(X), n_rows)
        return team.joined(self._score_rows(X))

    def _map_encoder(self, X, function, for_every_unit=False):
        X = self._check_rows(X)

        def on_encoder(network, rows):
            rows = self._checkpoint.filled(rows)
            return function(network.forward(rows)[: network.depth])

        copies = self.n_components_ if for_every_unit else 1
        return self._map(X, on_encoder, copies)

    def _map(self, X, function, copies=1, dtype=np.float64):
        device = self._inference_device()
        return self._checkpoint.map(function, readable(X), device, copies, dtype)

    def _inference_device(self):
        return _fit.inference_device(self.device)

    # Data in, names out

    def _check_rows(self, X):
        check_is_fitted(self)
        return self._validated(X, reset=False)

    def _validated(self, X, **keywords):
        _checks.check_in_memory(X)
        with _checks.reading():
            return validate_data(
                self,
                X,
                accept_sparse="csr",
                dtype=_dtypes(X),
                ensure_all_finite="allow-nan" if self.allow_nan else True,
                **keywords,
            )

    def _check_rows_to_score(self, X):
        X = self._check_rows(X)
        _checks.check_range(X, self._checkpoint.loss, self._names())
        return X

    def _names(self):
        return getattr(self, "feature_names_in_", None)

    @property
    def loss_curve_(self) -> list[float]:
        """List of float: the objective of each epoch."""
        check_is_fitted(self)
        return self.history_["loss"]

    @property
    def mean_(self) -> np.ndarray:
        """Ndarray of shape (n_features,): what a missing cell is taken for."""
        check_is_fitted(self)
        return self._checkpoint.means.copy()

    @property
    def coefs_(self) -> list[np.ndarray]:
        """List of ndarray of shape (n_in, n_out): weights of each layer."""
        check_is_fitted(self)
        network = self._checkpoint.network_on_rows(_CPU)
        return [weight.T.numpy() for weight in network.weights]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """List of ndarray of shape (n_out,): biases of each layer."""
        check_is_fitted(self)
        return [bias.numpy() for bias in self._checkpoint.network_on_rows(_CPU).biases]

    @property
    def _n_features_out(self):
        return self.n_components_

    def __sklearn_is_fitted__(self):
        return "offset_" in vars(self)

    def __getstate__(self):
        state = super().__getstate__()
        if "_checkpoint" in state:
            state = state | {"_checkpoint": self._checkpoint.to_state()}
        return state

    def __setstate__(self, state):
        state = _LATER_PARAMETERS | state
        if "_checkpoint" in state:
            checkpoint = Checkpoint.from_state(state["_checkpoint"])
            state = state | {"_checkpoint": checkpoint}
        super().__setstate__(state)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = bool(self.allow_nan)
        return tags


def _dtypes(X):
    """Types that a table may keep: scikit-learn would widen frames but for pandas'."""
    types = getattr(getattr(X, "schema", None), "types", getattr(X, "dtypes", ()))
    names = {str(type_) for type_ in types} if np.iterable(types) else set()
    is_single = len(names) > 0 and names <= {"Float32", "float", "float[pyarrow]"}
    return np.float32 if is_single else _DTYPES
