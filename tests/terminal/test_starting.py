from ctrbench.terminal.starting import show
from ctrbench.workspace import Workspace
from tests.benchmark import write


def commands(printed):
    return [
        line.strip().removeprefix("Next: ") for line in printed.splitlines() if "ctrbench" in line
    ]


def test_empty_folder_names_three_commands(tmp_path, capsys):
    show(Workspace(tmp_path), "ctrbench --home x")
    printed = commands(capsys.readouterr().out)
    assert [line.split()[3:5] for line in printed[:3]] == [
        ["datasets", "import"],
        ["embeddings", "add"],
        ["run", "--dataset"],
    ]
    assert all(line.startswith("ctrbench --home x ") for line in printed[:3])


def test_workspace_with_data_names_what_it_holds_and_the_next_command(workspace, capsys):
    def printed():
        show(workspace, "ctrbench")
        return capsys.readouterr().out

    assert "oracle" in printed()
    assert commands(printed())[0] == "ctrbench init taste"
    write(workspace.home)
    (workspace.home / "notes.yml").write_text("a: 1")
    assert commands(printed())[0] == "ctrbench run benchmark.yaml"
    folder = workspace.results / "taste" / "oracle" / "sim_score"
    folder.mkdir(parents=True)
    (folder / "0.json").write_text("{}")
    assert commands(printed())[0] == "ctrbench report benchmark.yaml --output report.html"


def test_data_set_without_versions(workspace, capsys):
    show(workspace, "ctrbench")
    for folder in (workspace.embeddings / "taste").iterdir():
        folder.rename(workspace.home / folder.name)
    capsys.readouterr()
    show(workspace, "ctrbench")
    assert commands(capsys.readouterr().out)[0].startswith("ctrbench embeddings add")
