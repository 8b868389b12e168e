"""The random part of a step: noise on the inputs and signs for the probes."""

import functools

import torch

# Signs that are drawn at once, at most, unless one step wants more.
_AHEAD = 2**16


class Noise:
    """A stream of random numbers.

    Parameters
    ----------
    seed : int
    device : torch.device
    """

    def __init__(self, seed, device):
        self._generator = torch.Generator(device).manual_seed(seed)
        self._signs = torch.empty(0, dtype=torch.float32, device=device)
        self._n_used = 0
        self._before_signs = self._generator.get_state()

    @property
    def state(self):
        """Where the stream is: a dict of tensors, on the CPU."""
        signs = torch.tensor([len(self._signs), self._n_used], device="cpu")
        return {
            "noise": self._generator.get_state(),
            "before_signs": self._before_signs,
            "signs": signs,
        }

    def restore(self, state):
        """Go on from a state."""
        n_signs, self._n_used = state["signs"].tolist()
        if n_signs:
            self._generator.set_state(state["before_signs"])
            self._signs = self._draw(n_signs, self._signs)
        self._generator.set_state(state["noise"])

    def added_to(self, rows, std):
        """Copy of the rows with Gaussian noise."""
        noise = torch.empty_like(rows).normal_(0, std, generator=self._generator)
        return noise.add_(rows)

    def signs_like(self, tensor):
        """Independent entries of -1 or 1, shaped as the tensor.

        To draw for one small step takes as long as two of its matrix products,
        so every draw is twice as large as the one before it.
        """
        start, end = self._n_used, self._n_used + tensor.numel()
        if end > len(self._signs):
            start, end = 0, tensor.numel()
            n_signs = max(end, min(2 * len(self._signs), _AHEAD))
            self._signs = self._draw(n_signs, tensor)
        self._n_used = end
        return self._signs[start:end].view(tensor.shape)

    def _draw(self, n_signs, like):
        self._before_signs = self._generator.get_state()
        bytes_ = torch.randint(
            256,
            (-(-n_signs // 8),),
            generator=self._generator,
            dtype=torch.int64,
            device=like.device,
        )
        table = _signs_of_bytes(like.dtype, like.device)
        return table.index_select(0, bytes_).view(-1)


@functools.cache
def _signs_of_bytes(dtype, device):
    """Eight signs for each byte: bits are cheaper to draw than numbers."""
    byte = torch.arange(256, device=device)[:, None]
    bits = byte >> torch.arange(8, device=device) & 1
    return bits.to(dtype) * 2 - 1
