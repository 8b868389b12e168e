"""The network, its objective and its training, in torch alone.

Nothing here knows scikit-learn or pandas. Activations, losses and penalties are
records in a dictionary: one more record is all that one more of them takes.
"""
