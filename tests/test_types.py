"""What is public is annotated; ``check_types.py`` beside has the checkers' view."""

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from test_docstrings import OBJECTS

import skcae
from skcae._core.activations import ACTIVATIONS
from skcae._core.losses import LOSSES
from skcae._typing import Activation

FUNCTIONS = {
    path: item.__init__ if inspect.isclass(item) else inspect.unwrap(item)
    for path, (_, item) in OBJECTS.items()
    if not isinstance(item, property)
}


def hints_of(function):
    """Resolved; of classes that are imported for type checkers only, take anything."""
    only_for_checkers = dict.fromkeys(("Axes", "Figure", "ModelProto"), Any)
    function = getattr(function, "__func__", function)
    return get_type_hints(function, localns=only_for_checkers)


def suits(value, hint):
    origin, choices = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return value in choices
    if origin in (Union, types.UnionType):
        return any(suits(value, choice) for choice in choices)
    if origin is tuple and choices[-1] is not ...:
        is_as_long = isinstance(value, tuple) and len(value) == len(choices)
        return is_as_long and all(map(suits, value, choices))
    if origin is Sequence:
        return all(suits(item, choices[0]) for item in value)
    if origin in (Callable, Mapping):
        return isinstance(value, origin)
    kinds = (int, float) if hint is float else origin or hint
    return isinstance(value, kinds) and (hint is bool or not isinstance(value, bool))


def test_the_package_says_that_it_has_types():
    assert Path(skcae.__file__).with_name("py.typed").exists()


@pytest.mark.parametrize("path", FUNCTIONS)
def test_everything_public_is_annotated(path):
    hints = hints_of(FUNCTIONS[path])
    parameters = inspect.signature(FUNCTIONS[path]).parameters
    assert set(parameters) - {"self", "cls", "_"} <= set(hints)
    assert "return" in hints


@pytest.mark.parametrize("path", FUNCTIONS)
def test_defaults_suit_their_annotations(path):
    hints = hints_of(FUNCTIONS[path])
    for name, parameter in inspect.signature(FUNCTIONS[path]).parameters.items():
        if parameter.default is not parameter.empty:
            assert suits(parameter.default, hints[name]), name


def test_choices_are_the_names_of_all_records():
    assert get_args(Activation) == tuple(ACTIVATIONS)
    hints = hints_of(skcae.ContractiveAutoencoder.__init__)
    assert get_args(hints["loss"]) == tuple(LOSSES)


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (0.05, float | Literal["auto"], True),
        ("auto", float | Literal["auto"], True),
        ("autos", float | Literal["auto"], False),
        (True, int, False),
        ((256,), Sequence[int], True),
        ((0.5,), Sequence[int], False),
        ((0.1, 1), tuple[float, float], True),
        (None, str, False),
    ],
)
def test_the_check_of_defaults_finds_what_does_not_suit(value, hint, expected):
    assert suits(value, hint) is expected
