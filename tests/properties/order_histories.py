"""Histories of orders and auto-reloads: any acts, and long ones around an auto-reload."""

from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.oracle.build import DAY, HOUR, MIN
from tests.oracle.orders import Setting

USD = 1_000_000
SCOPES = ("", "b")
AMOUNTS = (99 * USD, 100 * USD, 130 * USD)
METHODS = {"m": "card", "a": "ach"}
Act = tuple[Any, ...]

scopes = st.sampled_from(SCOPES)
index = st.integers(0, 30)
payments = st.sampled_from(("p", "q"))
acts: st.SearchStrategy[Act] = st.one_of(
    st.tuples(st.just("debit"), st.sampled_from(("b", "c"))),
    st.tuples(st.just("debit"), st.sampled_from(("b", "c"))),
    st.tuples(st.just("undo"), index),
    st.tuples(st.just("buy"), scopes, st.integers(1, 200).map(lambda dollars: dollars * USD)),
    st.tuples(st.just("passes"), st.sampled_from((1, MIN, 59 * MIN, HOUR - 1, HOUR, 9 * HOUR, DAY, 12 * DAY))),
    st.tuples(st.just("place"), scopes, st.sampled_from(AMOUNTS), st.sampled_from(("card", "paypal", "wire", "ach"))),
    st.tuples(st.just("settle"), index, payments, st.sampled_from((0, 0, 0, 1))),
    st.tuples(st.just("settle"), index, payments, st.just(0)),
    st.tuples(st.just("fail"), index),
    st.tuples(st.just("fail"), index),
    st.tuples(st.just("act"), index),
    st.tuples(st.just("cancel"), index),
    st.tuples(st.just("refund"), index, st.sampled_from((1, 40 * USD, 100 * USD))),
    st.tuples(st.just("save"), st.sampled_from(tuple(METHODS))),
    st.tuples(st.just("remove"), st.sampled_from(tuple(METHODS))),
    st.tuples(
        st.just("set"),
        scopes,
        st.builds(
            Setting,
            enabled=st.sampled_from((True, True, True, False)),
            amount=st.sampled_from(AMOUNTS),
            threshold=st.sampled_from((0, 50 * USD, 100 * USD, 330 * USD)),
            method=st.sampled_from(tuple(METHODS)),
            per_day=st.sampled_from((None, None, 150 * USD, 300 * USD)),
            per_month=st.sampled_from((None, None, 400 * USD)),
        ),
    ),
)
reloading: list[Act] = [
    ("save", "m"),
    ("buy", "", 100 * USD),
    ("buy", "b", 100 * USD),
    ("set", "", Setting(True, 100 * USD, 50 * USD, "m")),
    ("set", "b", Setting(True, 130 * USD, 100 * USD, "m", 300 * USD)),
]


def eventful(seed: int) -> list[Act]:
    """A long history around an auto-reload: many debits, and answers mostly to the newest orders."""
    rng = Random(seed)
    weights = {"debit": 9, "passes": 6, "fail": 6, "settle": 4, "refund": 3, "place": 2, "cancel": 2, "undo": 1}
    rare = {"set": 1, "buy": 1, "act": 1, "save": 1, "remove": 1}
    kinds = rng.choices([*weights, *rare], [4 * each for each in weights.values()] + [*rare.values()], k=80)
    return reloading + [_eventful_act(rng, kind) for kind in kinds]


def _eventful_act(rng: Random, kind: str) -> Act:
    number, scope, method = rng.choice((-1, -1, -1, -2, -3, rng.randrange(30))), rng.choice(SCOPES), rng.choice("mma")
    rest: dict[str, Act] = {
        "debit": (rng.choice("bc"),),
        "passes": (rng.choice((1, MIN, HOUR - 1, HOUR, 9 * HOUR, 15 * HOUR, 12 * DAY)),),
        "settle": (number, rng.choice("ppq"), rng.choice((0, 0, 0, 1))),
        "refund": (number, rng.choice((1, 40 * USD, 100 * USD))),
        "place": (scope, rng.choice(AMOUNTS), rng.choice(("card", "paypal", "wire", "ach"))),
        "buy": (scope, rng.randrange(1, 90) * USD),
        "save": (method,),
        "remove": (method,),
        "set": (scope, _setting(rng, method)),
    }
    return (kind, *rest.get(kind, (number,)))


def _setting(rng: Random, method: str) -> Setting:
    per_day = rng.choice((None, 130 * USD, 300 * USD))
    return Setting(True, rng.choice(AMOUNTS), rng.choice((50, 100, 330)) * USD, method, per_day)


histories = st.lists(acts, max_size=40) | st.integers(0, 2**32).map(eventful)
