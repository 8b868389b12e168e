"""
Serve a model on the web
========================

A model answers requests for scores behind gunicorn, a web server that runs on Linux and
macOS. Two processes share the model, which is loaded before they are forked, and two
threads of each answer at a time.
"""

# %%
# Train and keep
# --------------
# As in any other deployment, the file is for a machine that trusts it.
import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae.anomaly import AnomalyDetector

X, y = load_breast_cancer(return_X_y=True)
model = make_pipeline(StandardScaler(), AnomalyDetector(random_state=0)).fit(X[y == 1])
folder = Path(tempfile.mkdtemp())
joblib.dump(model, folder / "model.joblib")

# %%
# The application
# ---------------
# A request is a list of rows, in JSON, and the answer is the list of their scores. What
# is no such list gets an error that says why, and leaves the server as it was.
(folder / "app.py").write_text("""
import json

import joblib

model = joblib.load("model.joblib")


def application(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    try:
        rows = json.loads(environ["wsgi.input"].read(length))
        status, answer = "200 OK", model.score_samples(rows).tolist()
    except (TypeError, ValueError) as error:
        status, answer = "400 Bad Request", str(error)
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
""")

# %%
# Start it
# --------
# In a shell: ``gunicorn --preload --workers 2 --threads 2 app:application``. Here it
# takes a socket that is open already, so that the first client can wait for it.
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
command = (
    "-m gunicorn --preload --workers 2 --threads 2 app:application --keep-alive 60 "
)
command += f"--no-control-socket --log-level error --bind fd://{listener.fileno()}"
server = subprocess.Popen(
    [sys.executable, *command.split()], cwd=folder, pass_fds=[listener.fileno()]
)
listener.close()

# %%
# Ask it
# ------
# Four clients ask for the scores of a hundred rows each, one after another.


def ask(rows):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    answers, seconds = [], []
    for row in rows:
        start = time.perf_counter()
        connection.request("POST", "/", json.dumps([row.tolist()]))
        response = connection.getresponse()
        answers.append((response.status, json.load(response)))
        seconds.append(time.perf_counter() - start)
    connection.close()
    return answers, seconds


try:
    ask(X[:1])  # when it answers, the server is there
    with ThreadPoolExecutor(4) as clients:
        results = [*clients.map(ask, np.split(X[:400], 4))]
    ((status, reason),), _ = ask([np.array([1.0])])
finally:
    server.terminate()
    server.wait()

scores = [answer for answers, _ in results for _, (answer,) in answers]
print("Scores are the model's own:", np.allclose(scores, model.score_samples(X[:400])))
seconds = [each for _, part in results for each in part]
print(f"Median of the time of a request: {1000 * statistics.median(seconds):.1f} ms")
print(f"A row of one column: {status}, {reason}")
