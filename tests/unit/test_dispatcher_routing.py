"""Which phone may serve which queue, and whom to wake."""

from services.dispatcher.routing import OnlinePhone, QueueKey, may_serve, phones_to_wake, queues_of

PHONES = [OnlinePhone(f"d{n}", 1, ("sms",), (1, 2)) for n in range(5)]


def test_a_phone_serves_exactly_the_queues_it_is_asked_to_lease_from() -> None:
    for slot in (1, 2):
        for queue in queues_of(1, "d0", [slot], ["sms"]):
            assert may_serve(PHONES[0], queue)
    assert len(set(queues_of(1, "d0", [1], ["sms", "whatsapp"]))) == 8


def test_what_a_phone_may_not_serve() -> None:
    for queue in (
        QueueKey(2, None, None, "sms"),
        QueueKey(1, "d1", None, "sms"),
        QueueKey(1, None, 3, "sms"),
        QueueKey(1, None, None, "whatsapp"),
    ):
        assert not may_serve(PHONES[0], queue)


def test_one_message_wakes_two_phones_and_the_turn_goes_round() -> None:
    anyone = QueueKey(1, None, None, "sms")
    woken = [phones_to_wake(PHONES, [(anyone, 1)], turn) for turn in range(5)]
    assert all(len(devices) == 2 for devices in woken)
    assert {device for devices in woken for device in devices} == {phone.device for phone in PHONES}
    assert len(phones_to_wake(PHONES, [(anyone, 100)], 0)) == 5
    assert phones_to_wake(PHONES, [(QueueKey(1, "d3", None, "sms"), 9)], 0) == ["d3"]
    assert phones_to_wake([], [(anyone, 1)], 0) == []
