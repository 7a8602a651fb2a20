-- migrate:up

-- Written by dispatcher: many messages as one thing that can be paused and canceled -------------------------------------

create table campaigns (
    id text primary key,
    account_id bigint not null,
    name text not null,
    text text not null,
    channel text not null check (channel in ('sms', 'whatsapp')),
    priority smallint not null check (priority between -128 and 127),
    wanted_device_id text,
    wanted_sim smallint check (wanted_sim between 1 and 8),
    -- How long a message is valid once it has its id, in seconds.
    valid_s integer not null check (valid_s between 1 and 31536000),
    status text not null default 'draft' check (status in ('draft', 'active', 'paused', 'canceled', 'done')),
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now(),
    starts_at timestamptz not null,
    -- When nothing of it was left in `work` and nothing more would come.
    ended_at timestamptz not null default 'infinity',
    looked_at timestamptz not null default now(),
    total integer not null default 0,
    -- Rows that have a message; the counters below say of those at rest what became of them.
    fed integer not null default 0 check (fed <= total),
    sent integer not null default 0,
    delivered integer not null default 0,
    failed integer not null default 0,
    expired integer not null default 0,
    canceled integer not null default 0,
    unknown integer not null default 0,
    -- How far the counters' last look at the rows at rest has come.
    counted_at timestamptz not null default now(),
    counted_row integer not null default 0
) with (fillfactor = 70);
create index campaigns_account on campaigns (account_id, created_at desc);
create index campaigns_ended on campaigns (ended_at);

create table campaign_rows (
    campaign_id text not null references campaigns,
    row integer not null,
    recipient text not null,
    -- Its own text; null: the campaign's, or it is at rest.
    text text,
    message_id bytea,
    state text not null default 'unfed' check (
        state in ('unfed', 'fed', 'sent', 'delivered', 'failed', 'expired', 'canceled', 'unknown')
    ),
    primary key (campaign_id, row),
    check ((state = 'unfed') = (message_id is null))
) with (fillfactor = 80);
create index campaign_rows_unfed on campaign_rows (campaign_id, row) where state = 'unfed';
create index campaign_rows_fed on campaign_rows (campaign_id, row) where state = 'fed';
create index campaign_rows_rested on campaign_rows (campaign_id, row)
    where state in ('sent', 'failed', 'expired', 'canceled', 'unknown');

-- migrate:down

drop table campaign_rows, campaigns;
