import importlib

import pytest
import typer

from ctrbench.errors import ConfigError

module = importlib.import_module("ctrbench.cli.main")  # the package's `main` is the function


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (KeyboardInterrupt(), 130, "\nctrbench: stopped; what was stored stays"),
        (ConfigError("no such thing."), 2, "ctrbench: no such thing.\n"),
    ],
)
def test_end_without_a_traceback(monkeypatch, capsys, error, code, told):
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def fail():
        raise error

    monkeypatch.setattr(module, "app", app)
    monkeypatch.setattr("sys.argv", ["ctrbench"])
    with pytest.raises(SystemExit) as end:
        module.main()
    assert end.value.code == code
    assert capsys.readouterr().err.startswith(told)
