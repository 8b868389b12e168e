import ast
import importlib
import inspect
import pkgutil
import re

import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

import skcae

# as in scikit-learn's own tests/test_docstrings.py
IGNORED = {"RT02", "GL01", "GL02"}
OF_NO_METHOD = {"EX01", "SA01", "ES01"}
OF_NO_PROPERTY = {"PR02", "GL08"}


def public_modules():
    names = [module.name for module in pkgutil.iter_modules(skcae.__path__)]
    names = [f"skcae.{name}" for name in names if not name.startswith("_")]
    return [importlib.import_module(name) for name in ["skcae", *names]]


def public_objects():
    """Yield every public function, class, method and property, each once."""
    found = {}
    for module in public_modules():
        for name in module.__all__:
            item = getattr(module, name)
            found[f"{item.__module__}.{item.__qualname__}"] = item
    for path, item in sorted(found.items()):
        yield path, None, item
        if inspect.isclass(item):
            for name in dir(item):
                member = getattr(item, name)
                is_member = callable(member) or isinstance(member, property)
                # torch and scikit-learn describe what is theirs
                module = getattr(member, "__module__", "skcae") or ""
                is_ours = module.startswith("skcae")
                if is_member and is_ours and not name.startswith("_"):
                    yield f"{path}.{name}", item, member


OBJECTS = {path: (owner, item) for path, owner, item in public_objects()}


def test_modules_are_described_and_say_what_is_public():
    for module in public_modules():
        assert module.__doc__
        assert sorted(module.__all__) == list(module.__all__)


@pytest.mark.parametrize("path", OBJECTS)
def test_docstring_is_numpydoc(path):
    owner, item = OBJECTS[path]
    ignored = set(IGNORED)
    if owner is not None:
        ignored |= OF_NO_METHOD
    if isinstance(item, property):
        ignored |= OF_NO_PROPERTY
    findings = [error for error in validate(path)["errors"] if error[0] not in ignored]
    assert not findings, "\n".join(f"{code}: {text}" for code, text in findings)


def defaults(item):
    """Defaults by name, of the constructor for a class."""
    parameters = inspect.signature(item).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


OWN = [
    path
    for path, (_, item) in OBJECTS.items()
    if callable(item) and item.__module__.startswith("skcae")
]


@pytest.mark.parametrize("path", OWN)
def test_defaults_are_documented_as_they_are(path):
    _, item = OBJECTS[path]
    documented = {}
    for parameter in NumpyDocString(inspect.getdoc(item))["Parameters"]:
        value = re.search(r"default=(.*)$", parameter.type.replace("\n", " "))
        for name in parameter.name.split(", "):
            documented[name] = parameter.type if value is None else value[1]
    for name, value in defaults(item).items():
        if documented[name] == "Ignored":
            continue
        assert ast.literal_eval(documented[name]) == value, name
