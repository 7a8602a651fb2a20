-- migrate:up

-- An app phone's taken message can only be asked back: its report decides.
alter table work add cancel_wished_at timestamptz;

-- Lets a lease pass over what its phone did long ago, however long an old snapshot keeps those rows in the index.
alter table work add leased_at timestamptz;
drop index work_held;
create index work_held on work (holder, leased_at) where state in ('leased', 'taken');

-- What a SIM may send, in parts; null: no limit. A delay between sends is drawn from the range.
create table budgets (
    device_id text not null,
    slot smallint not null check (slot between 1 and 8),
    per_minute integer check (per_minute > 0),
    per_hour integer check (per_hour > 0),
    per_day integer check (per_day > 0),
    delay_min_ms integer not null default 0 check (delay_min_ms >= 0),
    delay_max_ms integer not null default 0 check (delay_max_ms >= delay_min_ms and delay_max_ms <= 3600000),
    primary key (device_id, slot)
);

-- What it took, in slices of its spans; a ring: `place` is the slice's number modulo the span's slices.
create table budget_use (
    device_id text not null,
    slot smallint not null,
    span text not null check (span in ('minute', 'hour', 'day')),
    place smallint not null,
    slice bigint not null,
    parts integer not null,
    primary key (device_id, slot, span, place)
) with (fillfactor = 70);

-- The phone that last talked to a number.
create table contacts (
    account_id bigint not null,
    number text not null,
    device_id text not null,
    at timestamptz not null,
    primary key (account_id, number)
) with (fillfactor = 80);

-- How well and how fast a phone sends: sums that fade with time; `seconds` from take to word of the sending.
create table paces (
    device_id text primary key,
    succeeded double precision not null,
    failed double precision not null,
    seconds double precision not null,
    at timestamptz not null
) with (fillfactor = 50);

-- When a queue's work is likely to go out: its head's tag and how many parts a second its phones take off it.
create table outlooks (
    queue bigint primary key,
    head_tag bigint not null,
    parts_per_s double precision not null,
    at timestamptz not null
) with (fillfactor = 50);

-- Whether people were told that the phone is there; follows its sessions with hysteresis.
alter table devices add present boolean not null default false;
alter table devices add present_since timestamptz;

-- The name that its owner gave it, instead of the one that it says itself.
alter table devices add given_name text;

-- A paused phone keeps its sessions and gets no work.
alter table devices add paused_at timestamptz;

-- How the first phone was chosen, and which it was.
alter table messages add route text;
alter table messages add preferred_device_id text;

-- Quiet hours in the account's own time zone; both null: none.
alter table accounts add quiet_from time;
alter table accounts add quiet_until time;
alter table accounts add quiet_urgent boolean not null default true;
alter table accounts add constraint accounts_quiet_check check ((quiet_from is null) = (quiet_until is null));

-- migrate:down

alter table accounts drop constraint accounts_quiet_check;
alter table accounts drop quiet_urgent, drop quiet_until, drop quiet_from;
alter table messages drop preferred_device_id, drop route;
alter table devices drop paused_at, drop given_name, drop present_since, drop present;
drop table outlooks, paces, contacts, budget_use, budgets;
drop index work_held;
alter table work drop leased_at, drop cancel_wished_at;
create index work_held on work (holder) where state in ('leased', 'taken');
