-- migrate:up

-- Written by webhooks -------------------------------------------------------------------------------------------------

alter table endpoints
    drop constraint endpoints_format_check,
    add constraint endpoints_format_check check (format in ('classic', 'v2')),
    add column state text not null default 'enabled' check (state in ('enabled', 'paused', 'disabled')),
    add column reason text,
    add column state_since timestamptz not null default now(),
    -- An empty list lets everything pass; empty types are the format's own.
    add column types text[] not null default '{}',
    add column devices text[] not null default '{}',
    add column sims smallint[] not null default '{}',
    add column numbers text[] not null default '{}',
    add column number_format text not null default 'plain' check (number_format in ('plain', 'plus')),
    add column time_format text not null default 'digits' check (time_format in ('digits', 'text')),
    add column time_zone text,
    add column header_names text[] not null default '{}',
    add column auth text check (auth in ('basic', 'bearer')),
    add column max_window smallint not null default 32 check (max_window between 1 and 32),
    -- Raised by each change of what a worker needs to call it.
    add column version integer not null default 1;

update endpoints set state = 'paused', reason = 'It was switched off.' where not enabled;

-- Code that knows no states goes on reading this one; nothing has ever written it.
alter table endpoints drop column enabled;
alter table endpoints add column enabled boolean not null generated always as (state = 'enabled') stored;

-- What changes with every delivery, apart from what its owner chose. `width` is the window: how many deliveries may be
-- under way at once, over all workers; 0: the breaker is open.
create table endpoint_state (
    endpoint_id text primary key references endpoints,
    account_id bigint not null,
    width smallint not null default 4 check (width between 0 and 32),
    claim_xid xid8,
    probe_at timestamptz,
    probes smallint not null default 0,
    failures_in_row integer not null default 0,
    failing_since timestamptz,
    warned_at timestamptz,
    minute timestamptz not null default '-infinity',
    minute_delivered integer not null default 0,
    minute_failed integer not null default 0,
    last_success_at timestamptz,
    last_failure_at timestamptz,
    last_error text,
    pending bigint not null default 0,
    delivered bigint not null default 0,
    exhausted bigint not null default 0,
    expired bigint not null default 0,
    canceled bigint not null default 0,
    failures bigint not null default 0
) with (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0
);

-- Sealed (shared/security/vault.py) about 'endpoint_secrets <endpoint> <kind>'. `signing`: a secret that signs until
-- `ends_at`; `request`: custom headers and authentication.
create table endpoint_secrets (
    id bigint generated always as identity primary key,
    endpoint_id text not null references endpoints,
    kind text not null check (kind in ('signing', 'request')),
    key_id text not null,
    box bytea not null,
    created_at timestamptz not null default now(),
    ends_at timestamptz
);
create index endpoint_secrets_endpoint on endpoint_secrets (endpoint_id);

-- What webhooks itself has to tell: written with the change, fanned out as any event, then deleted.
create table endpoint_events (
    id bigint generated always as identity primary key,
    event_id uuid not null default gen_random_uuid(),
    account_id bigint not null,
    endpoint_id text not null,
    type text not null,
    occurred_at timestamptz not null default now(),
    reason text
);

alter table events add column endpoint_id text, add column reason text;

create table replays (
    id text primary key,
    account_id bigint not null,
    endpoint_id text not null references endpoints,
    state text not null default 'running' check (state in ('running', 'done', 'canceled')),
    events uuid[] not null default '{}',
    since timestamptz not null default '-infinity',
    until timestamptz not null,
    types text[] not null default '{}',
    states text[] not null,
    -- The last event looked at.
    reached bigint not null default 0,
    matched bigint not null,
    queued bigint not null default 0,
    skipped bigint not null default 0,
    delivered bigint not null default 0,
    exhausted bigint not null default 0,
    canceled bigint not null default 0,
    created_at timestamptz not null default now(),
    ended_at timestamptz
);
create unique index replays_running on replays (endpoint_id) where state = 'running';
create index replays_account on replays (account_id, created_at desc);

alter table deliveries
    drop constraint deliveries_state_check,
    add constraint deliveries_state_check
        check (state in ('pending', 'delivered', 'exhausted', 'expired', 'canceled')),
    add column lane text not null default 'live' check (lane in ('live', 'replay')),
    -- `attempts` are those that count, `tries` are all posts.
    add column tries integer not null default 0,
    add column queued_at timestamptz not null default now(),
    add column claimed_at timestamptz,
    add column first_attempt_at timestamptz,
    add column replay_id text,
    -- What it was before its replay.
    add column rest_state text,
    set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

update deliveries d
set tries = coalesce((select max(a.number) from delivery_attempts a where a.delivery_id = d.id), 0),
    queued_at = created_at,
    first_attempt_at = (select min(a.started_at) from delivery_attempts a where a.delivery_id = d.id);

drop index deliveries_due;
create index deliveries_due on deliveries (endpoint_id, lane, next_attempt_at) where state = 'pending';
create index deliveries_claimed on deliveries (endpoint_id) where state = 'pending' and claim is not null;
create index deliveries_pending on deliveries (endpoint_id, id) where state = 'pending';
create index deliveries_at_rest on deliveries (endpoint_id, id) where state <> 'pending';
create index deliveries_given_up on deliveries (endpoint_id, id) where state in ('exhausted', 'expired');
create index deliveries_replayed on deliveries (replay_id) where state = 'pending' and replay_id is not null;

insert into endpoint_state (endpoint_id, account_id, pending, delivered, exhausted, canceled, failures, last_error)
select e.id, e.account_id,
    count(d.id) filter (where d.state = 'pending'),
    count(d.id) filter (where d.state = 'delivered'),
    count(d.id) filter (where d.state = 'exhausted'),
    count(d.id) filter (where d.state = 'canceled'),
    coalesce((
        select count(*) from delivery_attempts a join deliveries f on f.id = a.delivery_id
        where f.endpoint_id = e.id and a.error is not null
    ), 0),
    (array_agg(d.last_error order by d.id desc) filter (where d.last_error is not null))[1]
from endpoints e left join deliveries d on d.endpoint_id = e.id
group by e.id;

-- A partition a week, made ahead by webhooks. `error` is the class of failure, `unknown` for a worker that died.
alter table delivery_attempts rename to delivery_attempts_unparted;
alter index delivery_attempts_pkey rename to delivery_attempts_unparted_pkey;
create table delivery_attempts (
    delivery_id bigint not null,
    number integer not null,
    started_at timestamptz not null,
    duration_ms integer,
    status smallint,
    error text,
    detail text,
    dns_ms integer,
    connect_ms integer,
    tls_ms integer,
    first_byte_ms integer,
    remote_address text,
    response_headers text[] not null default '{}',
    response_head bytea not null default '',
    primary key (delivery_id, number, started_at)
) partition by range (started_at);

-- Only where there are old rows: code that makes no partitions may be running for some time yet.
do $$
declare
    week constant bigint := 7 * 86400;
    first timestamptz;
begin
    for first in
        select to_timestamp(number * week)
        from generate_series(
            (select floor(extract(epoch from min(started_at)) / week)::bigint from delivery_attempts_unparted),
            floor(extract(epoch from now()) / week)::bigint + 4
        ) as number
    loop
        execute format(
            'create table %I partition of delivery_attempts for values from (%L) to (%L)',
            'delivery_attempts_' || to_char(first at time zone 'UTC', 'YYYYMMDD'),
            first,
            first + interval '7 days'
        );
    end loop;
end $$;

insert into delivery_attempts (delivery_id, number, started_at, duration_ms, status, error, detail)
select delivery_id, number, started_at, duration_ms, status,
    case when error is null then null when status is null then 'connect' else 'status' end, error
from delivery_attempts_unparted;

drop table delivery_attempts_unparted;

-- migrate:down

-- There is no way back but a backup.
