"""Rules between objects, each with a catalog that breaks it and one that just does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdp_exports_tests.catalog.declaring import problems, write

X = "source: {format: delta, uri: x}\n"
S3 = "type: s3\nbucket: acme\n"


def export(connection: str = "lake", datasets: str = "[orders]", more: str = "") -> str:
    return f"kind: dataset\nconnection: {connection}\ndatasets: {datasets}\n{more}"


def path(template: str) -> str:
    return f'path: "{template}"\n'


CLEAR = path("a/{dataset_id}/{export_time}")


@pytest.mark.parametrize(
    ("files", "place", "says"),
    [
        pytest.param({"exports/x.yaml": export()}, "exports/x.yaml:3", "the folder of 'orders' of the export 'to_lake'", id="one path"),
        pytest.param(
            {"exports/x.yaml": export(more=path("orders/{export_id}/{export_time}"))},
            "exports/x.yaml:4",
            "a folder inside that of 'orders' of the export 'to_lake'",
            id="inside another's folder",
        ),
        pytest.param(
            {"exports/to_lake.yaml": export(datasets="[orders, customers]", more=path("{export_time}"))},
            "exports/to_lake.yaml:4",
            "of the export 'to_lake'",
            id="members of one export",
        ),
        pytest.param(
            {"exports/x.yaml": export(datasets="[x]", more=path("{export_time}")), "datasets/x.yaml": X},
            "exports/to_lake.yaml:3",
            "a folder inside that of 'x' of the export 'x'",
            id="the whole connection's folder",
        ),
        pytest.param(
            {"connections/other.yaml": "type: local\nfolder: ./x/../exports/\n", "exports/x.yaml": export("other")},
            "exports/x.yaml:3",
            "'to_lake'",
            id="two connections to one folder",
        ),
        pytest.param(
            {"connections/other.yaml": "type: local\nfolder: exports/orders\n", "exports/x.yaml": export("other", "[customers]")},
            "exports/x.yaml:3",
            "a folder inside that of 'orders'",
            id="a connection inside another's member",
        ),
        pytest.param(
            {
                "connections/a.yaml": S3 + "folder: cdp\n",
                "connections/b.yaml": S3 + "endpoint_url: https://s3.eu-west-3.amazonaws.com\n",
                "exports/a.yaml": export("a"),
                "exports/b.yaml": export("b", more=path("cdp/{dataset_id}/{export_time}")),
            },
            "exports/b.yaml:4",
            "'orders' of the export 'a', s3://acme/cdp/orders",
            id="two connections to one bucket",
        ),
        pytest.param(
            {"exports/x.yaml": export(more=CLEAR + "formerly: to_lake\n")},
            "exports/x.yaml:5",
            "'to_lake' is still here",
            id="renamed from one that is here",
        ),
        pytest.param(
            {"exports/x.yaml": export(more=CLEAR + "formerly: x\n")},
            "exports/x.yaml:5",
            "'x' is still here",
            id="renamed from itself",
        ),
        pytest.param(
            {f"exports/{name}.yaml": export(more=path("{export_id}/{export_time}") + "formerly: old\n") for name in "ab"},
            "exports/b.yaml:5",
            "'a' was formerly 'old' already",
            id="two renamed from one",
        ),
        pytest.param(
            {f"datasets/{name}.yaml": X + "formerly: old\n" for name in "ab"},
            "datasets/b.yaml:2",
            "'a' was formerly 'old' already",
            id="two datasets renamed from one",
        ),
        pytest.param(
            {f"datasets/{name}.yaml": X + "asset_key: [dwh, x]\n" for name in "ab"},
            "datasets/b.yaml:2",
            "the dataset 'a' has 'dwh/x' already",
            id="two datasets, one asset",
        ),
        pytest.param(
            {"datasets/a.yaml": X + "asset_key: [datasets, orders]\n"},
            "datasets/a.yaml:2",
            "the dataset 'orders' has 'datasets/orders' already",
            id="another dataset's default asset",
        ),
        pytest.param(
            {"exports/to_lake.yaml": export(more=path("{dataset_id}-" + "x" * 250 + "/{export_time}"))},
            "exports/to_lake.yaml:4",
            "longer than 255 bytes",
            id="a name too long for a file system",
        ),
    ],
)
def test_refused(tmp_path: Path, files: dict[str, str | None], place: str, says: str) -> None:
    found = problems(write(tmp_path, files))
    assert found[0].startswith(f"catalog/{place}: "), found
    assert says in found[0]
    assert all(problem.startswith(f"catalog/{place}: ") or "to_lake" in problem for problem in found), found


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"exports/x.yaml": export(more=CLEAR)}, id="folders of their own"),
        pytest.param({"exports/x.yaml": export(more=path("orders2/{export_time}"))}, id="a common beginning of a name"),
        pytest.param({"exports/x.yaml": export(more=path("a/{export_time}/{dataset_id}"))}, id="the time first"),
        pytest.param(
            {"exports/to_lake.yaml": export(datasets="[orders, customers]", more=path("{export_time}/{dataset_id}"))},
            id="members below the time",
        ),
        pytest.param(
            {"connections/other.yaml": "type: local\nfolder: exports2\n", "exports/x.yaml": export("other")},
            id="another local folder",
        ),
        pytest.param(
            {
                "connections/a.yaml": S3 + "endpoint_url: https://minio:9000\n",
                "connections/b.yaml": S3,
                "exports/a.yaml": export("a"),
                "exports/b.yaml": export("b"),
            },
            id="buckets of one name in two stores",
        ),
        pytest.param(
            {"exports/x.yaml": export(more=CLEAR + "formerly: old\n"), "datasets/x.yaml": X + "formerly: old\n"},
            id="an export and a dataset renamed from one id",
        ),
        pytest.param({"datasets/a.yaml": "source: {format: delta, uri: data/orders}\n"}, id="two datasets of one table"),
    ],
)
def test_accepted(tmp_path: Path, files: dict[str, str]) -> None:
    assert problems(write(tmp_path, files)) == []


def flat(name: str, more: str = "", *, folder: str = "drop") -> str:
    return export(more=f'path: "{folder}"\nfile_name: "{name}"\n{more}')


OVERWRITE = "overwrite: true\n"


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("a_{export_time}", "b_{export_time}", False),
        ("{export_id}_{timestamp}", "{export_id}_{timestamp}", False),
        ("a_{export_time}", "a_{year}{day}{month}{hour}{minute}", True),
        ("a_{export_time}", "a_{timestamp}", False),
        ("a{number}{timestamp}", "a7{timestamp}", True),
        ("a_20{timestamp}", "a_{export_time}", True),
        ("a{export_time}_{index}", "a{export_time}_{number}", True),
        ("a{number}{timestamp}", "a{export_time}", True),
        ("a_{export_time}", "a_{export_time}-{delivery}", False),
    ],
)
def test_names_in_a_folder_that_is_shared(tmp_path: Path, one: str, other: str, told: bool) -> None:
    found = problems(write(tmp_path, {"exports/x.yaml": flat(one), "exports/y.yaml": flat(other)}))
    assert [problem for problem in found if "could have the name of a file of 'orders' of the export 'x'" in problem] == found
    assert len(found) == told


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("latest", "latest", True),
        ("latest", "latest_2", True),
        ("latest_1", "latest_2", False),
        ("a", "b", False),
        ("a{number}", "a7", True),
    ],
)
def test_fixed_names_in_a_folder_that_is_shared(tmp_path: Path, one: str, other: str, told: bool) -> None:
    found = problems(write(tmp_path, {"exports/x.yaml": flat(one, OVERWRITE), "exports/y.yaml": flat(other, OVERWRITE)}))
    assert len(found) == told


def test_a_fixed_name_beside_names_with_the_time(tmp_path: Path) -> None:
    files = {"exports/x.yaml": flat("orders", OVERWRITE), "exports/y.yaml": flat("orders_{export_time}")}
    assert problems(write(tmp_path, files)) == []


def test_names_are_judged_across_connections_and_formats(tmp_path: Path) -> None:
    files = {
        "connections/below.yaml": "type: local\nfolder: exports/drop\n",
        "exports/x.yaml": flat("latest", OVERWRITE, folder="drop/crm"),
        "exports/y.yaml": flat("latest", OVERWRITE, folder="crm").replace("connection: lake", "connection: below"),
        "exports/z.yaml": flat("latest", OVERWRITE + "format: {type: csv}\n", folder="drop/crm"),
    }
    (found,) = problems(write(tmp_path, files))
    assert found.startswith("catalog/exports/y.yaml:5: Files of 'orders' could have the name")


@pytest.mark.parametrize(
    ("folder", "told"),
    [("orders", True), ("orders/inside", True), ("others", False)],
    ids=["another's own folder", "inside another's own folder", "beside it"],
)
def test_a_shared_folder_in_anothers_own(tmp_path: Path, folder: str, told: bool) -> None:
    found = problems(write(tmp_path, {"exports/x.yaml": flat("{export_time}", folder=folder)}))
    assert len(found) == told
    assert all("of 'orders' of the export" in problem for problem in found)


def test_many_members_share_a_folder(tmp_path: Path) -> None:
    files = {f"exports/e{i}.yaml": flat("{export_id}_{export_time}") for i in range(150)}
    assert problems(write(tmp_path, files)) == []


def test_a_link_is_the_folder_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    (tmp_path / "link").symlink_to("exports")
    (found,) = problems(write(tmp_path, {"connections/other.yaml": "type: local\nfolder: link\n", "exports/x.yaml": export("other")}))
    assert found.startswith("catalog/exports/x.yaml:3: 'orders' would be delivered into the folder of 'orders'")


def test_many_exports_in_one_folder_are_told_once_each(tmp_path: Path) -> None:
    found = problems(write(tmp_path, {f"exports/e{i}.yaml": export() for i in range(50)} | {"exports/to_lake.yaml": None}))
    assert len(found) == 49
    assert all("of the export 'e0'" in problem for problem in found)
