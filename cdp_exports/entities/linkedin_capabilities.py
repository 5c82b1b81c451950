"""What LinkedIn's matched audiences take: people, or companies.

Facts: `DMP Segment Users` and `DMP Segment Companies` of https://learn.microsoft.com/linkedin/marketing/matched-audiences (5,000
changes in a call; the ids of people are `SHA256_EMAIL`, `SHA512_EMAIL` and `GOOGLE_AID`, since 2025 no longer `APPLE_IDFA`), and the
limits that users of Customer Insights know: 300 members at least, 100,000 at most.

Not found in what LinkedIn publishes: that a change may be sent twice. To add who is in and to remove who is not is taken to change
nothing. Nor seen: the names `companyPageUrl` and `stockSymbol` in the companies' schema; they follow its other names.
"""

from __future__ import annotations

from cdp_exports.entities.capabilities import Capabilities, Known, Members, Repeat

_EMAIL = ("trim", "lower", "sha256")
_WORD = ("trim", "lower")

CONTACTS = Capabilities(
    proof=None,
    formats=frozenset(),
    conditional_create=False,
    accepts_accounts=False,
    audience_min=300,
    audience_max=100_000,
    members=Members(
        batch_max=5000,
        repeat=Repeat.HARMLESS,
        takes_key=False,
        fields=(
            Known("email", "An e-mail address; it leaves as SHA-256 of its lower-case form.", identity=True, transforms=_EMAIL),
            Known("email_sha256", "SHA-256 of a lower-case e-mail address, as hex.", identity=True, transforms=_WORD),
            Known("google_aid", "A Google advertising id.", identity=True, transforms=_WORD),
            Known("first_name", "A first name; with `last_name`. LinkedIn takes names as they are.", transforms=("trim",)),
            Known("last_name", "A last name; with `first_name`.", transforms=("trim",)),
            Known("title", "A job title: helps to match.", transforms=("trim",)),
            Known("company", "The employer's name: helps to match.", transforms=("trim",)),
            Known("country", "A country's two-letter code: helps to match.", transforms=("trim", "upper")),
        ),
        any_of=(
            frozenset({"email"}),
            frozenset({"email_sha256"}),
            frozenset({"google_aid"}),
            frozenset({"first_name", "last_name"}),
        ),
    ),
)

COMPANIES = Capabilities(
    proof=None,
    formats=frozenset(),
    conditional_create=False,
    accepts_people=False,
    audience_min=300,
    audience_max=100_000,
    members=Members(
        batch_max=5000,
        repeat=Repeat.HARMLESS,
        takes_key=False,
        fields=(
            Known("company_name", "The company's name.", transforms=("trim",)),
            Known("website", "The company's web site: its domain, or an address there.", identity=True, transforms=_WORD),
            Known("email_domain", "What stands behind the @ of its e-mail addresses.", identity=True, transforms=_WORD),
            Known("linkedin_page", "The address of its LinkedIn page.", identity=True, transforms=("trim",)),
            Known("linkedin_id", "Its LinkedIn organization: the number, or the URN.", identity=True, transforms=_WORD),
            Known("stock_symbol", "Its stock symbol.", identity=True, transforms=("trim", "upper")),
        ),
        any_of=(
            frozenset({"company_name"}),
            frozenset({"website"}),
            frozenset({"email_domain"}),
            frozenset({"linkedin_page"}),
            frozenset({"linkedin_id"}),
            frozenset({"stock_symbol"}),
        ),
    ),
)
