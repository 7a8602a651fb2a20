-- migrate:up

-- Written by auth: what ends a user's sessions ends the links that were made before it ------------------------------------

alter table sign_in_links add column generation bigint;

-- migrate:down

alter table sign_in_links drop column generation;
