"""The key of a form that sends: one of ours, and the same until somebody wants something else."""

from services.gateway.dashboard.messages.composing import key_after, key_of
from services.gateway.errors import KeyReused, RateLimited
from shared.errors import Invalid, Unavailable

KEY = "0f" * 16


def test_a_key_is_one_of_ours_or_another_one() -> None:
    assert key_of(KEY) == KEY
    for typed in ("", KEY.upper(), KEY + "0f", KEY + "\n"):
        made = key_of(typed)
        assert made not in (typed, key_of(typed))
        assert key_of(made) == made


def test_a_key_stays_until_another_text_is_wanted() -> None:
    assert {key_after(error, KEY) for error in (Invalid("x"), RateLimited(1), Unavailable("x"))} == {KEY}
    assert key_after(KeyReused(), KEY) != KEY
