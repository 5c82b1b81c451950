"""What an SFTP connection may say."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from cdp_exports.catalog.places import shown
from cdp_exports.entities.sftp_connection import SftpConnection

PIN = "SHA256:J0zeGgs9WQdGxYKQcnGrtKEE06Cu9GF20glkYmS3b6k"
USUAL = {"type": "sftp", "host": "files.partner.com", "user": "acme", "password": {"env": "P"}, "host_key_fingerprint": PIN}


def _declared(**changes: object) -> SftpConnection:
    return SftpConnection.model_validate({name: value for name, value in {**USUAL, **changes}.items() if value is not None})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"port": 2222, "folder": "in/acme"},
        {"folder": "/data"},
        {"folder": "/"},
        {"host": "10.0.0.7"},
        {"host": "::1"},
        {"user": "acme@partner.com"},
        {"private_key": {"env": "K"}},
        {"password": None, "private_key": {"env": "K"}, "passphrase": {"env": "Q"}},
        {"password": None, "private_key_file": "keys/partner"},
        {"host_key_fingerprint": None, "known_hosts": "keys/known_hosts"},
    ],
)
def test_what_is_right(changes: dict[str, object]) -> None:
    _declared(**changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"host_key_fingerprint": None}, "either `known_hosts` or `host_key_fingerprint`"),
        ({"known_hosts": "k"}, "either `known_hosts` or `host_key_fingerprint`"),
        ({"host_key_fingerprint": "MD5:16:27:ac:a5"}, "host_key_fingerprint"),
        ({"host_key_fingerprint": PIN + "="}, "host_key_fingerprint"),
        ({"password": None}, "name a `password`, a `private_key` or a `private_key_file`"),
        ({"password": "hunter2"}, "a secret is never written in the catalog"),
        ({"private_key": {"env": "K"}, "private_key_file": "k"}, "either `private_key` or `private_key_file`"),
        ({"passphrase": {"env": "Q"}}, "`passphrase` goes with"),
        ({"host": "sftp://files.partner.com"}, "host"),
        ({"host": "user@host"}, "host"),
        ({"host": "-oProxyCommand=x"}, "host"),
        ({"port": 0}, "port"),
        ({"port": "22"}, "port"),
        ({"user": "a:b"}, "user"),
        ({"user": ""}, "user"),
        ({"folder": "in/"}, "no slash at the end"),
        ({"folder": "//in"}, "no slash at the end"),
        ({"folder": "~/in"}, "folder"),
        ({"folder": "../in"}, "folder"),
        ({"folder": "a\nb"}, "folder"),
    ],
)
def test_what_is_wrong(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _declared(**changes)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_its_place_is_the_users_folder() -> None:
    def place(**changes: object) -> tuple[str, ...]:
        return _declared(**changes).place(Path())

    assert place(folder="in") == place(folder="in", host="FILES.partner.com", password={"env": "OTHER"})
    assert len({place(folder=folder) for folder in ("", "in", "/", "/in")}) == 4
    assert place(user="other") != place() != place(port=2222)
    assert place(folder="in/acme")[: len(place(folder="in"))] == place(folder="in")
    assert [shown(place(folder=folder)) for folder in ("", "in", "/in")] == [
        "sftp://acme@files.partner.com:22/~",
        "sftp://acme@files.partner.com:22/~/in",
        "sftp://acme@files.partner.com:22/in",
    ]
