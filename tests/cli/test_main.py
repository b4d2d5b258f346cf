import importlib

import pytest
import typer
from typer.testing import CliRunner

from ctrbench.errors import ConfigError

module = importlib.import_module("ctrbench.cli.main")  # the package's `main` is the function


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "\nctrbench: stopped."),
        (ConfigError("no such thing."), 2, "ctrbench: no such thing.\n"),
        (
            PermissionError(13, "Permission denied", "/x"),
            2,
            "ctrbench: /x: Permission denied; chec",
        ),
        (MemoryError("8 TiB"), 2, "ctrbench: out of memory (8 TiB); use smaller"),
        (OSError(5, "no file"), 70, "Traceback"),
        (ZeroDivisionError(), 70, "Traceback"),
    ],
)
def test_end_without_a_traceback(monkeypatch, capsys, error, code, message):
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def fail():
        raise error

    monkeypatch.setattr(module, "app", app)
    monkeypatch.setattr("sys.argv", ["ctrbench"])
    with pytest.raises(SystemExit) as end:
        module.main()
    assert end.value.code == code
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.parametrize("home", ["{}/file", "{}/circle", "~nobody.of.this.name"])
def test_home_that_is_not_a_folder(tmp_path, home):
    (tmp_path / "file").write_text("")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    result = CliRunner().invoke(module.app, ["--home", home.format(tmp_path), "list"])
    assert isinstance(result.exception, ConfigError)
