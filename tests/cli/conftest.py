"""The command line on a small synthetic world."""

import pytest
from typer.testing import CliRunner

from ctrbench.cli.main import app


@pytest.fixture
def run(workspace):
    """Call `ctrbench …` in the workspace; gives the output, raises what the command raises."""

    def invoke(*words):
        result = CliRunner().invoke(app, ["--home", str(workspace.home), *map(str, words)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return invoke
