import sys
import types
from importlib.metadata import EntryPoint

import pytest

from ctrbench import plugins
from ctrbench.errors import ContractError, UnknownNameError
from ctrbench.injection import Injection
from ctrbench.injection.none import NoInjection


class Other(NoInjection):
    """A mode of another package."""


def install(monkeypatch, name, target):
    point = EntryPoint(name, target, "ctrbench.injection")
    monkeypatch.setattr(plugins, "_installed", lambda package: {point.name: point})


def test_public_files_are_the_contenders():
    assert {"none", "vector", "sim_score", "cluster_id"} <= set(plugins.names("ctrbench.injection"))
    assert not any(name.startswith("_") for name in plugins.names("ctrbench.injection"))


def test_installed_package_adds_a_mode(monkeypatch):
    install(monkeypatch, "other", "tests.test_plugins:Other")
    assert "other" in plugins.names("ctrbench.injection")
    assert plugins.load("ctrbench.injection", "other", Injection) is Other


def test_installed_package_must_not_redefine_a_mode(monkeypatch):
    install(monkeypatch, "vector", "tests.test_plugins:Other")
    with pytest.raises(ContractError, match="redefine vector; rename"):
        plugins.names("ctrbench.injection")


def test_entry_point_that_is_no_mode_is_an_error(monkeypatch):
    install(monkeypatch, "other", "tests.test_plugins:pytest")
    with pytest.raises(ContractError, match="not a subclass of Injection"):
        plugins.load("ctrbench.injection", "other", Injection)


@pytest.mark.parametrize("target", ["no_such_package:Mode", "tests.test_plugins:NoSuchMode"])
def test_entry_point_that_cannot_be_loaded_is_an_error(monkeypatch, target):
    install(monkeypatch, "other", target)
    with pytest.raises(ContractError, match=r"entry point other .*cannot be loaded"):
        plugins.load("ctrbench.injection", "other", Injection)


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match=r"no mode .simscore.; .*Did you mean .sim_score."):
        plugins.load("ctrbench.injection", "simscore", Injection, "mode")


def test_file_without_a_contender_is_an_error(monkeypatch):
    monkeypatch.setattr(plugins, "names", lambda package: ["empty"])
    monkeypatch.setitem(sys.modules, "ctrbench.injection.empty", types.ModuleType("empty"))
    with pytest.raises(
        ContractError, match="must define one public subclass of Injection; it defines 0"
    ):
        plugins.load("ctrbench.injection", "empty", Injection)
