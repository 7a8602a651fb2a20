-- migrate:up

-- Written by auth: keys, clients and enrolment keys as they are listed, the newest of an account first -------------------

create index api_keys_listed on api_keys (account_id, created_at, id);
create index clients_listed on clients (account_id, created_at, id);
create index enrolment_keys_listed on enrolment_keys (account_id, created_at, id);

-- migrate:down

drop index api_keys_listed, clients_listed, enrolment_keys_listed;
