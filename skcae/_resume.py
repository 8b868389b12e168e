"""A fit that is saved on the way, and gone on with after its process was killed."""

import hashlib
import io
import os
from pathlib import Path

import numpy as np

from skcae._core.training import Watcher

# Raise it when an entry comes, goes or changes its meaning.
FORMAT = 1
_DIGEST_BYTES = hashlib.sha256().digest_size
# Parameters that do not change how the network is trained.
_FREE = {
    "checkpoint_folder",
    "checkpoint_every",
    "contamination",
    "score_dtype",
    "verbose",
}


class Saver(Watcher):
    """Keeps a training's latest state in a file, which has the name of the fit.

    A fit is known by its parameters, its table and its seed. So several may share a
    folder, and one that has ended is gone on with from its end.

    Parameters
    ----------
    parameters : ContractiveAutoencoder
    beginning : list of ndarray
        What else the fit is known by.
    trainer : Trainer
    ranks : Alone
        The first one writes.
    """

    def __init__(self, parameters, beginning, trainer, ranks):
        settings = {
            name: str(value)
            for name, value in parameters.get_params(deep=False).items()
            # whatever random_state is, the seed was drawn from it
            if name not in _FREE | {"random_state"}
        }
        identity = hashlib.sha256(f"{ranks.size} {sorted(settings.items())}".encode())
        for array in beginning:
            identity.update(array.tobytes())
        self._identity = identity.hexdigest()
        name = f"fit-{self._identity[:16]}.checkpoint"
        self.path = Path(parameters.checkpoint_folder, name)
        self._every = parameters.checkpoint_every
        self._trainer, self._ranks = trainer, ranks

    def latest(self):
        """The state that was saved last, or None.

        Raises
        ------
        ValueError
            If the file is not whole, or of another fit or format.
        """
        content = b""
        if self._ranks.rank == 0 and self.path.exists():
            content = self.path.read_bytes()
        content = self._ranks.joined(np.frombuffer(content, np.uint8).copy()).tobytes()
        if not content:
            return None
        digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != digest:
            raise ValueError(
                f"{self.path} is damaged: delete it to train from the start."
            )
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            state = dict(file)
        found = int(state.pop("format"))
        if found != FORMAT:
            raise ValueError(
                f"{self.path} has format {found}, but this version of skcae reads "
                f"format {FORMAT}: go on with the version that wrote it, or delete it."
            )
        if str(state.pop("identity")) != self._identity:
            raise ValueError(
                f"{self.path} is of a fit with other parameters or another table: "
                "delete it, or give checkpoint_folder another folder."
            )
        return state

    def end_epoch(self, history):
        """Save, once in so many epochs."""
        if len(history["loss"]) % self._every == 0:
            self._save()
        return False

    def finish(self, reason):
        """Save the end, from which the same fit is gone on with at once."""
        # what a callback has stopped may go on without it
        if reason != "callback":
            self._save()

    def _save(self):
        state = self._trainer.state
        if self._ranks.rank > 0:
            return
        content = io.BytesIO()
        np.savez(content, format=FORMAT, identity=self._identity, **state)
        content = content.getvalue()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".draft")
        draft.write_bytes(hashlib.sha256(content).digest() + content)
        # whoever reads sees the old file or the new one, whole
        os.replace(draft, self.path)
