-- migrate:up

-- Written by auth: what changed since an epoch is read by the rows' own stamps ------------------------------------------

-- Stamps a row with the epoch that its transaction will raise to. The lock makes epochs commit in order; code that raises
-- the epoch in the same statement reads the same number.
create function stamp_epoch() returns trigger language plpgsql as $$
begin
    select epoch + 1 into new.epoch from auth_epoch for update;
    return new;
end
$$;

alter table accounts
    add column daily_sends integer check (daily_sends > 0),
    add column epoch bigint not null default 0;
alter table api_keys
    add column expires_at timestamptz,
    -- After a rotation the former key stays valid until then.
    add column old_digest bytea unique,
    add column old_until timestamptz,
    add column epoch bigint not null default 0;
alter table enrolment_keys add column epoch bigint not null default 0;
alter table device_tokens add column epoch bigint not null default 0;
create index enrolment_keys_account on enrolment_keys (account_id);
create index device_tokens_enrolment_key on device_tokens (enrolment_key_id);

create table clients (
    id text primary key check (id ~ '^[0-9a-f]{32}$'),
    account_id bigint not null references accounts,
    name text not null,
    digest bytea not null,
    old_digest bytea,
    old_until timestamptz,
    scopes text[] not null,
    rate_per_minute integer check (rate_per_minute > 0),
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    epoch bigint not null default 0
);
create index clients_account on clients (account_id);

create table signing_keys (
    id text primary key,
    -- The private key, sealed: the id of the key-encryption key, and the box.
    vault_key text not null,
    box bytea not null,
    created_at timestamptz not null default now(),
    signs_from timestamptz not null,
    withdrawn_at timestamptz,
    epoch bigint not null default 0
);

create table revoked_tokens (
    jti text primary key,
    account_id bigint not null references accounts,
    client_id text not null references clients,
    expires_at timestamptz not null,
    revoked_at timestamptz not null default now(),
    epoch bigint not null default 0
);
create index revoked_tokens_expired on revoked_tokens (expires_at);

create index accounts_epoch on accounts (epoch);
create index api_keys_epoch on api_keys (epoch);
create index enrolment_keys_epoch on enrolment_keys (epoch);
create index device_tokens_epoch on device_tokens (epoch);
create index clients_epoch on clients (epoch);
create index signing_keys_epoch on signing_keys (epoch);
create index revoked_tokens_epoch on revoked_tokens (epoch);

create trigger accounts_stamp before insert or update on accounts for each row execute function stamp_epoch();
create trigger api_keys_stamp before insert or update on api_keys for each row execute function stamp_epoch();
create trigger enrolment_keys_stamp before insert or update on enrolment_keys for each row execute function stamp_epoch();
create trigger device_tokens_stamp before insert or update on device_tokens for each row execute function stamp_epoch();
create trigger clients_stamp before insert or update on clients for each row execute function stamp_epoch();
create trigger signing_keys_stamp before insert or update on signing_keys for each row execute function stamp_epoch();
create trigger revoked_tokens_stamp before insert or update on revoked_tokens for each row execute function stamp_epoch();

-- Apart from the credentials, so that being used is no change of theirs.
create table credential_uses (
    id text primary key,
    used_at timestamptz not null
) with (fillfactor = 70);

-- Written by auth: people ------------------------------------------------------------------------------------------------

create table users (
    id text primary key,
    account_id bigint not null references accounts,
    login text not null unique check (login = lower(login)),
    role text not null check (role in ('owner', 'member', 'viewer')),
    password text,
    created_at timestamptz not null default now(),
    disabled_at timestamptz,
    last_sign_in_at timestamptz
);
create index users_account on users (account_id);

-- One row a login that was tried lately, whether or not anybody has it: who asks cannot tell.
create table sign_in_tries (
    login bytea primary key,
    tries integer not null,
    next_at timestamptz not null,
    last_at timestamptz not null
);
create index sign_in_tries_last on sign_in_tries (last_at);

create table sign_in_links (
    digest bytea primary key,
    user_id text not null references users,
    expires_at timestamptz not null,
    used_at timestamptz
);
create index sign_in_links_expired on sign_in_links (expires_at);

-- Written by auth: who did what -----------------------------------------------------------------------------------------

create table audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    account_id bigint,
    who text not null,
    address text not null,
    verb text not null,
    subject text not null,
    detail jsonb not null default '{}'
);
create index audit_account on audit (account_id, id);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end
$$;
create trigger audit_append_only before update or delete or truncate on audit
    for each statement execute function refuse_change();

-- migrate:down

drop table audit, sign_in_links, sign_in_tries, users, credential_uses, revoked_tokens, signing_keys, clients;
drop function refuse_change();
alter table accounts drop column daily_sends, drop column epoch;
alter table api_keys drop column expires_at, drop column old_digest, drop column old_until, drop column epoch;
alter table enrolment_keys drop column epoch;
alter table device_tokens drop column epoch;
drop index enrolment_keys_account, device_tokens_enrolment_key;
drop function stamp_epoch() cascade;
