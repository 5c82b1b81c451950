"""A wrong catalog is refused with every problem, its file and its line; a right one says what its files say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cdp_exports.catalog.load import find_catalog, load
from cdp_exports.errors import DeclarationError
from cdp_exports_tests.catalog.declaring import PEOPLE, problems, write

EXPORT = "kind: dataset\nconnection: lake\ndatasets: [x]\n"
DATASET = "source:\n  format: delta\n  uri: data/x\n"
S3 = "type: s3\nbucket: acme\n"
LEAVERS = "kind: segment\nconnection: lake\nsegments: [vips]\n"
SEGMENTS = LEAVERS + "fields:\n"
LIST = "of: x\nlist:\n  uri: x\n  format: csv\n"


def test_a_valid_catalog(tmp_path: Path) -> None:
    catalog = load(write(tmp_path, {"catalog-notes.txt": None, ".schema/export.json": "{}", "exports/.draft.yaml": "nonsense"}))
    assert catalog.root == tmp_path
    assert catalog.environment.name == "acme"
    assert catalog.dataset_exports["to_lake"].datasets == ("orders", "customers")
    assert (set(catalog.connections), set(catalog.datasets)) == ({"lake"}, {"orders", "customers"})


@pytest.mark.parametrize(
    ("file", "content", "line", "says"),
    [
        ("exports/x.yaml", "kind: dataset\nconection: lake\ndatasets: [x]\n", 2, "'conection' is unknown (did you mean 'connection'?)"),
        ("exports/x.yaml", "kind: dataset\ndatasets: [x]\n", 1, "The key 'connection' is missing"),
        ("exports/x.yaml", "kind: dataset\nconnection: lak\ndatasets: [x]\n", 2, "no connection 'lak' (did you mean 'lake'?)"),
        ("exports/x.yaml", "kind: dataset\nconnection: lake\ndatasets:\n- x\n- costumers\n", 5, "did you mean 'customers'?"),
        ("exports/x.yaml", "kind: dataset\nconnection: Lake\ndatasets: [x]\n", 2, "an id has lower-case letters"),
        ("exports/x.yaml", "kind: dataset\nconnection: lake\ndatasets: x\n", 3, "must be a list, `[one, two]`, not text"),
        ("exports/x.yaml", "kind: dataset\nkind: dataset\n", 2, "given twice"),
        ("exports/x.yaml", "kind: segmnt\n", 1, "`kind`: 'segmnt' is not one of 'dataset', 'segment' (did you mean 'segment'?)"),
        ("exports/x.yaml", "connection: lake\nsegments: [vips]\n", 1, "`kind`: the key is missing; it is one of 'dataset', 'segment'."),
        (
            "exports/x.yaml",
            "kind: segment\nconnection: lake\nsegments: [vips]\ndatasets: [x]\n",
            4,
            "The key 'datasets' belongs to `kind: dataset`; this is `kind: segment`.",
        ),
        ("exports/x.yaml", EXPORT + "dedupe_by: [email]\n", 4, "'dedupe_by' belongs to `kind: segment`; this is `kind: dataset`."),
        ("exports/x.yaml", EXPORT + "format:\n  type: json\n  header: true\n", 6, "'header' belongs to `type: csv`; this is `type: json`."),
        ("exports/x.yaml", EXPORT + "path: '{segment_id}/{export_time}'\n", 4, "write {dataset_id}"),
        ("exports/x.yaml", SEGMENTS + "- {source: email}\n", 5, "The key 'source' is unknown; known here: from, identity,"),
        ("exports/x.yaml", SEGMENTS + "- {form: email}\n", 5, "The key 'form' is unknown (did you mean 'from'?)."),
        ("exports/x.yaml", SEGMENTS + "- {from: 5}\n", 5, "`fields[0].from`: must be text, not a number; put it in quotes."),
        ("exports/x.yaml", SEGMENTS + "- {to: EMAIL}\n", 5, "`fields[0]`: give either `from` or `value`."),
        (
            "exports/x.yaml",
            SEGMENTS + "- from: a\n  transforms:\n  - trim\n  - trm\n",
            8,
            "`fields[0].transforms[1]`: 'trm' is not one of 'trim'",
        ),
        (
            "exports/x.yaml",
            SEGMENTS + "- from: a\n  transforms: [5]\n",
            6,
            "must be one of 'trim', 'lower', 'upper', 'digits', 'gmail', 'sha256'",
        ),
        (
            "exports/x.yaml",
            SEGMENTS + "- from: a\n  transforms: [{e164: fr}]\n",
            6,
            "write the country as two capital letters, such as FR.",
        ),
        ("exports/x.yaml", SEGMENTS + "- from: a\n  transforms: [{e614: FR}]\n", 6, "The key 'e614' is unknown (did you mean 'e164'?)."),
        ("exports/x.yaml", SEGMENTS + "- {value: [1], to: x}\n", 5, "`fields[0].value`: must be text, a number, or true or false."),
        ("exports/x.yaml", SEGMENTS + "- {value: .nan, to: x}\n", 5, "`fields[0].value`: must be text, a number, or true or false."),
        ("exports/x.yaml", LEAVERS + "limits:\n  warn_at: 0\n", 5, "`limits.warn_at`: must be more than 0."),
        ("exports/x.yaml", LEAVERS + "limits:\n  warn_at: 80\n", 5, "`limits.warn_at`: must be at most 1."),
        ("exports/x.yaml", LEAVERS + "limits:\n  audience: {max: 5, min: 9}\n", 5, "`limits.audience`: `min` is 9 and `max` only 5;"),
        ("exports/x.yaml", LEAVERS + "limits:\n  over: truncate\n", 4, "`limits`: `over: truncate` and `keep_by` go together."),
        ("exports/x.yaml", LEAVERS + "status: null\n", 1, "without `status` nobody can tell who left"),
        ("exports/x.yaml", LEAVERS + "status: {exited: entered}\n", 4, "need three different values"),
        ("exports/x.yaml", LEAVERS + "send: [entered, left]\n", 4, "`send[1]`: 'left' is not one of 'entered', 'updated', 'exited'."),
        ("segments/x.yaml", "of: x\n", 1, "say who is in it in one way"),
        ("segments/x.yaml", "where: a > 1\n", 1, "`of` is missing: the dataset whose rows are the members."),
        ("segments/x.yaml", "of: x\nwhere: a > 1\nsql: select 1\n", 1, "say who is in it in one way"),
        ("segments/x.yaml", "any_of: [vips, vips]\n", 1, "'vips' is named twice"),
        ("segments/x.yaml", "of: x\nlist: {uri: x, format: cvs}\n", 2, "`list.format`: 'cvs' is not one of 'csv'"),
        ("segments/x.yaml", LIST + "  options:\n    aws_secret_access_key: hunter2\n", 6, "a credential is never written"),
        ("datasets/x.yaml", DATASET + "consent:\n  Marketing: opt_in\n", 5, "`consent.Marketing`: an id has lower-case letters"),
        ("datasets/x.yaml", DATASET + "columns:\n  a: 5\n", 5, "`columns.a`: must be text, not a number"),
        (
            "connections/x.yaml",
            S3 + "accepts:\n- people\n- acounts\n",
            5,
            "`accepts[1]`: 'acounts' is not one of 'people', 'accounts' (did you",
        ),
        ("connections/x.yaml", S3 + "host: a\n", 3, "The key 'host' belongs to `type: sftp`; this is `type: s3`."),
        ("environment.yaml", "name: acme\nstate:\n  type: local\n  folder: s\n  purpose: x\n", 5, "nobody receives what is kept here"),
        ("exports/x.yaml", EXPORT + "mode: increment\n", 4, "(did you mean 'incremental'?)"),
        ("exports/x.yaml", EXPORT + "active: off\n", 4, "must be true or false, not text"),
        ("exports/x.yaml", EXPORT + "description: 5\n", 4, "must be text, not a number; put it in quotes"),
        ("exports/x.yaml", EXPORT + "format:\n", 4, "`format`: must be keys with values, not nothing"),
        ("exports/x.yaml", EXPORT + "format:\n  type: cvs\n", 5, "(did you mean 'csv'?)"),
        ("exports/x.yaml", EXPORT + "format:\n  header: true\n", 4, "`format.type`: the key is missing"),
        ("exports/x.yaml", EXPORT + "format:\n  type: csv\n  heder: true\n", 6, "did you mean 'header'?"),
        ("exports/x.yaml", EXPORT + "format: {type: csv,\n  max_rows_per_file: 0}\n", 5, "at least 1"),
        ("exports/x.yaml", EXPORT + "schedule:\n  every: 5h\n", 5, "'5h' is not one of '3h'"),
        ("exports/x.yaml", EXPORT + "schedule:\n  start: 2026-01-01T00:00Z\n", 4, "exactly one of"),
        ("exports/x.yaml", EXPORT + "owners:\n- team:a\n- jane\n", 6, "`owners[1]`: an owner is"),
        ("connections/x.yaml", "folder: x\ntype: loca\n", 2, "'loca' is not one of 'local', 's3', "),
        ("connections/x.yaml", S3 + "shared_with: contributors\n", 3, "roles do not exist yet"),
        ("connections/x.yaml", S3 + "secret_access_key:\n  env: a b\n", 4, "not a secret itself"),
        ("datasets/x.yaml", DATASET + "  options:\n    a: b\n    secret_key: x\n", 6, "a credential is never written"),
        ("datasets/x.yaml", DATASET + "  options:\n    a: b\n    c: 5\n", 6, "must be text, not a number"),
        ("datasets/x.yaml", "source: data/orders\n", 1, "must be keys with values, not text"),
        ("datasets/x.yaml", "source:\n  uri: data/orders\n", 1, "The key 'format' is missing"),
        ("datasets/x.yaml", DATASET + "role: profil\n", 4, "did you mean 'profile'?"),
        ("datasets/x.yaml", DATASET + "key:\n- a\n- b\n- a\n", 7, "'a' is named twice"),
        ("environment.yaml", "name: acme\ntime_zone: Europe/Pariss\n", 2, "did you mean 'Europe/Paris'?"),
        ("environment.yaml", "name: Acme\n", 1, "an id has lower-case letters"),
        ("exports/x.yaml", b"kind: \xff", 1, "not UTF-8"),
    ],
)
def test_one_mistake_in_a_file(tmp_path: Path, file: str, content: str | bytes, line: int, says: str) -> None:
    vips = {"segments/vips.yaml": "of: profiles\nwhere: value > 500\n", "datasets/profiles.yaml": PEOPLE["datasets/profiles.yaml"]}
    found = problems(write(tmp_path, {"datasets/x.yaml": DATASET, **vips, file: content}))
    assert [problem for problem in found if problem.startswith(f"catalog/{file}:{line}: ") and says in problem], found
    assert all(problem.startswith(f"catalog/{file}:") for problem in found), found


@pytest.mark.parametrize(
    ("file", "shown", "says"),
    [
        ("datasets/Orders.yaml", "datasets/Orders.yaml", "The file's name is the object's id"),
        ("datasets/x.yml", "datasets/x.yml", "rename it to x.yaml"),
        ("datasets/x.json", "datasets/x.json", "Only files `<id>.yaml`"),
        ("datasets/more/x.yaml", "datasets/more", "Only files `<id>.yaml`"),
        ("dataset/x.yaml", "dataset", "(did you mean 'datasets'?)"),
        ("enviroment.yaml", "enviroment.yaml", "(did you mean 'environment.yaml'?)"),
        ("segment/vips.yaml", "segment", "(did you mean 'segments'?)"),
    ],
)
def test_a_file_in_the_wrong_place(tmp_path: Path, file: str, shown: str, says: str) -> None:
    (problem,) = problems(write(tmp_path, {file: DATASET}))
    assert problem.startswith(f"catalog/{shown}: ")
    assert says in problem


def test_no_environment(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, {"environment.yaml": None}))
    assert problem == "catalog/environment.yaml: The file is missing; it names the environment: `name: acme`."


def test_all_problems_of_all_files_at_once(tmp_path: Path) -> None:
    found = problems(
        write(
            tmp_path,
            {
                "environment.yaml": "nme: acme\n",
                "connections/lake.yaml": "type: local\nfolder: [x]\n",
                "datasets/orders.yaml": "a: [\n",
                "exports/to_lake.yaml": "kind: dataset\nconnection: lakes\ndatasets: [orders, order, order]\nfoo: 1\n",
            },
        )
    )
    assert [problem.split(": ")[0] for problem in found] == [
        "catalog/connections/lake.yaml:2",
        "catalog/datasets/orders.yaml:2",
        "catalog/environment.yaml:1",
        "catalog/environment.yaml:1",
        "catalog/exports/to_lake.yaml:2",
        "catalog/exports/to_lake.yaml:3",
        "catalog/exports/to_lake.yaml:3",
        "catalog/exports/to_lake.yaml:3",
        "catalog/exports/to_lake.yaml:4",
    ]


def test_a_file_with_a_mistake_is_no_dangling_reference(tmp_path: Path) -> None:
    found = problems(write(tmp_path, {"datasets/orders.yaml": "source: {format: delta}\n", "connections/lake.yaml": "type: local\n"}))
    assert [problem.split(": ")[0] for problem in found] == ["catalog/connections/lake.yaml:1", "catalog/datasets/orders.yaml:1"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("environment.yaml", "name: acme\nledger: postgresql://user:hunter2@db/ledger\n"),
        ("environment.yaml", "name: acme\nledger: {env: 'postgresql://user:hunter2@db/ledger'}\n"),
        ("connections/x.yaml", S3 + "access_key_id: hunter2\n"),
        ("connections/x.yaml", S3 + "secret_access_key: hunter2\n"),
        ("connections/x.yaml", S3 + "secret_access_key: {value: hunter2}\n"),
        ("connections/x.yaml", S3 + "session_token: [hunter2]\n"),
        ("connections/x.yaml", S3 + "endpoint_url: https://user:hunter2@minio:9000\n"),
        ("connections/x.yaml", S3 + "password: hunter2\n"),
        ("datasets/x.yaml", "source: {format: delta, uri: 's3://k:hunter2@b/c'}\n"),
        ("datasets/x.yaml", "source: {format: delta, uri: x, options: {aws_secret_access_key: hunter2}}\n"),
    ],
)
def test_a_literal_secret_is_refused_and_never_repeated(tmp_path: Path, file: str, content: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        load(write(tmp_path, {file: content}))
    assert [problem.file for problem in caught.value.problems] == [f"catalog/{file}"] * len(caught.value.problems)
    for shown in (str(caught.value), repr(caught.value), repr(caught.value.problems), repr(caught.value.__cause__)):
        assert "hunter2" not in shown


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(tmp_path: Path) -> None:
    folder = write(tmp_path, {})
    (folder / "environment.yaml").chmod(0)
    assert problems(folder) == ["catalog/environment.yaml: The file cannot be read: Permission denied."]


def test_a_link_to_nowhere(tmp_path: Path) -> None:
    folder = write(tmp_path, {"environment.yaml": None})
    (folder / "environment.yaml").symlink_to("gone.yaml")
    assert problems(folder) == ["catalog/environment.yaml: The file cannot be read: No such file or directory."]


def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    folder = write(tmp_path, {})
    (folder / os.fsdecode(b"\xff.yaml")).touch()
    assert [problem.encode()[:15] for problem in problems(folder)] == [b"catalog/?.yaml:"]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"There is no folder .*CDP_EXPORTS_CATALOG"):
        load(tmp_path / "catalog")


def test_find_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "project" / "src" / "deep"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    with pytest.raises(DeclarationError, match="CDP_EXPORTS_CATALOG"):
        find_catalog({})
    (tmp_path / "project" / "catalog").mkdir()
    (inner / "catalog").mkdir()  # no pyproject.toml beside it
    (tmp_path / "project" / "pyproject.toml").touch()
    assert find_catalog({}) == tmp_path / "project" / "catalog"
    assert find_catalog({"CDP_EXPORTS_CATALOG": "elsewhere"}) == Path("elsewhere")


def test_the_demo_catalog_loads() -> None:
    catalog = load(Path(__file__).parents[2] / "catalog")
    assert catalog.environment.name == "demo"
    assert not any(export.active for export in catalog.exports.values())
