"""The networks of three tutorials on MNIST, each as our parameters and its λ.

Their code averages the squared error over columns and sums the penalty, so that
``lam = 784 * λ``.
"""

LAMBDAS = {"diverging": 0.1, "single layer": 1e-4, "deep": 0.1}

PARAMETERS = {
    # 784-128 ReLU-32 linear, sigmoid output
    "diverging": {
        "n_components": 32,
        "hidden_layer_sizes": (128,),
        "activation": "relu",
        "code_activation": "identity",
        "output_activation": "sigmoid",
        "tied_weights": False,
        "lam": 784 * LAMBDAS["diverging"],
    },
    # 784-64 sigmoid, linear output
    "single layer": {
        "n_components": 64,
        "hidden_layer_sizes": (),
        "activation": "sigmoid",
        "tied_weights": False,
        "lam": 784 * LAMBDAS["single layer"],
    },
    # 784-256-128-64 sigmoid, ReLU decoder, sigmoid output
    "deep": {
        "n_components": 64,
        "hidden_layer_sizes": (256, 128),
        "activation": "sigmoid",
        "decoder_activation": "relu",
        "output_activation": "sigmoid",
        "tied_weights": False,
        "lam": 784 * LAMBDAS["deep"],
    },
}
