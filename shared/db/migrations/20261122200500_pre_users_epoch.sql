-- migrate:up

-- Written by auth: users as credentials ----------------------------------------------------------------------------------

alter table users
    -- Sessions are of a generation; a new password, being disabled and signing out everywhere begin the next one.
    add column generation bigint not null default 1,
    add column epoch bigint not null default 0;
create index users_epoch on users (epoch);

-- Signing in changes none of these columns, so it does not wait for the epoch.
create trigger users_stamp before insert or update of account_id, role, disabled_at, generation on users
    for each row execute function stamp_epoch();

-- migrate:down

drop trigger users_stamp on users;
alter table users drop column generation, drop column epoch;
