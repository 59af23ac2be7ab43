"""What the API takes and gives of customers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from control_plane.api.model import ApiModel, Id, Instant, Line, Name
from control_plane.api.paging import Listing
from control_plane.customers.numbers import e164

Number = Annotated[str, Field(max_length=40), AfterValidator(e164)]
Dialled = Annotated[str, Field(min_length=1, max_length=40)]
"""A number as people or the telephone network write it: the tenant's region says what it means."""
FieldName = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z][a-z0-9_]*$")]
Tag = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Language = Annotated[str, Field(max_length=12, pattern=r"^([a-z]{2,3}(-[A-Za-z0-9]{2,8})?)?$")]
Email = Annotated[str, Field(max_length=254, pattern=r"^([^@\s]+@[^@\s]+)?$")]
Notes = Annotated[str, Field(max_length=20_000)]
Secret = Annotated[str, Field(min_length=1, max_length=500)]
Consent = dict[FieldName, bool]


class Discreet(ApiModel):
    """Says nothing of what it holds in logs and traces."""

    def __repr__(self) -> str:
        """Return the model's name only."""
        return f"{type(self).__name__}(...)"


class CustomerPath(ApiModel):
    """Which one."""

    customer: Id


class NumberPath(Discreet):
    """Whose number."""

    number: Dialled


class MergePath(ApiModel):
    """Which merge."""

    merge: Id


class CustomerListing(Listing):
    """What is searched for. A field that may not be seen in full cannot be searched either."""

    name: Annotated[str, Field(min_length=2, max_length=100)] | None = None
    """Beginnings of words."""
    number: Dialled | None = None
    tag: Tag | None = None
    field: FieldName | None = None
    """A sensitive field that is searchable, and with it `value`, exactly."""
    value: Secret | None = None


class CustomerDraft(Discreet):
    """What can be said of somebody."""

    name: Name
    numbers: Annotated[tuple[Number, ...], Field(max_length=20)] = ()
    """Telephone numbers, E.164: `+4930123456`."""
    email: Email = ""
    address: Line = ""
    language: Language = ""
    notes: Notes = ""
    tags: Annotated[tuple[Tag, ...], Field(max_length=50)] = ()
    consent: Annotated[Consent, Field(max_length=20)] = Field(default_factory=dict)
    """By purpose whether they agree."""
    sensitive: Annotated[dict[FieldName, Secret], Field(max_length=20)] = Field(
        default_factory=dict
    )
    """Fields that the tenant has marked: sealed under the customer's own key."""


class CustomerChange(Discreet):
    """What is to be another; what is left out stays."""

    name: Name | None = None
    numbers: Annotated[tuple[Number, ...] | None, Field(max_length=20)] = None
    """Telephone numbers, E.164: `+4930123456`."""
    email: Email | None = None
    address: Line | None = None
    language: Language | None = None
    notes: Notes | None = None
    tags: Annotated[tuple[Tag, ...] | None, Field(max_length=50)] = None
    consent: Annotated[Consent | None, Field(max_length=20)] = None
    """By purpose whether they agree."""
    sensitive: Annotated[dict[FieldName, Secret | None] | None, Field(max_length=20)] = None
    """Fields that the tenant has marked, field by field: sealed under the customer's own key. Null
    empties one."""


class BasicView(Discreet):
    """Who it is."""

    name: str
    language: str
    tags: tuple[str, ...]
    consent: dict[str, bool]
    is_masked: bool


class ContactView(Discreet):
    """How to reach them."""

    numbers: tuple[str, ...]
    email: str
    address: str
    is_masked: bool


class CustomerView(Discreet):
    """What the policy lets this subject see; a group that it may not see is null."""

    id: str
    tenant: str
    created: Instant
    updated: Instant
    has_legal_hold: bool | None
    """null to whoever sees them masked: that a court asks for them is not their business."""
    merged_into: str | None
    basic: BasicView | None
    contact: ContactView | None
    notes: str | None
    sensitive: tuple[str, ...] | None
    """The names of the sensitive fields that are filled; their values stand elsewhere."""


class PopView(ApiModel):
    """Who may be calling."""

    customers: tuple[CustomerView, ...]


class SensitiveView(Discreet):
    """The sensitive fields, readable."""

    fields: dict[str, str]


class InteractionView(ApiModel):
    """One entry of a history."""

    at: Instant
    kind: str
    reference: str
    what: str
    by: str


class HistoryView(ApiModel):
    """The newest first."""

    items: tuple[InteractionView, ...]


class HoldChange(ApiModel):
    """Whether it has to be kept."""

    has_legal_hold: bool


class FieldsView(ApiModel):
    """The sensitive fields of a tenant: name -> whether it can be searched exactly."""

    fields: dict[str, bool]


class FieldDraft(ApiModel):
    """A field that is sensitive here."""

    name: FieldName
    is_searchable: bool = False
    """Customers can be found by it, exactly as it is written."""


class MergeDraft(ApiModel):
    """Who is in truth the one in the path."""

    gone: Id
    """The customer who is the same, and has been another so far."""


class MergeView(ApiModel):
    """One merge, which can be undone."""

    id: str
    kept: str
    gone: str


class DuplicatesView(ApiModel):
    """Who has the same number, or the same name."""

    customers: tuple[CustomerView, ...]


class SharedNumberView(Discreet):
    """A number that several customers have: perhaps they are one."""

    number: str
    customers: tuple[CustomerView, ...]
    """Ten at most."""


class SubjectAccess(ApiModel):
    """All that is held of one customer."""

    customer: CustomerDraft
    merged: tuple[CustomerDraft, ...]
    """Who turned out to be the same."""
    id: str
    created: Instant
    updated: Instant
    history: tuple[InteractionView, ...]
    also: dict[str, tuple[dict[str, str], ...]]
    """What other parts of the center hold of them, by its name."""


class ImportQuery(ApiModel):
    """How a file is read."""

    dry_run: Literal["true", "false"] = "false"
    """Nothing is added: only the report is told."""
    region: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    """For numbers in national form; left out: the one of the tenant's trunks."""
    known: Literal["add", "skip"] = "add"
    """What becomes of whoever has a number of a customer, or of an earlier line."""
