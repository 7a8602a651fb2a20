-- migrate:up

-- Written by auth -----------------------------------------------------------------------------------------------------

create table accounts (
    id bigint generated always as identity primary key,
    name text not null unique,
    status text not null default 'active' check (status in ('active', 'suspended')),
    time_zone text not null default 'UTC',
    region text,
    -- Limits are off until they are set. The rate counts requests of one key.
    max_parts integer check (max_parts > 0),
    rate_per_minute integer check (rate_per_minute > 0),
    created_at timestamptz not null default now()
);

create table api_keys (
    id text primary key,
    account_id bigint not null references accounts,
    name text not null,
    digest bytea not null unique,
    prefix text not null,
    scopes text[] not null,
    rate_per_minute integer check (rate_per_minute > 0),
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);
create index api_keys_account on api_keys (account_id);

create table enrolment_keys (
    id text primary key,
    account_id bigint not null references accounts,
    digest bytea not null unique,
    single_use boolean not null,
    approves boolean not null,
    expires_at timestamptz,
    device_id text,
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);

create table device_tokens (
    device_id text primary key,
    account_id bigint not null references accounts,
    digest bytea not null unique,
    enrolment_key_id text not null references enrolment_keys,
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);

-- One row, raised in the transaction of each change: how far the credentials have grown.
create table auth_epoch (
    only_row boolean primary key default true check (only_row),
    epoch bigint not null
);
insert into auth_epoch (epoch) values (1);

-- Written by dispatcher: phones ---------------------------------------------------------------------------------------

create table devices (
    id text primary key check (id ~ '^[A-Za-z0-9_-]{21}$'),
    account_id bigint not null,
    name text not null,
    protocol text not null,
    software text not null default '',
    journal text not null,
    channels text[] not null,
    approved boolean not null,
    session bigint not null default 0,
    gateway text not null,
    opened_at timestamptz not null,
    renewed_at timestamptz not null,
    closed_at timestamptz,
    last_seen_at timestamptz not null,
    created_at timestamptz not null default now(),
    deleted_at timestamptz
) with (fillfactor = 70);
create index devices_account on devices (account_id, created_at);

create table sims (
    device_id text not null references devices,
    slot smallint not null check (slot between 1 and 8),
    number text,
    carrier text,
    primary key (device_id, slot)
);

-- Written by dispatcher: messages -------------------------------------------------------------------------------------
-- messages, attempts and history are the log: a partition a week of message ids, made ahead by the dispatcher.

create table messages (
    id bytea primary key check (length(id) = 20),
    account_id bigint not null,
    submitter text not null,
    recipient text not null,
    text text not null,
    channel text not null,
    encoding text not null,
    parts integer not null check (parts between 1 and 1000),
    priority smallint not null check (priority between -128 and 127),
    origin text,
    client_ref text,
    media_url text,
    wanted_device_id text,
    wanted_sim smallint,
    accepted_at timestamptz not null,
    scheduled_at timestamptz not null check (scheduled_at <= accepted_at + interval '366 days'),
    valid_until timestamptz not null check (valid_until <= accepted_at + interval '1100 days'),
    -- While `work` has the message, its live state is there; this one is what it was when it last came to rest.
    state text not null check (
        state in ('scheduled', 'queued', 'sent', 'delivered', 'failed', 'expired', 'canceled', 'unknown')
    ),
    reason text,
    device_id text,
    sim smallint,
    attempt smallint not null default 0,
    sent_at timestamptz,
    delivered_at timestamptz,
    ended_at timestamptz,
    deleted_at timestamptz
) partition by range (id);
create index messages_account on messages (account_id, id desc);
-- What the log's error filters ask for: refused or ended by us, failed on the phone.
create index messages_api_errors on messages (account_id, id desc)
    where state in ('expired', 'canceled') or reason = 'rejected';
create index messages_mobile_errors on messages (account_id, id desc) where state in ('failed', 'unknown');
create index messages_to_blank on messages (deleted_at) where deleted_at is not null and text <> '';

create table attempts (
    message_id bytea not null,
    number smallint not null check (number between 1 and 255),
    account_id bigint not null,
    device_id text not null,
    sim smallint not null,
    session bigint not null,
    journal text not null,
    state text not null check (state in ('taken', 'unknown', 'canceled', 'sent', 'failed', 'delivered')),
    reason text,
    taken_at timestamptz not null,
    unknown_at timestamptz,
    canceled_at timestamptz,
    sent_at timestamptz,
    failed_at timestamptz,
    delivered_at timestamptz,
    primary key (message_id, number)
) partition by range (message_id);

create table history (
    message_id bytea not null,
    -- attempt * 16 + rank of the state: grows with every change and is the same however often it is told.
    number integer not null,
    at timestamptz not null,
    state text not null,
    attempt smallint not null,
    device_id text,
    sim smallint,
    detail text,
    primary key (message_id, number)
) partition by range (message_id);

-- Live work: one row per message that is not at rest.
create table queues (
    id bigint generated always as identity primary key,
    account_id bigint not null,
    device_id text,
    sim smallint,
    channel text not null,
    unique nulls not distinct (account_id, device_id, sim, channel)
);

create table lanes (
    queue bigint not null,
    submitter text not null,
    last_tag bigint not null,
    primary key (queue, submitter)
) with (fillfactor = 70);

create table work (
    message_id bytea primary key,
    account_id bigint not null,
    queue bigint not null,
    prio smallint not null,
    tag bigint not null,
    parts integer not null,
    due timestamptz not null,
    spill_at timestamptz,
    valid_until timestamptz not null,
    state text not null check (state in ('later', 'ready', 'leased', 'taken')),
    holder text,
    session bigint,
    sim smallint,
    attempt smallint not null default 1 check (attempt between 1 and 255),
    -- Tries of this round; a resend begins a new round.
    tries smallint not null default 1,
    taken_at timestamptz
) with (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);
create index work_ready on work (queue, prio desc, tag) where state = 'ready';
create index work_later on work (due) where state = 'later';
create index work_spill on work (spill_at) where state = 'ready' and spill_at is not null;
create index work_valid on work (valid_until);
create index work_held on work (holder) where state in ('leased', 'taken');

create table inbox (
    id bigint generated always as identity primary key,
    guid uuid not null default gen_random_uuid(),
    account_id bigint not null,
    device_id text not null,
    sim smallint,
    number text not null,
    text text not null,
    received_at timestamptz not null,
    utc_offset_min smallint not null,
    stored_at timestamptz not null default now(),
    fingerprint bytea not null,
    read_at timestamptz,
    deleted_at timestamptz,
    unique (device_id, fingerprint)
);
create index inbox_account on inbox (account_id, id desc) where deleted_at is null;
create index inbox_to_blank on inbox (deleted_at) where deleted_at is not null and text <> '';
create index inbox_unread on inbox (account_id, id desc) where read_at is null and deleted_at is null;

-- Public events on their way to the EVENTS stream: deleted once they are there.
create table outbox (
    id bigint generated always as identity primary key,
    event_id uuid not null default gen_random_uuid(),
    account_id bigint not null,
    type text not null,
    occurred_at timestamptz not null,
    message_id bytea,
    inbox_id bigint,
    device_id text,
    sim smallint,
    number integer not null default 0
) with (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0
);

create table dead_letters (
    id bigint generated always as identity primary key,
    source text not null,
    account_id bigint,
    reason text not null,
    item bytea not null,
    created_at timestamptz not null default now(),
    replayed_at timestamptz
);

-- Written by webhooks -------------------------------------------------------------------------------------------------

create table endpoints (
    id text primary key,
    account_id bigint not null,
    url text not null,
    format text not null check (format in ('classic')),
    description text not null default '',
    enabled boolean not null default true,
    created_at timestamptz not null default now(),
    deleted_at timestamptz
);
create index endpoints_account on endpoints (account_id) where deleted_at is null;

-- Every public event, for readers who page through them. A reader goes by (xid, id) and only below the oldest
-- transaction that is still open: an id alone would be passed by rows that commit late.
create table events (
    id bigint generated always as identity primary key,
    xid xid8 not null default pg_current_xact_id(),
    event_id uuid not null unique,
    account_id bigint not null,
    type text not null,
    occurred_at timestamptz not null,
    message_id bytea,
    inbox_id bigint,
    device_id text,
    sim smallint,
    number integer not null,
    stored_at timestamptz not null default now()
);
create index events_cursor on events (account_id, xid, id);
create index events_stored on events (stored_at);

create table deliveries (
    id bigint generated always as identity primary key,
    event_id uuid not null,
    endpoint_id text not null references endpoints,
    account_id bigint not null,
    type text not null,
    body bytea not null,
    state text not null default 'pending' check (state in ('pending', 'delivered', 'exhausted', 'canceled')),
    attempts smallint not null default 0,
    next_attempt_at timestamptz not null default now(),
    claim uuid,
    created_at timestamptz not null default now(),
    ended_at timestamptz,
    last_error text,
    unique (event_id, endpoint_id)
) with (fillfactor = 70);
create index deliveries_due on deliveries (endpoint_id, next_attempt_at) where state = 'pending';

create table delivery_attempts (
    delivery_id bigint not null,
    number smallint not null,
    started_at timestamptz not null,
    duration_ms integer not null,
    status smallint,
    error text,
    primary key (delivery_id, number)
);

-- migrate:down

drop table delivery_attempts, deliveries, events, endpoints, dead_letters, outbox, inbox, work, lanes, queues, history, attempts,
messages, sims, devices, auth_epoch, device_tokens, enrolment_keys, api_keys, accounts;
