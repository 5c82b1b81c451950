"""Connections to the matched audiences of a LinkedIn ad account."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import StringConstraints, model_validator

from cdp_exports.entities.receiver import Receiver
from cdp_exports.entities.secret import Secret
from cdp_exports.entities.store_address import Endpoint

VERSION = "202607"
"""LinkedIn keeps a version for at least a year after its month: https://learn.microsoft.com/linkedin/marketing/versioning."""


class LinkedInConnection(Receiver):
    """An ad account of LinkedIn Campaign Manager.

    Signs in with an access token, or with a refresh token, from which access tokens are made. Both are made by a member of LinkedIn
    who authorizes the application with the scopes `rw_dmp_segments` and `rw_ads`, and has another role than Viewer in the ad account.
    """

    account_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,19}$")]
    """The ad account's number, as Campaign Manager shows it; in quotes."""

    source_platform: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_:.-]{1,100}$")]
    """The name under which LinkedIn admitted the application to its Audiences program."""

    access_token: Secret | None = None
    """An access token; LinkedIn's are valid for 60 days."""

    client_id: Secret | None = None
    """The application's client id; with `client_secret` and `refresh_token`."""

    client_secret: Secret | None = None
    """The application's client secret; with `client_id` and `refresh_token`."""

    refresh_token: Secret | None = None
    """A refresh token; LinkedIn's are valid for a year. With `client_id` and `client_secret`."""

    api_version: Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}(0[1-9]|1[0-2])(\.[0-9]{2})?$")] = VERSION
    """The version of LinkedIn's Marketing API, a year and a month."""

    endpoint_url: Endpoint | None = None
    """Where both the API and the sign-in answer, if that is not https://api.linkedin.com and https://www.linkedin.com: a proxy, or a
    test server."""

    @model_validator(mode="after")
    def _one_way_to_sign_in(self) -> Self:
        renewal = (self.client_id, self.client_secret, self.refresh_token)
        if any(renewal) and not all(renewal):
            raise ValueError("`client_id`, `client_secret` and `refresh_token` go together")
        if bool(self.access_token) == any(renewal):
            raise ValueError("name either an `access_token`, or `client_id`, `client_secret` and `refresh_token`")
        return self


class LinkedInContactsConnection(LinkedInConnection):
    """Matched audiences of people, told by hashed e-mail address, Google advertising id, or name."""

    type: Literal["linkedin_contacts"]
    """The kind of destination."""

    def place(self, root: Path) -> tuple[str, ...]:
        return "linkedin", self.account_id, "contacts"


class LinkedInCompaniesConnection(LinkedInConnection):
    """Matched audiences of companies: the account segments' way to LinkedIn."""

    type: Literal["linkedin_companies"]
    """The kind of destination."""

    def place(self, root: Path) -> tuple[str, ...]:
        return "linkedin", self.account_id, "companies"
