-- migrate:up

-- Written by dispatcher: what a person has seen in the dashboard, apart from `read_at`, which says what a program was
-- given: who looks at a conversation must not take its texts away from a program that asks for unread ones.
alter table inbox add column seen_at timestamptz default now();
-- What came before this column counts as seen.
alter table inbox alter column seen_at drop default;
create index inbox_unseen on inbox (account_id, number, id) where seen_at is null and deleted_at is null;

-- migrate:down

drop index inbox_unseen;
alter table inbox drop column seen_at;
