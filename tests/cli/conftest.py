"""The command line on a small synthetic world."""

import numpy as np
import pytest
from typer.testing import CliRunner

from ctrbench import embeddings, impressions
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


@pytest.fixture
def two_fields(tmp_path):
    """Add the version v7 of `taste`; its field image is like `random`, its text like `oracle`."""

    def add(workspace):
        log = impressions.open_impressions(workspace, "taste")
        raw_ids, sources = impressions.raw_item_ids(workspace, "taste"), {}
        for field, like in (("image", "random"), ("text", "oracle")):
            table = embeddings.open_version(workspace, "taste", like)
            path, items = tmp_path / f"{field}.npz", np.flatnonzero(table.has_vector)
            np.savez(path, key=np.array(raw_ids)[items - 1], value=table.vectors[items])
            sources[field] = embeddings.Source(path)
        embeddings.add_version(workspace, log, raw_ids, "v7", sources)

    return add
