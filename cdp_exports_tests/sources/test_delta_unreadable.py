"""What cannot be read is said in a sentence, when it is opened or when its rows are consumed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from cdp_exports.entities.dataset import Dataset, DeltaSource
from cdp_exports.entities.secret import Secret
from cdp_exports.errors import CdpExportsError, DeclarationError, HistoryLost, SourceUnreadable, TransientError
from cdp_exports.increments.net import net_changes
from cdp_exports.sources import open_source, reading
from cdp_exports.sources.delta.errors import translate
from cdp_exports.sources.delta.table import DeltaTableSource
from cdp_exports_tests.servers.seaweedfs import ADMIN, READER, REGION, Bucket, Identity
from cdp_exports_tests.sources.comparing import MEMORY, rows_of
from cdp_exports_tests.sources.handmade import entry

FRAME = pl.DataFrame({"id": [1, 2, 3], "secret": ["s3cr3t-value"] * 3})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_deltalake(tmp_path / "t", FRAME)
    return tmp_path / "t"


def test_no_such_table(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match=r"nowhere does not exist or is no Delta table"):
        DeltaTableSource(str(tmp_path / "nowhere")).head()
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_no_delta_table(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "data.parquet")
    with pytest.raises(SourceUnreadable, match="does not exist or is no Delta table"):
        DeltaTableSource(str(tmp_path)).head()


def test_a_file_where_the_table_should_be(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("hello")
    with pytest.raises(SourceUnreadable):
        DeltaTableSource(str(tmp_path / "t")).head()


def test_a_corrupt_log(path: Path) -> None:
    entry(path, 0).write_text('{"add": {"path"')
    with pytest.raises(SourceUnreadable, match=r"corrupt|no Delta table"):
        DeltaTableSource(str(path)).head()


def corrupted(path: Path) -> None:
    (data,) = path.glob("*.parquet")
    content = bytearray(data.read_bytes())
    content[4:-8] = b"\x07" * (len(content) - 12)
    data.write_bytes(content)


def test_a_corrupt_data_file_surfaces_where_the_rows_are_consumed(path: Path) -> None:
    corrupted(path)
    rows = DeltaTableSource(str(path)).rows(0)
    with pytest.raises(SourceUnreadable, match=r"The dataset orders cannot be read: .* corrupt") as raised, reading("The dataset orders"):
        rows.frame.collect()
    assert "s3cr3t" not in str(raised.value)


def test_a_corrupt_data_file_surfaces_through_the_net_change(path: Path) -> None:
    write_deltalake(path, FRAME.head(1), mode="overwrite")
    (data,) = set(path.glob("*.parquet")) - {Path(file) for file in DeltaTable(path).file_uris()}
    data.write_bytes(b"PAR1" + b"\x07" * 200 + b"PAR1")
    difference = DeltaTableSource(str(path)).difference(0, 1)
    net = net_changes(difference.minus, difference.plus, key=[], changes="all", subsets=True, memory_limit=MEMORY)
    with pytest.raises(SourceUnreadable, match="corrupt"), reading("The dataset orders"), net:
        pytest.fail("nothing can be said about these rows")


MARKS = ["timeout", "slow down", "access denied", "503 service", "not found", "nosuchbucket", "unsupported"]


@pytest.mark.parametrize("name", MARKS)
@pytest.mark.parametrize("text", ["file:///{}/part-0.parquet: corrupt", 'Error { path: "lake/{}/p=1/part-0.parquet" }', "/lake/{}/x"])
def test_what_a_table_is_called_does_not_tell_what_went_wrong(name: str, text: str) -> None:
    assert "is corrupt" in translate(OSError(text.replace("{}", name)), "The dataset orders").message


ANSWER = """Error performing GET https://lake/timeouts/x in 2ms - Server returned non-2xx status code: {}: <?xml version="1.0"?>
<Error><Code>{}</Code><Message>{}</Message><Resource>/timeouts/x</Resource></Error>"""


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (("403 Forbidden", "AccessDenied", "Access Denied."), "credentials were refused"),
        (("400 Bad Request", "ExpiredToken", "It has expired"), "credentials were refused"),
        (("404 Not Found", "NoSuchBucket", "No such bucket"), "bucket does not exist"),
        (("503 Service Unavailable", "SlowDown", "Reduce your rate"), "did not answer"),
        (("404 Not Found", "NoSuchKey", "The key does not exist"), "is missing"),
    ],
)
def test_what_a_store_answers_tells_what_went_wrong(answer: tuple[str, str, str], expected: str) -> None:
    assert expected in translate(OSError(ANSWER.format(*answer)), "The dataset orders").message


def test_a_data_file_that_vanishes_while_it_is_read(path: Path) -> None:
    rows = DeltaTableSource(str(path)).rows(0)
    for data in path.glob("*.parquet"):
        data.unlink()
    with pytest.raises(SourceUnreadable, match="missing"), reading("The dataset orders"):
        rows.frame.collect()


def test_errors_of_the_project_pass_through() -> None:
    lost = HistoryLost("Gone.", next_step="Deliver all.", reason="vacuumed")
    with pytest.raises(HistoryLost, check=lambda error: error is lost), reading("The dataset orders"):
        raise lost
    for foreign in (KeyboardInterrupt(), ValueError("a mistake of our own")):
        with pytest.raises(type(foreign), check=lambda error, foreign=foreign: error is foreign), reading("The dataset orders"):
            raise foreign


def options(url: str, identity: Identity) -> dict[str, str]:
    return {
        "aws_endpoint_url": url,
        "aws_region": REGION,
        "aws_access_key_id": identity.access_key_id,
        "aws_secret_access_key": identity.secret_access_key,
        "aws_allow_http": "true",
        "max_retries": "1",
        "retry_timeout": "2s",
    }


@pytest.fixture
def stored(bucket: Bucket) -> str:
    """A partitioned table in the bucket; folders with characters that need encoding."""
    uri = f"s3://{bucket.name}/{bucket.folder}/t"
    frame = FRAME.with_columns(p=pl.Series(["a b", "c/d%", None]))
    how = options(bucket.url, ADMIN)
    write_deltalake(uri, frame, partition_by=["p"], storage_options=how, configuration={"delta.enableChangeDataFeed": "true"})
    DeltaTable(uri, storage_options=how).update({"secret": "'changed'"}, predicate="id = 2")
    write_deltalake(uri, frame.with_columns(pl.col("id") + 10), mode="append", storage_options=how)
    return uri


def source(uri: str, options: Mapping[str, str]) -> DeltaTableSource:
    return DeltaTableSource(uri, options)


def test_a_table_in_an_object_store(bucket: Bucket, stored: str) -> None:
    table = source(stored, options(bucket.url, READER))
    head = table.head()
    assert (head.version, table.at(2)) == (2, head)
    first = table.rows(0).frame.collect()
    assert first.sort("id").equals(FRAME.with_columns(p=pl.Series(["a b", "c/d%", None])))
    assert table.rows(2).expected == 6
    nets = []
    for way in ("delta-cdf", "delta-files", "delta-snapshots"):
        difference = table.difference(0, 2, way)
        with net_changes(
            difference.minus, difference.plus, key=["id"], changes="all", subsets=difference.subsets, memory_limit=MEMORY
        ) as net:
            assert (net.inserted, net.updated, net.deleted) == (3, 1, 0)
            nets.append(rows_of(net.frame.collect()))
    assert nets[0] == nets[1] == nets[2]


def test_vacuumed_files_are_found_gone_in_an_object_store(bucket: Bucket, stored: str) -> None:
    table = DeltaTable(stored, storage_options=options(bucket.url, ADMIN))
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(HistoryLost, check=lambda error: error.reason == "vacuumed"):
        source(stored, options(bucket.url, READER)).rows(0)


def test_wrong_credentials(bucket: Bucket, stored: str) -> None:
    wrong = Identity(READER.access_key_id, "not-the-secret")
    with pytest.raises(SourceUnreadable, match="credentials were refused") as raised:
        source(stored, options(bucket.url, wrong)).head()
    assert "not-the-secret" not in str(raised.value)


def test_a_missing_bucket(bucket: Bucket) -> None:
    with pytest.raises(SourceUnreadable):
        source("s3://no-such-bucket/t", options(bucket.url, ADMIN)).head()


def test_connection_refused_may_pass() -> None:
    with pytest.raises(TransientError, match="did not answer"):
        source("s3://lake/t", options("http://127.0.0.1:9", ADMIN)).head()


def declared(uri: str, **options: str | Secret) -> Dataset:
    return Dataset(source=DeltaSource(format="delta", uri=uri, options=options))


def test_a_declared_source_is_opened_with_its_secrets(bucket: Bucket, stored: str) -> None:
    known = options(bucket.url, READER)
    dataset = declared(stored, **{**known, **{name: Secret(env=name.upper()) for name in known if "key" in name}})
    environ = {"AWS_ACCESS_KEY_ID": READER.access_key_id, "AWS_SECRET_ACCESS_KEY": READER.secret_access_key}
    assert open_source(dataset, Path("/anywhere"), environ).head().version == 2
    with pytest.raises(DeclarationError, match="AWS_ACCESS_KEY_ID"):
        open_source(dataset, Path("/anywhere"), {})


def test_a_relative_path_counts_from_the_root(path: Path) -> None:
    assert open_source(declared(path.name), path.parent, {}).head().version == 0
    assert open_source(declared(str(path)), Path("/elsewhere"), {}).head().version == 0
    with pytest.raises(CdpExportsError):
        open_source(declared(path.name), path, {}).head()
