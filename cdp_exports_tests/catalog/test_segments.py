"""Rules of segments and their exports: what a wrong catalog is told, and that one just beside it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cdp_exports.catalog.load import load
from cdp_exports.entities import connection
from cdp_exports.entities.capabilities import Capabilities, Proof
from cdp_exports_tests.catalog.declaring import ACCOUNTS, PEOPLE, problems, write

Files = dict[str, str | bytes | None]

PROFILES = PEOPLE["datasets/profiles.yaml"]
CONTACTS = ACCOUNTS["datasets/contacts.yaml"]
CRM = PEOPLE["connections/crm.yaml"]
TO_CRM = "kind: segment\nconnection: crm\nsegments: [vips]\n"
FIRMS_TO_CRM = ACCOUNTS["exports/firms_to_crm.yaml"]
PROJECT = "project: {dataset: contacts, by: [account_id]}\n"
SUPPRESS = "suppress:\n- {{dataset: profiles, column: email, matches: {}}}\n"
TO_LAKE = "kind: dataset\nconnection: lake\ndatasets: [orders, customers]\n"


def test_a_catalog_with_segments(tmp_path: Path) -> None:
    files = {**PEOPLE, "segments/best.yaml": "all_of: [vips]\n", "segments/better.yaml": "none_of: [best]\n"}
    catalog = load(write(tmp_path, files))
    assert set(catalog.segments) == {"vips", "best", "better"}
    assert set(catalog.dataset_exports) == {"to_lake"}
    assert set(catalog.segment_exports) == {"vips_to_crm"}
    assert catalog.segment_exports["vips_to_crm"].fields[0].source == "email"
    assert catalog.dataset_of("better") == "profiles"


REFERENCES: list[tuple[Files, list[str]]] = [
    (
        {"exports/x.yaml": "kind: segment\nconnection: crm\nsegments: [vip]\n"},
        ["exports/x.yaml:3: There is no segment 'vip' (did you mean 'vips'?)."],
    ),
    (
        {"segments/vips.yaml": "where: value > 1\nof: profile\n"},
        ["segments/vips.yaml:2: There is no dataset 'profile' (did you mean 'profiles'?)."],
    ),
    (
        {"segments/x.yaml": "all_of: [vips]\nnone_of:\n- vips\n- vps\n"},
        ["segments/x.yaml:4: There is no segment 'vps' (did you mean 'vips'?)."],
    ),
    (
        {"connections/crm.yaml": CRM + "suppress:\n- {dataset: order, column: a, matches: email}\n"},
        ["connections/crm.yaml:4: There is no dataset 'order' (did you mean 'orders'?)."],
    ),
    ({"segments/a.yaml": "any_of: [a]\n"}, ["segments/a.yaml:1: The segment 'a' is made of itself: a -> a. Take one of them out."]),
    (
        {"segments/a.yaml": "any_of: [b]\n", "segments/b.yaml": "any_of: [vips]\nnone_of: [c, a]\n", "segments/c.yaml": "all_of: [b]\n"},
        [
            "segments/b.yaml:2: The segment 'a' is made of itself: a -> b -> a. Take one of them out.",
            "segments/c.yaml:1: The segment 'b' is made of itself: b -> c -> b. Take one of them out.",
        ],
    ),
    (
        {"segments/x.yaml": "all_of: [vips]\nformerly: vips\n"},
        ["segments/x.yaml:2: `formerly`: 'vips' is still here; only an id that is gone can have been renamed."],
    ),
    (
        {f"segments/{name}.yaml": "all_of: [vips]\nformerly: old\n" for name in "ab"},
        ["segments/b.yaml:2: `formerly`: 'a' was formerly 'old' already; only one can be."],
    ),
    (
        {"segments/orders.yaml": "all_of: [vips]\n"},
        ["segments/orders.yaml:1: There is a dataset 'orders' too; in SQL both would be the table of that name. Rename one of them."],
    ),
    (
        {"exports/x.yaml": TO_CRM},
        [
            (
                "exports/x.yaml:3: 'vips' would be delivered into the folder of 'vips' of the export 'vips_to_crm', {parent}/crm/vips; "
                "each member needs its own, for example {export_id}/{segment_id}/exportTime={export_time} as `path`."
            )
        ],
    ),
    (
        {"exports/to_lake.yaml": TO_LAKE.replace("lake", "crm") + "path: vips/{dataset_id}/{export_time}\n"},
        [
            (
                "exports/to_lake.yaml:4: 'customers' would be delivered into a folder inside that of 'vips' of the export 'vips_to_crm', "
                "{parent}/crm/vips; each member needs its own, for example {export_id}/{dataset_id}/exportTime={export_time} as `path`."
            ),
            (
                "exports/to_lake.yaml:4: 'orders' would be delivered into a folder inside that of 'vips' of the export 'vips_to_crm', "
                "{parent}/crm/vips; each member needs its own, for example {export_id}/{dataset_id}/exportTime={export_time} as `path`."
            ),
        ],
    ),
    (
        {"environment.yaml": "name: acme\nstate: {type: local,\n  folder: ./crm/kept}\n"},
        [
            (
                "environment.yaml:3: `state`: {parent}/crm/kept lies in the folder of the connection 'crm', {parent}/crm; receivers "
                "would find "
                "there what is kept about them. Choose a folder of its own, beside those of all connections."
            )
        ],
    ),
    (
        {"environment.yaml": "name: acme\nstate: {type: local, folder: crm}\n"},
        [
            (
                "environment.yaml:2: `state`: {parent}/crm is the folder of the connection 'crm', {parent}/crm; receivers would find "
                "there what is kept about them. Choose a folder of its own, beside those of all connections."
            )
        ],
    ),
    (
        {"environment.yaml": "name: acme\nstate: {type: s3, bucket: acme}\n", "connections/x.yaml": "type: s3\nbucket: acme\nfolder: x\n"},
        [
            (
                "environment.yaml:2: `state`: s3://acme contains the folder of the connection 'x', s3://acme/x; receivers would find "
                "there what is kept about them. Choose a folder of its own, beside those of all connections."
            )
        ],
    ),
]

CONTRACTS: list[tuple[Files, list[str]]] = [
    (
        {"datasets/profiles.yaml": "role: profile\nsource: {format: delta, uri: x}\n"},
        [
            (
                "datasets/profiles.yaml:1: The segment 'vips' has its members from this dataset, and it declares no `key`: the columns "
                "that "
                "name each of them, `key: [...]`."
            ),
            (
                "datasets/profiles.yaml:1: The segment 'vips' has its members from this dataset, and it declares no `columns` with their "
                "types; `cdp-exports columns profiles` prints them."
            ),
        ],
    ),
    (
        {"datasets/profiles.yaml": PROFILES.replace("key: [profile_id]", "key:\n- Profile_id")},
        ["datasets/profiles.yaml:4: `key[0]`: there is no column 'Profile_id' among `columns` (did you mean 'profile_id'?)."],
    ),
    (
        {"datasets/profiles.yaml": PROFILES.replace("country: varchar", "country: varchr")},
        ["datasets/profiles.yaml:4: `columns.country`: There is no SQL type 'varchr' (did you mean 'varchar'?)."],
    ),
    (
        {"datasets/profiles.yaml": PROFILES.replace("country: varchar", "EMAIL: varchar")},
        ["datasets/profiles.yaml:4: `columns.EMAIL`: SQL cannot tell this column from 'email'; leave one out."],
    ),
    (
        {"datasets/profiles.yaml": PROFILES.replace("marketing: opt_in", "\n  marketing: optin")},
        ["datasets/profiles.yaml:6: `consent.marketing`: there is no column 'optin' among `columns` (did you mean 'opt_in'?)."],
    ),
    (
        {"datasets/profiles.yaml": PROFILES.replace("marketing: opt_in", "marketing: email")},
        [
            (
                "datasets/profiles.yaml:5: `consent.marketing`: 'email' is declared as `varchar`; consent is a column of true and "
                "false, `boolean`."
            )
        ],
    ),
    (
        {"connections/crm.yaml": CRM + "suppress:\n- {dataset: orders, column: email, matches: email}\n"},
        [
            (
                "datasets/orders.yaml:1: The connection 'crm' suppresses whom this dataset lists, and it declares no `columns` with their "
                "types; `cdp-exports columns orders` prints them."
            )
        ],
    ),
    (
        {"connections/crm.yaml": CRM + "purpose: marketting\n", "exports/x.yaml": TO_CRM + "path: x/{export_time}\n"},
        [
            (
                "datasets/profiles.yaml:5: The export 'vips_to_crm' sends rows of this dataset for the purpose 'marketting' of the "
                "connection "
                "'crm', and no column grants it (did you mean 'marketing'?): `consent: {marketting: <a boolean column>}`."
            )
        ],
    ),
    (
        {"exports/to_lake.yaml": "kind: dataset\nconnection: lake\ndatasets: [profiles]\nconsent: required\n"},
        [
            (
                "exports/to_lake.yaml:4: `consent`: the connection 'lake' has neither a `purpose` nor lists to `suppress`, so there is "
                "nothing "
                "to require. Declare one in connections/lake.yaml, or leave `consent` out."
            )
        ],
    ),
    (
        {
            "connections/lake.yaml": "type: local\nfolder: x\npurpose: analytics\n",
            "exports/to_lake.yaml": "kind: dataset\nconnection: lake\nconsent: required\ndatasets:\n- profiles\n- orders\n",
        },
        [
            (
                "datasets/orders.yaml:1: The export 'to_lake' sends only rows of this dataset that may leave, and it declares no "
                "`columns` with their types; `cdp-exports columns orders` prints them."
            ),
            (
                "datasets/profiles.yaml:5: The export 'to_lake' sends rows of this dataset for the purpose 'analytics' of the connection "
                "'lake', and no column grants it: `consent: {analytics: <a boolean column>}`."
            ),
            (
                "exports/to_lake.yaml:6: The dataset 'orders' is not eligible for `consent: required`: it has the role `other`, and "
                "consent is "
                "a person's. Choose datasets with the role `profile` or `contact`, or export it without `consent`."
            ),
        ],
    ),
]

ELIGIBILITY: list[tuple[Files, list[str]]] = [
    (
        {**ACCOUNTS, "environment.yaml": "name: acme\n", "segments/big.yaml": "all_of: [firms]\n"},
        [
            (
                "segments/firms.yaml:1: The segment 'firms' is not eligible in an environment of individuals: it is a segment of accounts. "
                "Choose a dataset with the role `profile`, or declare `audience: accounts` in environment.yaml."
            )
        ],
    ),
    (
        {"datasets/profiles.yaml": PROFILES.replace("role: profile", "role: event")},
        [
            (
                "segments/vips.yaml:1: The segment 'vips' is not eligible: its dataset 'profiles' has the role `event`, which has no "
                "members. "
                "Choose a dataset with the role `profile`, or declare the role in datasets/profiles.yaml."
            )
        ],
    ),
    (
        {**ACCOUNTS, "datasets/profiles.yaml": PROFILES.removeprefix("role: profile\n")},
        [
            (
                "segments/vips.yaml:1: The segment 'vips' is not eligible: its dataset 'profiles' has the role `other`, which has no "
                "members. "
                "Choose a dataset with the role `profile`, `account` or `contact`, or declare the role in datasets/profiles.yaml."
            )
        ],
    ),
    (
        {**ACCOUNTS, "connections/crm.yaml": CRM + "accepts: [people]\n"},
        [
            (
                "exports/firms_to_crm.yaml:3: The segment 'firms' is not eligible for the connection 'crm': it is a segment of "
                "accounts, and "
                "the connection accepts people only. Choose a segment of people (role `profile` or `contact`), or send the contacts of "
                "these "
                "accounts: `project: {dataset: contacts, by: [account_id]}`."
            )
        ],
    ),
    (
        {**ACCOUNTS, "connections/crm.yaml": CRM + "accepts: [accounts]\n", "exports/firms_to_crm.yaml": FIRMS_TO_CRM + PROJECT},
        [
            (
                "exports/firms_to_crm.yaml:4: `project` sends people, the contacts of accounts, and the connection accepts accounts "
                "only. Leave "
                "`project` out, or choose another connection."
            ),
            (
                "exports/vips_to_crm.yaml:3: The segment 'vips' is not eligible for the connection 'crm': it is a segment of people, "
                "and the "
                "connection accepts accounts only. Choose a segment of accounts (role `account`), or another connection."
            ),
        ],
    ),
    (
        {**ACCOUNTS, "exports/vips_to_crm.yaml": TO_CRM + PROJECT},
        [
            (
                "exports/vips_to_crm.yaml:4: The segment 'vips' is not eligible for `project`, which sends the contacts of accounts: "
                "it is a "
                "segment of people. Choose segments of accounts (role `account`) only, or leave `project` out."
            )
        ],
    ),
    (
        {**ACCOUNTS, "exports/firms_to_crm.yaml": FIRMS_TO_CRM + "project:\n  dataset: profiles\n  by: [profile_id]\n"},
        [
            (
                "exports/firms_to_crm.yaml:5: `project.dataset`: 'profiles' has the role `profile`, and `project` sends contacts. Choose a "
                "dataset with the role `contact`, or declare `role: contact` in datasets/profiles.yaml."
            )
        ],
    ),
    (
        {**ACCOUNTS, "exports/firms_to_crm.yaml": FIRMS_TO_CRM + "project:\n  dataset: contacts\n  by: [account_id, email]\n"},
        [
            (
                "exports/firms_to_crm.yaml:6: `project.by` names 2 columns of 'contacts', and the key of 'accounts' has 1 "
                "(account_id); name "
                "those that hold them, in this order."
            )
        ],
    ),
    (
        {
            **ACCOUNTS,
            "datasets/contacts.yaml": CONTACTS.replace("key: [contact_id]\n", ""),
            "exports/firms_to_crm.yaml": FIRMS_TO_CRM + PROJECT,
        },
        [
            (
                "datasets/contacts.yaml:1: The export 'firms_to_crm' sends the contacts in this dataset, and it declares no `key`: the "
                "columns "
                "that name each of them, `key: [...]`."
            )
        ],
    ),
    (
        {
            **ACCOUNTS,
            "connections/crm.yaml": CRM + "purpose: marketing\n",
            "exports/firms_to_crm.yaml": FIRMS_TO_CRM + PROJECT,
        },
        [
            (
                "datasets/contacts.yaml:1: The export 'firms_to_crm' sends rows of this dataset for the purpose 'marketing' of the "
                "connection "
                "'crm', and no column grants it: `consent: {marketing: <a boolean column>}`."
            )
        ],
    ),
]

LIMITS: list[tuple[Files, list[str]]] = [
    (
        {"exports/vips_to_crm.yaml": TO_CRM + "limits:\n  over: truncate\n  keep_by: value DESC\n"},
        [
            (
                "exports/vips_to_crm.yaml:5: `limits.over`: `truncate` needs to know how many members fit, and connections of the type "
                "`local` "
                "have no limit of their own; declare one, `limits: {audience: {max: 10000}, ...}`."
            )
        ],
    ),
]


NO_COLUMN = "There is no column 'valu' in profiles (did you mean 'value'?)."
SQL: list[tuple[Files, list[str]]] = [
    ({"segments/vips.yaml": "of: profiles\nwhere: valu > 500\n"}, [f"segments/vips.yaml:2: `where`: {NO_COLUMN}"]),
    ({"segments/vips.yaml": "of: profiles\nwhere: value >\n"}, ["segments/vips.yaml:2: `where`: "]),
    (
        {
            "segments/vips.yaml": "of: profiles\nwhere: valu > 500\n",
            "segments/best.yaml": "all_of: [vips]\n",
            **{
                f"exports/e{i}.yaml": TO_CRM.replace("vips", "best, vips") + f"path: e{i}/{{segment_id}}/{{export_time}}\n"
                for i in range(5)
            },
        },
        [f"segments/vips.yaml:2: `where`: {NO_COLUMN}"],
    ),
    (
        {"exports/vips_to_crm.yaml": TO_CRM + "fields:\n- {from: email}\n- {to: VALUE,\n  from: valu}\ndedupe_by:\n- email\n- valu\n"},
        [f"exports/vips_to_crm.yaml:7: `fields[1].from`: {NO_COLUMN}", f"exports/vips_to_crm.yaml:10: `dedupe_by[1]`: {NO_COLUMN}"],
    ),
    (
        {"exports/vips_to_crm.yaml": TO_CRM + "limits:\n  over: truncate\n  audience: {max: 9}\n  keep_by: valu DESC\n"},
        [f"exports/vips_to_crm.yaml:7: `limits.keep_by`: {NO_COLUMN}"],
    ),
    (
        {
            "datasets/orders.yaml": "source: {format: delta, uri: x}\nkey: [order_id]\ncolumns: {order_id: bigint, customer: bigint}\n",
            "segments/vips.yaml": "of: profiles\nsql: SELECT costumer AS profile_id FROM orders\n",
        },
        ["segments/vips.yaml:2: `sql`: There is no column 'costumer' (did you mean 'customer'?)."],
    ),
    (
        {"connections/crm.yaml": CRM + "suppress:\n- {dataset: profiles, column: email, matches: mail}\n"},
        ["connections/crm.yaml:4: `suppress[0].matches`: There is no column 'mail' in profiles (did you mean 'email'?)."],
    ),
    (
        {
            "connections/lake.yaml": "type: local\nfolder: x\npurpose: marketing\n" + SUPPRESS.format("mail"),
            "exports/to_lake.yaml": "kind: dataset\nconnection: lake\ndatasets: [profiles]\nconsent: required\n",
        },
        ["connections/lake.yaml:5: `suppress[0].matches`: There is no column 'mail' in profiles (did you mean 'email'?)."],
    ),
    (
        {**ACCOUNTS, "exports/firms_to_crm.yaml": FIRMS_TO_CRM + "project:\n  dataset: contacts\n  by: [acount_id]\n"},
        ["exports/firms_to_crm.yaml:6: `project.by[0]`: There is no column 'acount_id' in contacts (did you mean 'account_id'?)."],
    ),
    (
        {**ACCOUNTS, "segments/x.yaml": "any_of: [vips]\nall_of: [firms]\n"},
        ["segments/x.yaml:1: `any_of[0]`: 'vips' has members of 'profiles', and this segment of 'accounts'; "],
    ),
]


@pytest.mark.parametrize(("files", "says"), [*REFERENCES, *CONTRACTS, *ELIGIBILITY, *LIMITS])
def test_refused(tmp_path: Path, files: Files, says: list[str]) -> None:
    found = problems(write(tmp_path, {**PEOPLE, **files}))
    assert found == [f"catalog/{problem.replace('{parent}', str(tmp_path))}" for problem in says]


@pytest.mark.parametrize(("files", "begins"), SQL)
def test_wrong_sql_is_told_once_where_it_stands(tmp_path: Path, files: Files, begins: list[str]) -> None:
    found = problems(write(tmp_path, {**PEOPLE, **files}))
    assert len(found) == len(begins), found
    assert all(problem.startswith(f"catalog/{begin}") for problem, begin in zip(found, begins, strict=True)), found


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"environment.yaml": "name: acme\nstate: {type: local, folder: crm2}\n"}, id="state beside"),
        pytest.param(ACCOUNTS, id="accounts as they are"),
        pytest.param({**ACCOUNTS, "exports/firms_to_crm.yaml": FIRMS_TO_CRM + PROJECT}, id="contacts of accounts"),
        pytest.param(
            {**ACCOUNTS, "exports/firms_to_crm.yaml": FIRMS_TO_CRM + PROJECT, "connections/crm.yaml": CRM + "accepts: [people]\n"},
            id="contacts where people are taken",
        ),
        pytest.param(
            {
                **ACCOUNTS,
                "segments/ceos.yaml": "of: contacts\nwhere: email IS NOT NULL\n",
                "exports/x.yaml": TO_CRM.replace("vips", "ceos"),
            },
            id="contacts themselves",
        ),
        pytest.param({"connections/crm.yaml": CRM + "purpose: marketing\n"}, id="a purpose that a column grants"),
        pytest.param({"connections/lake.yaml": "type: local\nfolder: x\npurpose: marketing\n"}, id="a purpose for dataset exports alone"),
        pytest.param(
            {
                "connections/lake.yaml": "type: local\nfolder: x\npurpose: marketing\n" + SUPPRESS.format("email"),
                "exports/to_lake.yaml": "kind: dataset\nconnection: lake\ndatasets: [profiles]\nconsent: required\n",
            },
            id="consent of a dataset export",
        ),
        pytest.param({"segments/x.yaml": "all_of: [vips]\nnone_of: [y]\n", "segments/y.yaml": "any_of: [vips]\n"}, id="no circle"),
        pytest.param(
            {"exports/vips_to_crm.yaml": TO_CRM + "limits: {audience: {max: 10}, over: truncate, keep_by: value}\n"}, id="truncated"
        ),
    ],
)
def test_accepted(tmp_path: Path, files: Files) -> None:
    assert problems(write(tmp_path, {**PEOPLE, **files})) == []


def test_a_destination_with_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = Capabilities(
        proof=Proof.SIZE,
        formats=frozenset({"parquet"}),
        conditional_create=False,
        accepts_accounts=False,
        audience_max=300_000,
        audience_min=300,
        delivery_max=1_000,
    )
    monkeypatch.setattr(connection, "TYPES", {"local": replace(connection.TYPES["local"], capabilities=lists)})
    parquet = "format: {type: parquet}\n"
    files: Files = {
        **PEOPLE,
        **ACCOUNTS,
        "exports/to_lake.yaml": TO_LAKE + "format:\n  compression: none\n  type: csv\n",
        "exports/firms_to_crm.yaml": FIRMS_TO_CRM + parquet,
        "exports/vips_to_crm.yaml": TO_CRM + parquet + "limits:\n  audience: {max: 200}\n  delivery: {min: 2000}\n",
        "exports/x.yaml": TO_CRM + parquet + "path: x/{export_time}\nlimits: {over: truncate, keep_by: value}\n",
    }
    assert problems(write(tmp_path, files)) == [
        (
            "catalog/exports/firms_to_crm.yaml:3: The segment 'firms' is not eligible for the connection 'crm': it is a segment of "
            "accounts, and "
            "connections of the type `local` take people only. Choose a segment of people (role `profile` or `contact`), or send "
            "the contacts "
            "of these accounts: `project: {dataset: contacts, by: [account_id]}`."
        ),
        "catalog/exports/to_lake.yaml:6: `format`: connections of the type `local` do not take `csv`; they take `parquet`.",
        (
            "catalog/exports/vips_to_crm.yaml:6: `limits.audience.max` is 200, and connections of the type `local` take at least 300; "
            "choose a greater one, or leave it out."
        ),
        (
            "catalog/exports/vips_to_crm.yaml:7: `limits.delivery.min` is 2000, and connections of the type `local` take at most 1000; "
            "choose a smaller one, or leave it out."
        ),
    ]


def test_a_wrong_environment_brings_no_other_problems(tmp_path: Path) -> None:
    found = problems(write(tmp_path, {**PEOPLE, **ACCOUNTS, "environment.yaml": "name: acme\naudience: account\n"}))
    assert found == [
        "catalog/environment.yaml:2: `audience`: 'account' is not one of 'individuals', 'accounts' (did you mean 'accounts'?)."
    ]


def test_wrong_segments_bring_no_other_problems(tmp_path: Path) -> None:
    """Nothing is said about what is made of a segment that cannot be read."""
    files: Files = {**PEOPLE, "segments/vips.yaml": "of: profiles\nwere: value > 500\n", "segments/x.yaml": "all_of: [vips]\n"}
    found = problems(write(tmp_path, files))
    assert {problem.partition(":")[0] for problem in found} == {"catalog/segments/vips.yaml"}


def test_segments_made_of_too_many(tmp_path: Path) -> None:
    doubled: Files = {f"segments/s{i}.yaml": f"all_of: [s{i - 1}]\nany_of: [s{i - 1}]\n" for i in range(1, 30)}
    [found] = problems(write(tmp_path, {**PEOPLE, **doubled, "segments/s0.yaml": "all_of: [vips]\n"}))
    assert found == (
        "catalog/segments/s7.yaml:1: The segment 's7' is made of 383 segments in the end, 9 deep; at most 200 and 50 deep can be combined. "
        "Write it as `sql`."
    )


def test_a_long_chain_of_segments_and_a_long_circle(tmp_path: Path) -> None:
    chain: Files = {f"segments/s{i}.yaml": f"all_of: [s{i + 1}]\n" for i in range(2_000)}
    [found] = problems(write(tmp_path / "circle", {**PEOPLE, **chain, "segments/s2000.yaml": "all_of: [s0]\n"}))
    assert "is made of itself: s0 -> s1 -> s2 ->" in found
    [found] = problems(write(tmp_path / "chain", {**PEOPLE, **chain, "segments/s2000.yaml": "all_of: [vips]\n"}))
    assert "'s1951' is made of 51 segments in the end, 51 deep;" in found
