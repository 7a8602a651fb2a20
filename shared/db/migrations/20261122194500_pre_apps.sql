-- migrate:up

-- What a phone of the app's protocol says of itself, beside its calls. `hooked_at`: our receiver last heard it;
-- `signed_at`: it signed there for the first time; `unsigned_at`: something came in its name without a good signature.
create table apps (
    device_id text primary key,
    hooked_at timestamptz,
    signed_at timestamptz,
    unsigned_at timestamptz,
    clock_off_s integer,
    clock_doubted_at timestamptz,
    status text,
    battery smallint,
    failed_texts integer,
    health_at timestamptz
) with (fillfactor = 50);

-- An app phone has spoken of what it has taken, so it need not be listed again; older than `taken_at`: of another try.
alter table work add heard_at timestamptz;

-- A data SMS has its bytes as base64 in `text`; of an MMS there is only notice.
alter table inbox add kind text not null default 'sms' check (kind in ('sms', 'data', 'mms'));

-- migrate:down

alter table inbox drop kind;
alter table work drop heard_at;
drop table apps;
