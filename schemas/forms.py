"""Forms: the structs that the JSON values of one topic can have, distinguished by their field `type`."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin

import msgspec

T_co = TypeVar("T_co", covariant=True)


class Form(Generic[T_co]):
    """One struct, or a union of several, each with a tag. Calling it decodes bytes that the product itself has written.

    Values from outside are read by `meter/core/decode.py`, which decides more than the codec does. `decode` is the
    codec, from bytes to a struct. It raises msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError or
    OverflowError.
    """

    def __init__(self, structs: Any) -> None:
        self.type = structs
        self.decode: Callable[[bytes], T_co] = msgspec.json.Decoder(structs).decode
        every: tuple[type[msgspec.Struct], ...] = get_args(structs) or (structs,)
        self.structs = {str(each.__struct_config__.tag): each for each in every}
        """The structs by their tag."""
        self.data = {tag: each for tag, struct in self.structs.items() if (each := _data_of(struct)) is not None}
        """The struct of the field `data`, by the same tag, for those that have it."""
        self.choices = {path: words for each in every for path, words in _choices(each, "")}
        """The words that a field allows, by its path such as `data.actor`; only of fields that allow few words."""

    def __call__(self, value: bytes) -> T_co:
        return self.decode(value)


def _data_of(struct: type[msgspec.Struct]) -> type[msgspec.Struct] | None:
    return next((field.type for field in msgspec.structs.fields(struct) if field.name == "data"), None)


def _choices(struct: type[msgspec.Struct], prefix: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for field in msgspec.structs.fields(struct):
        for part in (field.type, *get_args(field.type)):
            if get_origin(part) is Literal:
                yield prefix + field.name, get_args(part)
            elif isinstance(part, type) and issubclass(part, msgspec.Struct):
                yield from _choices(part, f"{prefix}{field.name}.")
