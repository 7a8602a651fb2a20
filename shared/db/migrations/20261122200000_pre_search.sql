-- migrate:up

-- Both are trusted: whoever may create objects in this database may create them.
create extension if not exists pg_trgm;
create extension if not exists btree_gin;

-- What changed and the search does not know yet: written by the statement that changes it, one row a statement.
create table unsearched (
    id bigint generated always as identity primary key,
    message_ids bytea[] not null default '{}',
    inbox_ids bigint[] not null default '{}',
    noted_at timestamptz not null default now()
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
-- An id is chance for the most part: trying to compress it is wasted.
alter table unsearched alter message_ids set storage external;

-- The search: made from the log by one periodic job, behind the live path. Nothing of it is in the WAL, so a crash of
-- the server empties it (its weeks are unlogged too); then it is made again, the newest messages first.
create unlogged table search_progress (
    only_row boolean primary key default true check (only_row),
    begun_at timestamptz not null default now(),
    -- From here on everything is known; the least values: all is.
    messages_from bytea not null default '\xffffffffffffffffffffffffffffffffffffffffff',
    inbox_from bigint not null default 9223372036854775807,
    passes smallint not null default 1
);

-- Never updated, so that the trigrams of a text are written once.
create table search_texts (
    message_id bytea not null,
    account_id bigint not null,
    recipient text not null,
    text text not null,
    primary key (account_id, recipient, message_id)
) partition by range (message_id);
create index search_texts_text on search_texts using gin (account_id, text gin_trgm_ops);

create table search_states (
    message_id bytea primary key,
    account_id bigint not null,
    state text not null,
    device_id text,
    -- The id again: in the order of `place` there are these two indexes only, so that no plan for many walks all messages
    -- for few.
    place bytea not null
) partition by range (message_id);
create index search_states_state on search_states (account_id, state, place);
create index search_states_device on search_states (account_id, device_id, place) where device_id is not null;

-- Every number that an account ever wrote to or heard from, to be found by a part of it.
create unlogged table search_numbers (
    account_id bigint not null,
    number text not null,
    primary key (account_id, number)
);
create index search_numbers_number on search_numbers using gin (account_id, number gin_trgm_ops);

-- Conversations: when anything was last said to or by a number.
create unlogged table threads (
    account_id bigint not null,
    number text not null,
    at timestamptz not null,
    primary key (account_id, number)
) with (fillfactor = 80);
create index threads_at on threads (account_id, at, number);

-- Messages by the hour of their acceptance and the state that they are in.
create unlogged table tallies (
    account_id bigint not null,
    hour timestamptz not null,
    state text not null,
    messages bigint not null,
    primary key (account_id, hour, state)
) with (fillfactor = 50);

create index inbox_number on inbox (account_id, number, id) where deleted_at is null;

-- migrate:down

drop index inbox_number;
drop table tallies, threads, search_numbers, search_states, search_texts, search_progress, unsearched;
drop extension btree_gin;
drop extension pg_trgm;
