"""Blobs in blocks, as Azure has them and nobody else."""

from __future__ import annotations

import pytest

from cdp_exports.errors import DestinationRefused
from cdp_exports_tests.destinations.far import LONG, SHORT, azure
from cdp_exports_tests.destinations.opened_azure import open_container
from cdp_exports_tests.destinations.test_faults import stands, upload
from cdp_exports_tests.servers.azurite import Container


def test_blocks_that_were_never_committed_are_not_seen(container: Container) -> None:
    """As a killed process leaves them. The next upload to the same path drops them."""
    destination = open_container(container)
    left = destination.open("a/f")
    left.write(LONG)  # neither closed nor aborted
    assert destination.read("a/f") is None
    assert list(destination.list("")) == []
    destination.delete(["a/f"])

    writer = open_container(container).open("a/f")
    writer.write(SHORT)
    writer.close()
    assert container.names(uncommitted=True) == [f"{container.folder}/a/f"]
    assert destination.read("a/f") == SHORT


@pytest.mark.parametrize("call", ["put", "delete", "a file"])
def test_a_leased_file_stays(container: Container, call: str) -> None:
    """Somebody protects a file: that does not pass by itself."""
    container.put("a/f", b"x")
    container.lease("a/f")
    destination = open_container(container)
    calls = {
        "put": lambda: destination.put("a/f", b"y"),
        "delete": lambda: destination.delete(["e", "a/f", "g"]),
        "a file": lambda: upload(destination, LONG),
    }
    with pytest.raises(DestinationRefused, match="a lease or a policy"):
        calls[call]()
    stands(azure(container), b"x")
