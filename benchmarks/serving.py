"""How long a request to a web server takes that scores rows by a model.

A real server, gunicorn with forked workers of two threads each, keeps three models of
one table: ContractiveAutoencoder, AnomalyDetector, and MLPRegressor as an autoencoder.
Four clients on the loopback ask each of them in turn, over connections that stay open,
to score one row; all answers are compared with the model's own scores.

    python -m benchmarks.serving                10,000 requests of each model, minutes
    python -m benchmarks.serving --quick        1000
    python -m benchmarks.serving --out F.json   the latencies, too

It needs gunicorn (the extra "serve"), which runs on Linux and macOS.
"""

import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import joblib
import numpy as np
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._report import parser, setting, table, write
from skcae import ContractiveAutoencoder
from skcae.anomaly import AnomalyDetector

ROOT = Path(__file__).parents[1]
_PATIENCE = 60  # seconds, for the server to start, to answer or to end


def scores(model, X):
    """Score rows by a Pipeline, one that ends in a regressor by minus its error."""
    if hasattr(model, "score_samples"):
        return model.score_samples(X)
    rows = model[:-1].transform(X)
    return -np.mean((rows - model[-1].predict(rows)) ** 2, axis=1)


def application(path):
    """WSGI application of the models in a file, each at its name's address."""
    models = joblib.load(path)

    def answer(environ, start_response):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        model = models[environ["PATH_INFO"].strip("/")]
        content = json.dumps(scores(model, np.array(json.loads(body))).tolist())
        start_response("200 OK", [("Content-Type", "application/json")])
        return [content.encode()]

    return answer


@contextmanager
def server(path, n_workers=2, n_threads=2):
    """Serve the models in a file; give the port on the loopback."""
    command = [sys.executable, "-m", "gunicorn", "--preload", "--no-control-socket"]
    command += ["--workers", str(n_workers), "--threads", str(n_threads)]
    command += ["--keep-alive", str(_PATIENCE)]
    command += [f"benchmarks.serving:application({str(path)!r})", "--bind"]
    with tempfile.TemporaryFile("w+") as log:
        # inherited: clients that come before the server is ready wait for it
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
            port, inherited = listener.getsockname()[1], listener.fileno()
            process = subprocess.Popen(
                [*command, f"fd://{inherited}"],
                cwd=ROOT,
                pass_fds=[inherited],
                stdout=log,
                stderr=log,
            )
        try:
            yield port
        except Exception as error:
            log.seek(0)
            raise RuntimeError(f"The server says: {log.read()}") from error
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def ask(port, requests):
    """Send requests one after another, over one connection.

    Parameters
    ----------
    port : int
    requests : list of tuples
        Name of a model, and rows to score.

    Returns
    -------
    seconds : list of float
        What each took.
    scores : list of list of float
        What each was answered.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    seconds, answers = [], []
    with closing(connection):
        for name, rows in requests:
            start = time.perf_counter()
            connection.request("POST", f"/{name}", json.dumps(rows.tolist()))
            response = connection.getresponse()
            content = response.read()
            seconds.append(time.perf_counter() - start)
            if response.status != 200:
                raise RuntimeError(f"{response.status}: {content.decode()}")
            answers.append(json.loads(content))
    return seconds, answers


def fitted():
    """The models, each behind a scaler, by the names of their addresses."""
    X = table(2000, 20, np.float64)
    models = {
        "ContractiveAutoencoder": ContractiveAutoencoder(max_iter=20, random_state=0),
        "AnomalyDetector": AnomalyDetector(random_state=0),
        # the widths of the default ContractiveAutoencoder
        "MLPRegressor": MLPRegressor(
            hidden_layer_sizes=(256, 32, 256), max_iter=20, random_state=0
        ),
    }
    targets = StandardScaler().fit_transform(X)
    return {
        name: make_pipeline(StandardScaler(), model).fit(X, targets)
        for name, model in models.items()
    }


def latencies(models, n_requests, n_clients=4):
    """Serve models, and let clients ask each model in turn.

    Parameters
    ----------
    models : dict of fitted models
    n_requests : int
        Of each model, all clients together, of one row each.
    n_clients : int, default=4

    Returns
    -------
    dict of ndarray of shape (n_requests,)
        Seconds of each request, by model.
    """
    X = table(n_requests, 20, np.float64)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "models.joblib")
        joblib.dump(models, path)
        with server(path) as port, ThreadPoolExecutor(n_clients) as pool:
            # the first of each waits for the server, and does not count
            ask(port, [(name, X[:1]) for name in models])
            parts = np.array_split(X, n_clients)
            requests = [
                [(n, row[None]) for row in part for n in models] for part in parts
            ]
            results = [*pool.map(partial(ask, port), requests)]
    seconds, answers = (
        np.concatenate([np.reshape(each[i], (-1, len(models))) for each in results])
        for i in (0, 1)
    )
    for column, model in zip(answers.T, models.values(), strict=True):
        np.testing.assert_allclose(column, scores(model, X), rtol=1e-9)
    return dict(zip(models, seconds.T, strict=True))


def main():
    """Print percentiles of the latencies."""
    arguments = parser(__doc__)
    arguments.add_argument("--quick", action="store_true")
    options = arguments.parse_args()
    conditions = setting()
    rows = []
    n_requests = 1000 if options.quick else 10_000
    for name, seconds in latencies(fitted(), n_requests).items():
        half, most = np.percentile(1000 * seconds, [50, 99])
        print(f"{name:23} {half:6.2f} ms, 99th percentile {most:6.2f} ms", flush=True)
        rows.append({"model": name, "seconds": seconds.tolist()})
    write(options.out, conditions, rows)


if __name__ == "__main__":
    main()
