-- What the code of the first release writes and reads: every later schema must go on taking it.
-- tests/integration/test_migrations.py gives the values, others for each run.

insert into accounts (name) values (:name) returning id;
insert into api_keys (id, account_id, name, digest, prefix, scopes)
values (:name, :account, 'key', :bytes, 'abcdef', '{sms:send}');
insert into enrolment_keys (id, account_id, digest, single_use, approves, expires_at)
values (:name, :account, :bytes, true, true, now() + interval '1 hour');
insert into device_tokens (device_id, account_id, digest, enrolment_key_id) values (:device, :account, :bytes, :name)
on conflict (device_id) do update set digest = excluded.digest, revoked_at = null;
update enrolment_keys set device_id = :device where id = :name;
update auth_epoch set epoch = epoch + 1 returning epoch;
select k.id, k.account_id, k.digest, k.scopes, k.rate_per_minute, a.status, a.time_zone, a.region, a.max_parts
from api_keys k join accounts a on a.id = k.account_id where k.revoked_at is null;

insert into devices (id, account_id, name, protocol, journal, channels, approved, gateway, opened_at, renewed_at, last_seen_at)
values (:device, :account, 'phone', 'socket', 'journal', '{sms}', true, 'gateway', now(), now(), now())
on conflict (id) do update set session = devices.session + 1, closed_at = null;
insert into sims (device_id, slot, number) values (:device, 1, '+15550001') on conflict (device_id, slot) do nothing;
insert into queues (account_id, device_id, sim, channel) values (:account, null, null, 'sms') on conflict do nothing;
insert into lanes (queue, submitter, last_tag) values (:account, 'key', 1)
on conflict (queue, submitter) do update set last_tag = excluded.last_tag;
insert into messages (
    id, account_id, submitter, recipient, text, channel, encoding, parts, priority,
    accepted_at, scheduled_at, valid_until, state
) values (
    :message, :account, 'key', '+15550001', 'hello', 'sms', 'gsm7', 1, 0,
    now(), now(), now() + interval '3 days', 'queued'
) on conflict (id) do nothing;
insert into work (message_id, account_id, queue, prio, tag, parts, due, spill_at, valid_until, state)
values (:message, :account, 1, 0, 1, 1, now(), now() + interval '5 seconds', now() + interval '3 days', 'ready');
insert into history (message_id, number, at, state, attempt) values (:message, 1, now(), 'accepted', 0);
update work set state = 'leased', holder = :device, session = 1, sim = 1 where message_id = :message and state = 'ready';
update work set state = 'taken', taken_at = now() where message_id = :message and state = 'leased';
insert into attempts (message_id, number, account_id, device_id, sim, session, journal, state, taken_at)
values (:message, 1, :account, :device, 1, 1, 'journal', 'taken', now());
update attempts set state = 'delivered', sent_at = now(), delivered_at = now() where message_id = :message;
update messages set state = 'delivered', device_id = :device, sim = 1, attempt = 1, sent_at = now(), ended_at = now()
where id = :message;
delete from work where message_id = :message;
insert into outbox (account_id, type, occurred_at, message_id, device_id, sim, number)
values (:account, 'sms.sent', now(), :message, :device, 1, 2);
delete from outbox where message_id = :message;
insert into inbox (account_id, device_id, sim, number, text, received_at, utc_offset_min, fingerprint)
values (:account, :device, 1, '+15550002', 'yes', now(), 60, :bytes) on conflict (device_id, fingerprint) do nothing;
update inbox set read_at = now() where account_id = :account and read_at is null and deleted_at is null;
insert into dead_letters (source, account_id, reason, item) values ('cmd.sms.submit.single', :account, 'no', :bytes);

insert into endpoints (id, account_id, url, format, description)
values (:name, :account, 'https://example.com/', 'classic', '');
insert into events (event_id, account_id, type, occurred_at, message_id, device_id, sim, number)
values (:uuid, :account, 'sms.sent', now(), :message, :device, 1, 2) on conflict (event_id) do nothing;
insert into deliveries (event_id, endpoint_id, account_id, type, body)
select :uuid, e.id, :account, 'sms.sent', '{}' from endpoints e
where e.id = :name and e.enabled and e.deleted_at is null
on conflict (event_id, endpoint_id) do nothing;
update deliveries set claim = gen_random_uuid(), attempts = attempts + 1 where endpoint_id = :name;
insert into delivery_attempts (delivery_id, number, started_at, duration_ms, status)
select id, 1, now(), 5, 200 from deliveries where endpoint_id = :name;
update deliveries set state = 'delivered', ended_at = now(), claim = null where endpoint_id = :name;
select d.id, d.attempts, d.last_error from deliveries d join endpoints e on e.id = d.endpoint_id where e.id = :name;
