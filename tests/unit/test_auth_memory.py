"""What a credential in memory is worth, and how changes replace what was known."""

from dataclasses import replace

from services.auth.memory import LEEWAY_S, Account, Changes, Credential, Memory, Revoked, has_secret
from services.auth.signing import Keyring, Schedule
from shared.security.secrets import digest
from shared.security.vault import Vault

KEY = Credential("api_key", "key_1", 7, b"d", ("sms:send",))
CLIENT = Credential("client", "c" * 32, 7, b"s", ("sms:send", "sms:read"))


def memory(*credentials: Credential, account: Account | None = None, epoch: int = 3) -> Memory:
    made = Memory(Keyring(Vault("secret"), Schedule(86_400.0, 3600.0)))
    made.apply(Changes(epoch, accounts=[account or Account(7)], credentials=list(credentials)))
    return made


def test_a_credential_counts_until_it_expires() -> None:
    known = memory(replace(KEY, expires_at=100.0))
    assert known.verdict("api_key", b"d", now=99.9).account == 7
    assert known.verdict("api_key", b"d", now=100.0).account is None


def test_a_verdict_tells_the_epoch_also_when_nobody_is_known() -> None:
    verdict = memory().verdict("api_key", b"d", now=0.0)
    assert (verdict.account, verdict.epoch) == (None, 3)


def test_a_verdict_carries_what_the_edge_needs() -> None:
    account = Account(7, time_zone="Europe/Paris", region="FR", max_parts=4, rate_per_minute=60, daily_sends=1000)
    verdict = memory(KEY, account=account).verdict("api_key", b"d", now=0.0)
    assert (verdict.subject, verdict.active, verdict.time_zone, verdict.region) == ("key_1", True, "Europe/Paris", "FR")
    assert (verdict.max_parts, verdict.rate_per_minute, verdict.daily_sends) == (4, 60, 1000)
    own = memory(replace(KEY, rate_per_minute=600), account=account).verdict("api_key", b"d", now=0.0)
    assert own.rate_per_minute == 600


def test_an_account_s_change_reaches_all_its_credentials() -> None:
    known = memory(KEY, CLIENT)
    known.apply(Changes(4, accounts=[Account(7, active=False)]))
    assert not known.verdict("api_key", b"d", now=0.0).active
    assert not known.verdict("client", digest(CLIENT.id), now=0.0).active


def test_a_rotated_key_s_former_secret_counts_until_its_time() -> None:
    known = memory(KEY)
    known.apply(Changes(4, credentials=[replace(KEY, digest=b"new", old_digest=b"d", old_until=50.0)]))
    assert [known.verdict("api_key", shown, now=49.0).account for shown in (b"new", b"d")] == [7, 7]
    assert [known.verdict("api_key", shown, now=50.0).account for shown in (b"new", b"d")] == [7, None]


def test_a_replaced_secret_is_forgotten() -> None:
    known = memory(KEY)
    known.apply(Changes(4, credentials=[replace(KEY, digest=b"new")]))
    assert known.verdict("api_key", b"d", now=0.0).account is None


def test_what_ended_is_forgotten_also_if_it_was_never_known() -> None:
    known = memory(KEY)
    known.apply(Changes(4, credentials=[replace(KEY, ended=True), replace(CLIENT, ended=True)]))
    assert known.verdict("api_key", b"d", now=0.0).account is None
    assert known.client(CLIENT.id, now=0.0) is None


def test_a_client_is_asked_for_by_its_id() -> None:
    known = memory(CLIENT)
    assert known.verdict("client", digest(CLIENT.id), now=0.0).subject == CLIENT.id
    assert known.verdict("client", b"s", now=0.0).account is None


def test_a_client_s_secrets_overlap_and_end() -> None:
    assert has_secret(CLIENT, b"s", now=0.0)
    assert not has_secret(CLIENT, b"", now=0.0)
    rotated = replace(CLIENT, digest=b"new", old_digest=b"s", old_until=50.0)
    assert [has_secret(rotated, b"s", now) for now in (49.0, 50.0)] == [True, False]
    assert has_secret(rotated, b"new", now=99.0)


def test_trust_tells_revocations_since_an_epoch_and_all_when_the_epoch_went_back() -> None:
    known = memory()
    known.apply(Changes(5, revoked=[Revoked("a", 1000, 4), Revoked("b", 1000, 5)]))

    def told(since: int) -> set[str]:
        return {each.jti for each in known.trust("https://x", since, now=0.0).revoked}

    assert (told(0), told(4), told(5), told(6)) == ({"a", "b"}, {"b"}, set(), {"a", "b"})


def test_a_revocation_is_forgotten_after_its_token() -> None:
    known = memory()
    known.apply(Changes(4, revoked=[Revoked("a", 1000, 4)]))
    known.forget(1000 + LEEWAY_S)
    assert known.is_revoked("a")
    known.forget(1000 + LEEWAY_S + 1)
    assert not known.is_revoked("a")
