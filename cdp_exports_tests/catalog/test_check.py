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


def test_a_link_is_the_folder_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    (tmp_path / "link").symlink_to("exports")
    (found,) = problems(write(tmp_path, {"connections/other.yaml": "type: local\nfolder: link\n", "exports/x.yaml": export("other")}))
    assert found.startswith("catalog/exports/x.yaml:3: 'orders' would be delivered into the folder of 'orders'")


def test_many_exports_in_one_folder_are_told_once_each(tmp_path: Path) -> None:
    found = problems(write(tmp_path, {f"exports/e{i}.yaml": export() for i in range(50)} | {"exports/to_lake.yaml": None}))
    assert len(found) == 49
    assert all("of the export 'e0'" in problem for problem in found)
