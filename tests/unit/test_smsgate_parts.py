"""The pure parts of the app's protocol at the gateway: words of failures, times, items, lists of events, places."""

import time

import pytest

from services.dispatcher.apps import places_of
from services.dispatcher.store.apps import Arrived
from services.gateway.phones.smsgate import facts, wire
from services.gateway.phones.smsgate.door import Owner
from services.gateway.phones.smsgate.outcomes import reason, told
from services.gateway.phones.smsgate.receiver import Capabilities
from services.gateway.phones.smsgate.wire import Reported, read
from shared.contracts.phone import Sim
from shared.contracts.rpc.apps import AppJob
from shared.errors import Invalid
from shared.model.ids import MessageId, attempt_id

ATTEMPT = attempt_id(MessageId(bytes(range(20))), 3)
OWNER = Owner(7, "d" * 21)


@pytest.mark.parametrize(
    ("error", "sent", "expected"),
    [
        ("Send result: RESULT_ERROR_NO_SERVICE", False, "no_service"),
        ("Send result: RESULT_ERROR_RADIO_OFF", False, "radio_off"),
        ("Send result: RESULT_ERROR_LIMIT_EXCEEDED (5)", False, "limit_exceeded"),
        ("Send result: RESULT_ERROR_SHORT_CODE_NEVER_ALLOWED", False, "invalid_number"),
        ("Send result: RESULT_NETWORK_REJECT", False, "carrier_rejected"),
        ("Send result: RESULT_RIL_SIM_ABSENT", False, "sim_missing"),
        ("Send result: RESULT_UNEXPECTED_EVENT_STOP_SENDING (Failed because the user)", False, "limit_exceeded"),
        ("Send result: RESULT_RIL_NETWORK_NOT_READY (The network)", False, "no_service"),
        ("Send result: RESULT_NO_DEFAULT_SMS_APP", False, "no_permission"),
        ("Send result: RESULT_REQUEST_NOT_SUPPORTED", False, "no_subscription"),
        ("Send result: RESULT_ERROR_GENERIC_FAILURE", False, "generic"),
        ("Send result: RESULT_ERROR_NO_SERVICE", True, "partly_sent"),
        ("Send result:", False, "generic"),
        ("Delivery result: STATUS_FAILED", True, "undelivered"),
        ("Delivery result from SC +49171: 70", True, "undelivered"),
        ("TTL expired", False, "expired"),
        ("No SIMs found", False, "no_sim"),
        ("sendSMS: Invalid destinationAddress", False, "invalid_number"),
        ("sendSMS: Neither user nor process has android.permission.SEND_SMS", False, "no_permission"),
        ("anything else", False, "generic"),
        ("", False, "generic"),
    ],
)
def test_the_words_of_failures(error: str, sent: bool, expected: str) -> None:
    assert reason(error, sent=sent) == expected


def test_a_report_tells_all_its_states() -> None:
    said = Reported(
        id=ATTEMPT,
        state="Failed",
        recipients=[wire.RecipientState("Delivered")],
        states={
            "Pending": "2026-11-22T10:00:00.000Z",
            "Sent": "2026-11-22T12:00:01.500+02:00",
            "Delivered": None,
            "Odd": "x",
        },
    )
    found = told(*OWNER, said, 1_800_000_000.0)
    assert found is not None
    assert [(each.state, each.at) for each in found.reports] == [
        ("sent", 1_795_341_601.5),
        ("delivered", 1_800_000_000.0),
    ]
    assert {(each.account, each.device, each.number) for each in found.reports} == {(*OWNER, 3)}
    assert told(*OWNER, Reported(id="x", state="Sent"), 0) is None
    pending = told(*OWNER, Reported(id=ATTEMPT.upper(), state="Pending"), time.time())
    assert pending is not None
    assert pending.reports == []


def test_an_item_is_what_the_app_can_read() -> None:
    job = AppJob(
        attempt=ATTEMPT, sim=8, number="+1", text="a", valid_until_ms=1_800_000_000_120, priority=300, cancel=True
    )
    item = wire.message(job)
    assert "simNumber" not in item
    assert (item["priority"], item["state"], item["validUntil"]) == (127, "Cancelling", "2027-01-15T08:00:00.120Z")
    assert wire.date(1_800_000_000_000) == "2027-01-15T08:00:00.000Z"


@pytest.mark.parametrize("text", [None, "", "never", "2026-11-22T10:00:00", "9" * 400])
def test_what_is_no_time(text: str | None) -> None:
    assert wire.instant_ms(text) is None


def test_sims_that_cannot_be_named_are_left_out() -> None:
    body = b'{"simCards":[{"simNumber":2,"carrierName":"c"},{"simNumber":4},{"simNumber":0},{}],"new":1}'
    assert read(body, wire.Described).sims == [Sim(slot=2, carrier="c")]
    assert read(b"{}", wire.Described).sims is None
    for bad in (b"", b"[]", b'{"simCards":1}', b"\xff", b"[" * 100_000):
        with pytest.raises(Invalid):
            read(bad, wire.Described)


def test_settings_stay_the_same_and_reset_nothing() -> None:
    sections = facts.settings("k", (0, 0))
    assert sections == facts.settings("k", (0, 0))
    assert sections["messages"]["processing_order"] == "FIFO"
    assert sections["gateway"] == {"notification_channel": "SSE_ONLY"}
    assert all(value is not None for section in sections.values() for value in section.values())


@pytest.mark.parametrize(("pause_ms", "told"), [((0, 0), (0, 0)), ((1, 1000), (1, 1)), ((1500, 2001), (2, 3))])
def test_the_app_never_rests_for_less_than_its_owner_wishes(pause_ms: tuple[int, int], told: tuple[int, int]) -> None:
    messages = facts.settings("k", pause_ms)["messages"]
    assert (messages["send_interval_min"], messages["send_interval_max"]) == told


def test_only_known_events_are_asked_for() -> None:
    assert len(facts.webhooks("u", "me.capcom.smsgateway/1.68.0")) == 4
    assert len(facts.webhooks("u", "me.capcom.smsgateway/2.0")) == 4
    for agent in ("me.capcom.smsgateway/1.67.9", "me.capcom.smsgateway/x", ""):
        assert [each["event"] for each in facts.webhooks("u", agent)] == ["sms:received", "system:ping"]


def test_a_capability_is_recognised_after_the_secret_has_changed() -> None:
    old, new = Capabilities("http://x", "old", []), Capabilities("http://x", "new", ["old"])
    url = old.url(OWNER)
    capability = url.rpartition("/")[2]
    assert old.url(OWNER) == url
    assert new.owner(capability) == OWNER
    assert Capabilities("http://x", "new", []).owner(capability) is None
    for wrong in ("", "x", "A" * 60, capability[:-1], capability[::-1], "\u00e4" * 60):
        assert new.owner(wrong) is None
    assert new.signing_key(OWNER.device) != old.signing_key(OWNER.device)


@pytest.mark.parametrize(
    ("slots", "seconds_each", "held", "pause_s", "places"),
    [
        ([1], None, 0, 0, {1: 7}),
        ([1, 2], None, 0, 0, {1: 4, 2: 4}),
        ([1], 0.001, 0, 0, {1: 100}),
        ([1, 2, 3], 0.001, 0, 0, {1: 33, 2: 33, 3: 33}),
        ([1, 2], 60.0, 0, 0, {1: 1, 2: 1}),
        ([1, 2], 60.0, 1, 0, {}),
        ([1], None, 7, 0, {}),
        ([], None, 0, 0, {}),
        ([1], 0.001, 0, 5.0, {1: 3}),
        ([1], 7.5, 0, 5.0, {1: 2}),
    ],
)
def test_places(
    slots: list[int], seconds_each: float | None, held: int, pause_s: float, places: dict[int, int]
) -> None:
    assert places_of(Arrived(1, True, slots, seconds_each, held, pause_s)) == places
    assert places_of(Arrived(1, False, slots, seconds_each, held, pause_s)) == {}
