"""Ranks of torch.distributed that fit one model, in processes of their own."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skcae import ContractiveAutoencoder

# on one worker, whose fixture they share
pytestmark = pytest.mark.xdist_group("ranks")

RANKS = Path(__file__).with_name("ranks.py")
AGREED = [
    "even",
    "stopped early",
    "noisy",
    "exploding",
    "small",
    "automatic batches",
    "fewer rows on rank 0",
    "fewer rows on rank 1",
    "no rows on rank 0",
    "no rows on rank 1",
    "partial",
    "missing",
]


ENVIRONMENT = os.environ | {
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(RANKS.parents[1]),
    # or restarted ranks may be told the addresses of those that are gone
    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
}


def run(job, folder, *, restarts=0):
    """Let torchrun start two ranks that do a job."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += ["--nproc-per-node", "2", "--max-restarts", str(restarts)]
    process = subprocess.run(
        [*launcher, str(RANKS), job, str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        env=ENVIRONMENT,
    )
    assert process.returncode == 0, process.stderr


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What both ranks found in the fits that end."""
    folder = tmp_path_factory.mktemp("ranks")
    run("healthy", folder)
    return [dict(np.load(folder / f"{rank}.npz")) for rank in range(2)]


@pytest.mark.parametrize("name", AGREED)
def test_ranks_end_with_the_same_model(found, name):
    np.testing.assert_array_equal(found[0][name], found[1][name])


@pytest.mark.parametrize("name", ["even", "missing"])
def test_two_ranks_are_one_process_with_batches_twice_as_large(found, name):
    np.testing.assert_allclose(
        found[0][name], found[0][f"one, {name}"], rtol=1e-5, atol=2e-6
    )


def test_the_threshold_of_a_small_table_is_that_of_one_process(found):
    # its second network is trained alone, on other batches than the test's
    fences = np.array([found[0]["small"], found[0]["one, small"]])
    np.testing.assert_allclose(fences[0], fences[1], rtol=0.5, atol=1e-5)


def test_recovery_is_shared(found):
    assert not np.array_equal(found[0]["exploding"], found[0]["even"])
    assert np.isfinite(found[0]["exploding"]).sum() > 100


def test_what_one_rank_refuses_the_others_learn_of(found):
    assert "Rank 1 cannot take part: its own error" in str(found[0]["refusal"])
    assert "Input X contains NaN" in str(found[1]["refusal"])


def test_ranks_must_have_the_same_columns(found):
    for rank in range(2):
        assert "8 columns on some ranks and 7 on others" in str(
            found[rank]["other width"]
        )


@pytest.mark.parametrize(
    "signal", ["SIGKILL", pytest.param("SIGSTOP", marks=pytest.mark.slow)]
)
def test_a_dead_or_hung_rank_ends_the_others(tmp_path, signal):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    group = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    ranks = [
        subprocess.Popen(
            [sys.executable, str(RANKS), signal, str(tmp_path)],
            env=ENVIRONMENT | group | {"RANK": str(rank)},
        )
        for rank in range(2)
    ]
    try:
        # the group's own timeout is 20 seconds for the hung one
        assert ranks[0].wait(timeout=120) == 0
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
    fitted, error = (tmp_path / "0.txt").read_text().split(maxsplit=1)
    assert fitted == "False" and error


@pytest.mark.slow
def test_a_restarted_group_goes_on_from_its_checkpoint(tmp_path):
    run("restarted", tmp_path, restarts=1)
    for rank in range(2):
        found = np.load(tmp_path / f"{rank}.npz")
        assert found["restarts"] == 1
        assert found["n_trained"] == 4  # 6 of 10 epochs were kept
        np.testing.assert_array_equal(found["resumed"], found["whole"])


def test_without_a_group_there_is_an_error():
    model = ContractiveAutoencoder(distributed=True)
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match="init_process_group"):
            method(np.eye(4))


def test_ranks_cannot_trim():
    with pytest.raises(ValueError, match="trim_fraction must be 0 with distributed"):
        ContractiveAutoencoder(distributed=True, trim_fraction=0.1).fit(np.eye(4))
