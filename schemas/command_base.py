"""The base of all account commands: the fields of their envelope, and the types of amounts and texts in them."""

from typing import Annotated, Literal

import msgspec

from schemas.events import Instant, Name

Amount = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
"""Micro-dollars, from 0 to a billion dollars."""

PositiveAmount = Annotated[int, msgspec.Meta(gt=0, le=10**15)]
"""Micro-dollars, above 0 and at most a billion dollars."""

Text = Annotated[str, msgspec.Meta(max_length=512)]
"""A name for people: at most 512 characters."""


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """The fields that all account commands have. (workspace, `source`, `id`) identifies a command for ever."""

    specversion: Literal["1.0"]
    id: Name
    source: Name
    time: Instant
