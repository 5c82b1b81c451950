"""What is allowed and hardly meant is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdp_exports.catalog.advice import advice
from cdp_exports.catalog.load import load
from cdp_exports_tests.catalog.declaring import PEOPLE, write

EXPORT = "kind: segment\nconnection: crm\nsegments: [vips]\nmode: full\n"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("fields: [{from: country}]\n", ""),
        ("preset: oracle_eloqua\nfields: [{from: country}]\n", "Oracle Eloqua knows people by the e-mail address (`Email Address`)"),
        ("preset: oracle_eloqua\nfields: [{from: email, to: X}]\n", "to: Email Address"),
        ("preset: oracle_eloqua\nfields: [{from: email}]\n", ""),
        ("preset: oracle_eloqua\nfields: [{from: lower(email), to: personalEmail.address}]\n", ""),
        ("preset: oracle_responsys\nfields: [{from: country}]\n", "the customer id (`CUSTOMER_ID_`) or the mobile number"),
        ("preset: oracle_responsys\nfields: [{from: profile_id, to: CUSTOMER_ID_}]\n", ""),
        ("preset: salesforce_marketing_cloud\nfields: [{from: profile_id, to: Subscriber Key}]\n", ""),
        ("preset: adobe_campaign\nfields: [{from: country}]\n", "Adobe Campaign"),
    ],
)
def test_identities_of_presets(tmp_path: Path, more: str, says: str) -> None:
    catalog = load(write(tmp_path, {**PEOPLE, "exports/vips_to_crm.yaml": EXPORT + more}))
    sentences = advice(catalog, "vips_to_crm")
    assert len(sentences) == bool(says)
    assert says in "".join(sentences)


def test_the_key_counts_where_it_is_sent(tmp_path: Path) -> None:
    profiles = PEOPLE["datasets/profiles.yaml"].replace("profile_id", "customer_id")
    for include, known in (("true", True), ("false", False)):
        export = EXPORT + f"preset: oracle_responsys\ninclude_key: {include}\nfields: [{{from: country}}]\n"
        catalog = load(write(tmp_path, {**PEOPLE, "datasets/profiles.yaml": profiles, "exports/vips_to_crm.yaml": export}))
        assert (advice(catalog, "vips_to_crm") == ()) == known
