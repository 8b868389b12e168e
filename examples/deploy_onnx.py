"""
Deploy a model as one ONNX file
===============================

A model that is trained with scikit-learn and torch need not run with them. This example
trains a detector on a table that scikit-learn ships and exports the whole Pipeline as
one ONNX file. It then scores new rows in a process that can import neither
scikit-learn nor torch.
"""

# %%
# Train
# -----
# The rows for training are benign.
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae.anomaly import AnomalyDetector
from skcae.export import to_onnx

X, y = load_breast_cancer(return_X_y=True)
train, unseen = train_test_split(X[y == 1], test_size=0.25, random_state=0)
new = np.concatenate([unseen, X[y == 0]]).astype(np.float32)
model = make_pipeline(StandardScaler(), AnomalyDetector(random_state=0)).fit(train)

# %%
# Export
# ------
# ``to_onnx`` checks the graph: it must score these rows as the model does. Beside the
# file it writes the file's SHA-256, since an ONNX file has no checksum of its own.
folder = Path(tempfile.mkdtemp())
to_onnx(model, train, folder / "detector.onnx")
np.save(folder / "new.npy", new)
print(*(f"{path.name}: {path.stat().st_size:,} bytes" for path in folder.iterdir()))

# %%
# Score elsewhere
# ---------------
# This script is all that the other machine needs, besides onnxruntime and numpy. Its
# first lines, which block the other libraries, are here to prove that.
(folder / "score.py").write_text("""
import sys

for library in ("sklearn", "scipy", "pandas", "torch", "skcae"):
    sys.modules[library] = None

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime

content = Path("detector.onnx").read_bytes()
digest = Path("detector.onnx.sha256").read_text().split()[0]
if hashlib.sha256(content).hexdigest() != digest:
    sys.exit("detector.onnx is damaged")
session = onnxruntime.InferenceSession(content)
scores, labels = session.run(["score", "label"], {"X": np.load("new.npy")})
np.savez("results.npz", scores=scores, labels=labels)
""")
subprocess.run([sys.executable, "score.py"], cwd=folder, check=True)

# %%
# Compare
# -------
# The graph reads and writes float32, and computes in double precision between.
with np.load(folder / "results.npz") as results:
    expected = model.score_samples(new.astype(np.float64))
    difference = np.abs(results["scores"] / expected - 1).max()
    is_same = np.array_equal(results["labels"], model.predict(new.astype(np.float64)))
    print(f"Largest relative difference of the scores: {difference:.0e}")
    print(f"Labels are the same: {is_same}")
