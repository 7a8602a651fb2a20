CREATE EXTENSION IF NOT EXISTS btree_gin WITH SCHEMA public;
COMMENT ON EXTENSION btree_gin IS 'support for indexing common datatypes in GIN';
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
COMMENT ON EXTENSION pg_trgm IS 'text similarity measurement and index searching based on trigrams';
CREATE FUNCTION public.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end
$$;
CREATE FUNCTION public.stamp_epoch() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    select epoch + 1 into new.epoch from auth_epoch for update;
    return new;
end
$$;
CREATE TABLE public.accounts (
    id bigint NOT NULL,
    name text NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    time_zone text DEFAULT 'UTC'::text NOT NULL,
    region text,
    max_parts integer,
    rate_per_minute integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    quiet_from time without time zone,
    quiet_until time without time zone,
    quiet_urgent boolean DEFAULT true NOT NULL,
    daily_sends integer,
    epoch bigint DEFAULT 0 NOT NULL,
    CONSTRAINT accounts_daily_sends_check CHECK ((daily_sends > 0)),
    CONSTRAINT accounts_max_parts_check CHECK ((max_parts > 0)),
    CONSTRAINT accounts_quiet_check CHECK (((quiet_from IS NULL) = (quiet_until IS NULL))),
    CONSTRAINT accounts_rate_per_minute_check CHECK ((rate_per_minute > 0)),
    CONSTRAINT accounts_status_check CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text])))
);
ALTER TABLE public.accounts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.accounts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.api_keys (
    id text NOT NULL,
    account_id bigint NOT NULL,
    name text NOT NULL,
    digest bytea NOT NULL,
    prefix text NOT NULL,
    scopes text[] NOT NULL,
    rate_per_minute integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    expires_at timestamp with time zone,
    old_digest bytea,
    old_until timestamp with time zone,
    epoch bigint DEFAULT 0 NOT NULL,
    CONSTRAINT api_keys_rate_per_minute_check CHECK ((rate_per_minute > 0))
);
CREATE TABLE public.apps (
    device_id text NOT NULL,
    hooked_at timestamp with time zone,
    signed_at timestamp with time zone,
    unsigned_at timestamp with time zone,
    clock_off_s integer,
    clock_doubted_at timestamp with time zone,
    status text,
    battery smallint,
    failed_texts integer,
    health_at timestamp with time zone
)
WITH (fillfactor='50');
CREATE TABLE public.attempts (
    message_id bytea NOT NULL,
    number smallint NOT NULL,
    account_id bigint NOT NULL,
    device_id text NOT NULL,
    sim smallint NOT NULL,
    session bigint NOT NULL,
    journal text NOT NULL,
    state text NOT NULL,
    reason text,
    taken_at timestamp with time zone NOT NULL,
    unknown_at timestamp with time zone,
    canceled_at timestamp with time zone,
    sent_at timestamp with time zone,
    failed_at timestamp with time zone,
    delivered_at timestamp with time zone,
    CONSTRAINT attempts_number_check CHECK (((number >= 1) AND (number <= 255))),
    CONSTRAINT attempts_state_check CHECK ((state = ANY (ARRAY['taken'::text, 'unknown'::text, 'canceled'::text, 'sent'::text, 'failed'::text, 'delivered'::text])))
)
PARTITION BY RANGE (message_id);
CREATE TABLE public.audit (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    account_id bigint,
    who text NOT NULL,
    address text NOT NULL,
    verb text NOT NULL,
    subject text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL
);
ALTER TABLE public.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.auth_epoch (
    only_row boolean DEFAULT true NOT NULL,
    epoch bigint NOT NULL,
    CONSTRAINT auth_epoch_only_row_check CHECK (only_row)
);
CREATE TABLE public.budget_use (
    device_id text NOT NULL,
    slot smallint NOT NULL,
    span text NOT NULL,
    place smallint NOT NULL,
    slice bigint NOT NULL,
    parts integer NOT NULL,
    CONSTRAINT budget_use_span_check CHECK ((span = ANY (ARRAY['minute'::text, 'hour'::text, 'day'::text])))
)
WITH (fillfactor='70');
CREATE TABLE public.budgets (
    device_id text NOT NULL,
    slot smallint NOT NULL,
    per_minute integer,
    per_hour integer,
    per_day integer,
    delay_min_ms integer DEFAULT 0 NOT NULL,
    delay_max_ms integer DEFAULT 0 NOT NULL,
    CONSTRAINT budgets_check CHECK (((delay_max_ms >= delay_min_ms) AND (delay_max_ms <= 3600000))),
    CONSTRAINT budgets_delay_min_ms_check CHECK ((delay_min_ms >= 0)),
    CONSTRAINT budgets_per_day_check CHECK ((per_day > 0)),
    CONSTRAINT budgets_per_hour_check CHECK ((per_hour > 0)),
    CONSTRAINT budgets_per_minute_check CHECK ((per_minute > 0)),
    CONSTRAINT budgets_slot_check CHECK (((slot >= 1) AND (slot <= 8)))
);
CREATE TABLE public.campaign_rows (
    campaign_id text NOT NULL,
    "row" integer NOT NULL,
    recipient text NOT NULL,
    text text,
    message_id bytea,
    state text DEFAULT 'unfed'::text NOT NULL,
    CONSTRAINT campaign_rows_check CHECK (((state = 'unfed'::text) = (message_id IS NULL))),
    CONSTRAINT campaign_rows_state_check CHECK ((state = ANY (ARRAY['unfed'::text, 'fed'::text, 'sent'::text, 'delivered'::text, 'failed'::text, 'expired'::text, 'canceled'::text, 'unknown'::text])))
)
WITH (fillfactor='80');
CREATE TABLE public.campaigns (
    id text NOT NULL,
    account_id bigint NOT NULL,
    name text NOT NULL,
    text text NOT NULL,
    channel text NOT NULL,
    priority smallint NOT NULL,
    wanted_device_id text,
    wanted_sim smallint,
    valid_s integer NOT NULL,
    status text DEFAULT 'draft'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone DEFAULT 'infinity'::timestamp with time zone NOT NULL,
    looked_at timestamp with time zone DEFAULT now() NOT NULL,
    total integer DEFAULT 0 NOT NULL,
    fed integer DEFAULT 0 NOT NULL,
    sent integer DEFAULT 0 NOT NULL,
    delivered integer DEFAULT 0 NOT NULL,
    failed integer DEFAULT 0 NOT NULL,
    expired integer DEFAULT 0 NOT NULL,
    canceled integer DEFAULT 0 NOT NULL,
    unknown integer DEFAULT 0 NOT NULL,
    counted_at timestamp with time zone DEFAULT now() NOT NULL,
    counted_row integer DEFAULT 0 NOT NULL,
    CONSTRAINT campaigns_channel_check CHECK ((channel = ANY (ARRAY['sms'::text, 'whatsapp'::text]))),
    CONSTRAINT campaigns_check CHECK ((fed <= total)),
    CONSTRAINT campaigns_priority_check CHECK (((priority >= '-128'::integer) AND (priority <= 127))),
    CONSTRAINT campaigns_status_check CHECK ((status = ANY (ARRAY['draft'::text, 'active'::text, 'paused'::text, 'canceled'::text, 'done'::text]))),
    CONSTRAINT campaigns_valid_s_check CHECK (((valid_s >= 1) AND (valid_s <= 31536000))),
    CONSTRAINT campaigns_wanted_sim_check CHECK (((wanted_sim >= 1) AND (wanted_sim <= 8)))
)
WITH (fillfactor='70');
CREATE TABLE public.clients (
    id text NOT NULL,
    account_id bigint NOT NULL,
    name text NOT NULL,
    digest bytea NOT NULL,
    old_digest bytea,
    old_until timestamp with time zone,
    scopes text[] NOT NULL,
    rate_per_minute integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    epoch bigint DEFAULT 0 NOT NULL,
    CONSTRAINT clients_id_check CHECK ((id ~ '^[0-9a-f]{32}$'::text)),
    CONSTRAINT clients_rate_per_minute_check CHECK ((rate_per_minute > 0))
);
CREATE TABLE public.contacts (
    account_id bigint NOT NULL,
    number text NOT NULL,
    device_id text NOT NULL,
    at timestamp with time zone NOT NULL
)
WITH (fillfactor='80');
CREATE TABLE public.credential_uses (
    id text NOT NULL,
    used_at timestamp with time zone NOT NULL
)
WITH (fillfactor='70');
CREATE TABLE public.dead_letters (
    id bigint NOT NULL,
    source text NOT NULL,
    account_id bigint,
    reason text NOT NULL,
    item bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    replayed_at timestamp with time zone
);
ALTER TABLE public.dead_letters ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.dead_letters_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.deliveries (
    id bigint NOT NULL,
    event_id uuid NOT NULL,
    endpoint_id text NOT NULL,
    account_id bigint NOT NULL,
    type text NOT NULL,
    body bytea NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT now() NOT NULL,
    claim uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    last_error text,
    lane text DEFAULT 'live'::text NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    queued_at timestamp with time zone DEFAULT now() NOT NULL,
    claimed_at timestamp with time zone,
    first_attempt_at timestamp with time zone,
    replay_id text,
    rest_state text,
    CONSTRAINT deliveries_lane_check CHECK ((lane = ANY (ARRAY['live'::text, 'replay'::text]))),
    CONSTRAINT deliveries_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'exhausted'::text, 'expired'::text, 'canceled'::text])))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.01', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_cost_delay='0');
ALTER TABLE public.deliveries ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.deliveries_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.delivery_attempts (
    delivery_id bigint CONSTRAINT delivery_attempts_delivery_id_not_null1 NOT NULL,
    number integer CONSTRAINT delivery_attempts_number_not_null1 NOT NULL,
    started_at timestamp with time zone CONSTRAINT delivery_attempts_started_at_not_null1 NOT NULL,
    duration_ms integer,
    status smallint,
    error text,
    detail text,
    dns_ms integer,
    connect_ms integer,
    tls_ms integer,
    first_byte_ms integer,
    remote_address text,
    response_headers text[] DEFAULT '{}'::text[] NOT NULL,
    response_head bytea DEFAULT '\x'::bytea NOT NULL
)
PARTITION BY RANGE (started_at);
CREATE TABLE public.device_tokens (
    device_id text NOT NULL,
    account_id bigint NOT NULL,
    digest bytea NOT NULL,
    enrolment_key_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    epoch bigint DEFAULT 0 NOT NULL
);
CREATE TABLE public.devices (
    id text NOT NULL,
    account_id bigint NOT NULL,
    name text NOT NULL,
    protocol text NOT NULL,
    software text DEFAULT ''::text NOT NULL,
    journal text NOT NULL,
    channels text[] NOT NULL,
    approved boolean NOT NULL,
    session bigint DEFAULT 0 NOT NULL,
    gateway text NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    renewed_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    last_seen_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    present boolean DEFAULT false NOT NULL,
    present_since timestamp with time zone,
    given_name text,
    paused_at timestamp with time zone,
    CONSTRAINT devices_id_check CHECK ((id ~ '^[A-Za-z0-9_-]{21}$'::text))
)
WITH (fillfactor='70');
CREATE TABLE public.endpoint_events (
    id bigint NOT NULL,
    event_id uuid DEFAULT gen_random_uuid() NOT NULL,
    account_id bigint NOT NULL,
    endpoint_id text NOT NULL,
    type text NOT NULL,
    occurred_at timestamp with time zone DEFAULT now() NOT NULL,
    reason text
);
ALTER TABLE public.endpoint_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.endpoint_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.endpoint_secrets (
    id bigint NOT NULL,
    endpoint_id text NOT NULL,
    kind text NOT NULL,
    key_id text NOT NULL,
    box bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    ends_at timestamp with time zone,
    CONSTRAINT endpoint_secrets_kind_check CHECK ((kind = ANY (ARRAY['signing'::text, 'request'::text])))
);
ALTER TABLE public.endpoint_secrets ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.endpoint_secrets_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.endpoint_state (
    endpoint_id text NOT NULL,
    account_id bigint NOT NULL,
    width smallint DEFAULT 4 NOT NULL,
    claim_xid xid8,
    probe_at timestamp with time zone,
    probes smallint DEFAULT 0 NOT NULL,
    failures_in_row integer DEFAULT 0 NOT NULL,
    failing_since timestamp with time zone,
    warned_at timestamp with time zone,
    minute timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    minute_delivered integer DEFAULT 0 NOT NULL,
    minute_failed integer DEFAULT 0 NOT NULL,
    last_success_at timestamp with time zone,
    last_failure_at timestamp with time zone,
    last_error text,
    pending bigint DEFAULT 0 NOT NULL,
    delivered bigint DEFAULT 0 NOT NULL,
    exhausted bigint DEFAULT 0 NOT NULL,
    expired bigint DEFAULT 0 NOT NULL,
    canceled bigint DEFAULT 0 NOT NULL,
    failures bigint DEFAULT 0 NOT NULL,
    CONSTRAINT endpoint_state_width_check CHECK (((width >= 0) AND (width <= 32)))
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.01', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_cost_delay='0');
CREATE TABLE public.endpoints (
    id text NOT NULL,
    account_id bigint NOT NULL,
    url text NOT NULL,
    format text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    state text DEFAULT 'enabled'::text NOT NULL,
    reason text,
    state_since timestamp with time zone DEFAULT now() NOT NULL,
    types text[] DEFAULT '{}'::text[] NOT NULL,
    devices text[] DEFAULT '{}'::text[] NOT NULL,
    sims smallint[] DEFAULT '{}'::smallint[] NOT NULL,
    numbers text[] DEFAULT '{}'::text[] NOT NULL,
    number_format text DEFAULT 'plain'::text NOT NULL,
    time_format text DEFAULT 'digits'::text NOT NULL,
    time_zone text,
    header_names text[] DEFAULT '{}'::text[] NOT NULL,
    auth text,
    max_window smallint DEFAULT 32 NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    enabled boolean GENERATED ALWAYS AS ((state = 'enabled'::text)) STORED NOT NULL,
    CONSTRAINT endpoints_auth_check CHECK ((auth = ANY (ARRAY['basic'::text, 'bearer'::text]))),
    CONSTRAINT endpoints_format_check CHECK ((format = ANY (ARRAY['classic'::text, 'v2'::text]))),
    CONSTRAINT endpoints_max_window_check CHECK (((max_window >= 1) AND (max_window <= 32))),
    CONSTRAINT endpoints_number_format_check CHECK ((number_format = ANY (ARRAY['plain'::text, 'plus'::text]))),
    CONSTRAINT endpoints_state_check CHECK ((state = ANY (ARRAY['enabled'::text, 'paused'::text, 'disabled'::text]))),
    CONSTRAINT endpoints_time_format_check CHECK ((time_format = ANY (ARRAY['digits'::text, 'text'::text])))
);
CREATE TABLE public.enrolment_keys (
    id text NOT NULL,
    account_id bigint NOT NULL,
    digest bytea NOT NULL,
    single_use boolean NOT NULL,
    approves boolean NOT NULL,
    expires_at timestamp with time zone,
    device_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    epoch bigint DEFAULT 0 NOT NULL
);
CREATE TABLE public.events (
    id bigint NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    event_id uuid NOT NULL,
    account_id bigint NOT NULL,
    type text NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    message_id bytea,
    inbox_id bigint,
    device_id text,
    sim smallint,
    number integer NOT NULL,
    stored_at timestamp with time zone DEFAULT now() NOT NULL,
    endpoint_id text,
    reason text
);
ALTER TABLE public.events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.history (
    message_id bytea NOT NULL,
    number integer NOT NULL,
    at timestamp with time zone NOT NULL,
    state text NOT NULL,
    attempt smallint NOT NULL,
    device_id text,
    sim smallint,
    detail text
)
PARTITION BY RANGE (message_id);
CREATE TABLE public.inbox (
    id bigint NOT NULL,
    guid uuid DEFAULT gen_random_uuid() NOT NULL,
    account_id bigint NOT NULL,
    device_id text NOT NULL,
    sim smallint,
    number text NOT NULL,
    text text NOT NULL,
    received_at timestamp with time zone NOT NULL,
    utc_offset_min smallint NOT NULL,
    stored_at timestamp with time zone DEFAULT now() NOT NULL,
    fingerprint bytea NOT NULL,
    read_at timestamp with time zone,
    deleted_at timestamp with time zone,
    kind text DEFAULT 'sms'::text NOT NULL,
    seen_at timestamp with time zone,
    CONSTRAINT inbox_kind_check CHECK ((kind = ANY (ARRAY['sms'::text, 'data'::text, 'mms'::text])))
);
ALTER TABLE public.inbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.inbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.lanes (
    queue bigint NOT NULL,
    submitter text NOT NULL,
    last_tag bigint NOT NULL
)
WITH (fillfactor='70');
CREATE TABLE public.messages (
    id bytea NOT NULL,
    account_id bigint NOT NULL,
    submitter text NOT NULL,
    recipient text NOT NULL,
    text text NOT NULL,
    channel text NOT NULL,
    encoding text NOT NULL,
    parts integer NOT NULL,
    priority smallint NOT NULL,
    origin text,
    client_ref text,
    media_url text,
    wanted_device_id text,
    wanted_sim smallint,
    accepted_at timestamp with time zone NOT NULL,
    scheduled_at timestamp with time zone NOT NULL,
    valid_until timestamp with time zone NOT NULL,
    state text NOT NULL,
    reason text,
    device_id text,
    sim smallint,
    attempt smallint DEFAULT 0 NOT NULL,
    sent_at timestamp with time zone,
    delivered_at timestamp with time zone,
    ended_at timestamp with time zone,
    deleted_at timestamp with time zone,
    route text,
    preferred_device_id text,
    CONSTRAINT messages_check CHECK ((scheduled_at <= (accepted_at + '366 days'::interval))),
    CONSTRAINT messages_check1 CHECK ((valid_until <= (accepted_at + '1100 days'::interval))),
    CONSTRAINT messages_id_check CHECK ((length(id) = 20)),
    CONSTRAINT messages_parts_check CHECK (((parts >= 1) AND (parts <= 1000))),
    CONSTRAINT messages_priority_check CHECK (((priority >= '-128'::integer) AND (priority <= 127))),
    CONSTRAINT messages_state_check CHECK ((state = ANY (ARRAY['scheduled'::text, 'queued'::text, 'sent'::text, 'delivered'::text, 'failed'::text, 'expired'::text, 'canceled'::text, 'unknown'::text])))
)
PARTITION BY RANGE (id);
CREATE TABLE public.outbox (
    id bigint NOT NULL,
    event_id uuid DEFAULT gen_random_uuid() NOT NULL,
    account_id bigint NOT NULL,
    type text NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    message_id bytea,
    inbox_id bigint,
    device_id text,
    sim smallint,
    number integer DEFAULT 0 NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.01', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_cost_delay='0');
ALTER TABLE public.outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.outlooks (
    queue bigint NOT NULL,
    head_tag bigint NOT NULL,
    parts_per_s double precision NOT NULL,
    at timestamp with time zone NOT NULL
)
WITH (fillfactor='50');
CREATE TABLE public.paces (
    device_id text NOT NULL,
    succeeded double precision NOT NULL,
    failed double precision NOT NULL,
    seconds double precision NOT NULL,
    at timestamp with time zone NOT NULL
)
WITH (fillfactor='50');
CREATE TABLE public.queues (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    device_id text,
    sim smallint,
    channel text NOT NULL
);
ALTER TABLE public.queues ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.queues_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.replays (
    id text NOT NULL,
    account_id bigint NOT NULL,
    endpoint_id text NOT NULL,
    state text DEFAULT 'running'::text NOT NULL,
    events uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    since timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    types text[] DEFAULT '{}'::text[] NOT NULL,
    states text[] NOT NULL,
    reached bigint DEFAULT 0 NOT NULL,
    matched bigint NOT NULL,
    queued bigint DEFAULT 0 NOT NULL,
    skipped bigint DEFAULT 0 NOT NULL,
    delivered bigint DEFAULT 0 NOT NULL,
    exhausted bigint DEFAULT 0 NOT NULL,
    canceled bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT replays_state_check CHECK ((state = ANY (ARRAY['running'::text, 'done'::text, 'canceled'::text])))
);
CREATE TABLE public.revoked_tokens (
    jti text NOT NULL,
    account_id bigint NOT NULL,
    client_id text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone DEFAULT now() NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL
);
CREATE UNLOGGED TABLE public.search_numbers (
    account_id bigint NOT NULL,
    number text NOT NULL
);
CREATE UNLOGGED TABLE public.search_progress (
    only_row boolean DEFAULT true NOT NULL,
    begun_at timestamp with time zone DEFAULT now() NOT NULL,
    messages_from bytea DEFAULT '\xffffffffffffffffffffffffffffffffffffffffff'::bytea NOT NULL,
    inbox_from bigint DEFAULT '9223372036854775807'::bigint NOT NULL,
    passes smallint DEFAULT 1 NOT NULL,
    CONSTRAINT search_progress_only_row_check CHECK (only_row)
);
CREATE TABLE public.search_states (
    message_id bytea NOT NULL,
    account_id bigint NOT NULL,
    state text NOT NULL,
    device_id text,
    place bytea NOT NULL
)
PARTITION BY RANGE (message_id);
CREATE TABLE public.search_texts (
    message_id bytea NOT NULL,
    account_id bigint NOT NULL,
    recipient text NOT NULL,
    text text NOT NULL
)
PARTITION BY RANGE (message_id);
CREATE TABLE public.sign_in_links (
    digest bytea NOT NULL,
    user_id text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    generation bigint
);
CREATE TABLE public.sign_in_tries (
    login bytea NOT NULL,
    tries integer NOT NULL,
    next_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL
);
CREATE TABLE public.signing_keys (
    id text NOT NULL,
    vault_key text NOT NULL,
    box bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    signs_from timestamp with time zone NOT NULL,
    withdrawn_at timestamp with time zone,
    epoch bigint DEFAULT 0 NOT NULL
);
CREATE TABLE public.sims (
    device_id text NOT NULL,
    slot smallint NOT NULL,
    number text,
    carrier text,
    CONSTRAINT sims_slot_check CHECK (((slot >= 1) AND (slot <= 8)))
);
CREATE UNLOGGED TABLE public.tallies (
    account_id bigint NOT NULL,
    hour timestamp with time zone NOT NULL,
    state text NOT NULL,
    messages bigint NOT NULL
)
WITH (fillfactor='50');
CREATE UNLOGGED TABLE public.threads (
    account_id bigint NOT NULL,
    number text NOT NULL,
    at timestamp with time zone NOT NULL
)
WITH (fillfactor='80');
CREATE TABLE public.unsearched (
    id bigint NOT NULL,
    message_ids bytea[] DEFAULT '{}'::bytea[] NOT NULL,
    inbox_ids bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    noted_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.01', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_cost_delay='0');
ALTER TABLE ONLY public.unsearched ALTER COLUMN message_ids SET STORAGE EXTERNAL;
ALTER TABLE public.unsearched ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.unsearched_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.users (
    id text NOT NULL,
    account_id bigint NOT NULL,
    login text NOT NULL,
    role text NOT NULL,
    password text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    disabled_at timestamp with time zone,
    last_sign_in_at timestamp with time zone,
    generation bigint DEFAULT 1 NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    CONSTRAINT users_login_check CHECK ((login = lower(login))),
    CONSTRAINT users_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'member'::text, 'viewer'::text])))
);
CREATE TABLE public.work (
    message_id bytea NOT NULL,
    account_id bigint NOT NULL,
    queue bigint NOT NULL,
    prio smallint NOT NULL,
    tag bigint NOT NULL,
    parts integer NOT NULL,
    due timestamp with time zone NOT NULL,
    spill_at timestamp with time zone,
    valid_until timestamp with time zone NOT NULL,
    state text NOT NULL,
    holder text,
    session bigint,
    sim smallint,
    attempt smallint DEFAULT 1 NOT NULL,
    tries smallint DEFAULT 1 NOT NULL,
    taken_at timestamp with time zone,
    cancel_wished_at timestamp with time zone,
    leased_at timestamp with time zone,
    heard_at timestamp with time zone,
    CONSTRAINT work_attempt_check CHECK (((attempt >= 1) AND (attempt <= 255))),
    CONSTRAINT work_state_check CHECK ((state = ANY (ARRAY['later'::text, 'ready'::text, 'leased'::text, 'taken'::text])))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.01', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_cost_delay='0');
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_name_key UNIQUE (name);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_digest_key UNIQUE (digest);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_old_digest_key UNIQUE (old_digest);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.apps
    ADD CONSTRAINT apps_pkey PRIMARY KEY (device_id);
ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY (message_id, number);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.auth_epoch
    ADD CONSTRAINT auth_epoch_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.budget_use
    ADD CONSTRAINT budget_use_pkey PRIMARY KEY (device_id, slot, span, place);
ALTER TABLE ONLY public.budgets
    ADD CONSTRAINT budgets_pkey PRIMARY KEY (device_id, slot);
ALTER TABLE ONLY public.campaign_rows
    ADD CONSTRAINT campaign_rows_pkey PRIMARY KEY (campaign_id, "row");
ALTER TABLE ONLY public.campaigns
    ADD CONSTRAINT campaigns_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.clients
    ADD CONSTRAINT clients_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.contacts
    ADD CONSTRAINT contacts_pkey PRIMARY KEY (account_id, number);
ALTER TABLE ONLY public.credential_uses
    ADD CONSTRAINT credential_uses_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_event_id_endpoint_id_key UNIQUE (event_id, endpoint_id);
ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.delivery_attempts
    ADD CONSTRAINT delivery_attempts_pkey PRIMARY KEY (delivery_id, number, started_at);
ALTER TABLE ONLY public.device_tokens
    ADD CONSTRAINT device_tokens_digest_key UNIQUE (digest);
ALTER TABLE ONLY public.device_tokens
    ADD CONSTRAINT device_tokens_pkey PRIMARY KEY (device_id);
ALTER TABLE ONLY public.devices
    ADD CONSTRAINT devices_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.endpoint_events
    ADD CONSTRAINT endpoint_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.endpoint_secrets
    ADD CONSTRAINT endpoint_secrets_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.endpoint_state
    ADD CONSTRAINT endpoint_state_pkey PRIMARY KEY (endpoint_id);
ALTER TABLE ONLY public.endpoints
    ADD CONSTRAINT endpoints_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.enrolment_keys
    ADD CONSTRAINT enrolment_keys_digest_key UNIQUE (digest);
ALTER TABLE ONLY public.enrolment_keys
    ADD CONSTRAINT enrolment_keys_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_event_id_key UNIQUE (event_id);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.history
    ADD CONSTRAINT history_pkey PRIMARY KEY (message_id, number);
ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_device_id_fingerprint_key UNIQUE (device_id, fingerprint);
ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.lanes
    ADD CONSTRAINT lanes_pkey PRIMARY KEY (queue, submitter);
ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.outlooks
    ADD CONSTRAINT outlooks_pkey PRIMARY KEY (queue);
ALTER TABLE ONLY public.paces
    ADD CONSTRAINT paces_pkey PRIMARY KEY (device_id);
ALTER TABLE ONLY public.queues
    ADD CONSTRAINT queues_account_id_device_id_sim_channel_key UNIQUE NULLS NOT DISTINCT (account_id, device_id, sim, channel);
ALTER TABLE ONLY public.queues
    ADD CONSTRAINT queues_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.replays
    ADD CONSTRAINT replays_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.revoked_tokens
    ADD CONSTRAINT revoked_tokens_pkey PRIMARY KEY (jti);
ALTER TABLE ONLY public.search_numbers
    ADD CONSTRAINT search_numbers_pkey PRIMARY KEY (account_id, number);
ALTER TABLE ONLY public.search_progress
    ADD CONSTRAINT search_progress_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.search_states
    ADD CONSTRAINT search_states_pkey PRIMARY KEY (message_id);
ALTER TABLE ONLY public.search_texts
    ADD CONSTRAINT search_texts_pkey PRIMARY KEY (account_id, recipient, message_id);
ALTER TABLE ONLY public.sign_in_links
    ADD CONSTRAINT sign_in_links_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY public.sign_in_tries
    ADD CONSTRAINT sign_in_tries_pkey PRIMARY KEY (login);
ALTER TABLE ONLY public.signing_keys
    ADD CONSTRAINT signing_keys_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.sims
    ADD CONSTRAINT sims_pkey PRIMARY KEY (device_id, slot);
ALTER TABLE ONLY public.tallies
    ADD CONSTRAINT tallies_pkey PRIMARY KEY (account_id, hour, state);
ALTER TABLE ONLY public.threads
    ADD CONSTRAINT threads_pkey PRIMARY KEY (account_id, number);
ALTER TABLE ONLY public.unsearched
    ADD CONSTRAINT unsearched_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_login_key UNIQUE (login);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.work
    ADD CONSTRAINT work_pkey PRIMARY KEY (message_id);
CREATE INDEX accounts_epoch ON public.accounts USING btree (epoch);
CREATE INDEX api_keys_account ON public.api_keys USING btree (account_id);
CREATE INDEX api_keys_epoch ON public.api_keys USING btree (epoch);
CREATE INDEX api_keys_listed ON public.api_keys USING btree (account_id, created_at, id);
CREATE INDEX audit_account ON public.audit USING btree (account_id, id);
CREATE INDEX campaign_rows_fed ON public.campaign_rows USING btree (campaign_id, "row") WHERE (state = 'fed'::text);
CREATE INDEX campaign_rows_rested ON public.campaign_rows USING btree (campaign_id, "row") WHERE (state = ANY (ARRAY['sent'::text, 'failed'::text, 'expired'::text, 'canceled'::text, 'unknown'::text]));
CREATE INDEX campaign_rows_unfed ON public.campaign_rows USING btree (campaign_id, "row") WHERE (state = 'unfed'::text);
CREATE INDEX campaigns_account ON public.campaigns USING btree (account_id, created_at DESC);
CREATE INDEX campaigns_ended ON public.campaigns USING btree (ended_at);
CREATE INDEX clients_account ON public.clients USING btree (account_id);
CREATE INDEX clients_epoch ON public.clients USING btree (epoch);
CREATE INDEX clients_listed ON public.clients USING btree (account_id, created_at, id);
CREATE INDEX deliveries_at_rest ON public.deliveries USING btree (endpoint_id, id) WHERE (state <> 'pending'::text);
CREATE INDEX deliveries_claimed ON public.deliveries USING btree (endpoint_id) WHERE ((state = 'pending'::text) AND (claim IS NOT NULL));
CREATE INDEX deliveries_due ON public.deliveries USING btree (endpoint_id, lane, next_attempt_at) WHERE (state = 'pending'::text);
CREATE INDEX deliveries_given_up ON public.deliveries USING btree (endpoint_id, id) WHERE (state = ANY (ARRAY['exhausted'::text, 'expired'::text]));
CREATE INDEX deliveries_pending ON public.deliveries USING btree (endpoint_id, id) WHERE (state = 'pending'::text);
CREATE INDEX deliveries_replayed ON public.deliveries USING btree (replay_id) WHERE ((state = 'pending'::text) AND (replay_id IS NOT NULL));
CREATE INDEX device_tokens_enrolment_key ON public.device_tokens USING btree (enrolment_key_id);
CREATE INDEX device_tokens_epoch ON public.device_tokens USING btree (epoch);
CREATE INDEX devices_account ON public.devices USING btree (account_id, created_at);
CREATE INDEX endpoint_secrets_endpoint ON public.endpoint_secrets USING btree (endpoint_id);
CREATE INDEX endpoints_account ON public.endpoints USING btree (account_id) WHERE (deleted_at IS NULL);
CREATE INDEX enrolment_keys_account ON public.enrolment_keys USING btree (account_id);
CREATE INDEX enrolment_keys_epoch ON public.enrolment_keys USING btree (epoch);
CREATE INDEX enrolment_keys_listed ON public.enrolment_keys USING btree (account_id, created_at, id);
CREATE INDEX events_cursor ON public.events USING btree (account_id, xid, id);
CREATE INDEX events_stored ON public.events USING btree (stored_at);
CREATE INDEX inbox_account ON public.inbox USING btree (account_id, id DESC) WHERE (deleted_at IS NULL);
CREATE INDEX inbox_number ON public.inbox USING btree (account_id, number, id) WHERE (deleted_at IS NULL);
CREATE INDEX inbox_to_blank ON public.inbox USING btree (deleted_at) WHERE ((deleted_at IS NOT NULL) AND (text <> ''::text));
CREATE INDEX inbox_unread ON public.inbox USING btree (account_id, id DESC) WHERE ((read_at IS NULL) AND (deleted_at IS NULL));
CREATE INDEX inbox_unseen ON public.inbox USING btree (account_id, number, id) WHERE ((seen_at IS NULL) AND (deleted_at IS NULL));
CREATE INDEX messages_account ON ONLY public.messages USING btree (account_id, id DESC);
CREATE INDEX messages_api_errors ON ONLY public.messages USING btree (account_id, id DESC) WHERE ((state = ANY (ARRAY['expired'::text, 'canceled'::text])) OR (reason = 'rejected'::text));
CREATE INDEX messages_mobile_errors ON ONLY public.messages USING btree (account_id, id DESC) WHERE (state = ANY (ARRAY['failed'::text, 'unknown'::text]));
CREATE INDEX messages_to_blank ON ONLY public.messages USING btree (deleted_at) WHERE ((deleted_at IS NOT NULL) AND (text <> ''::text));
CREATE INDEX replays_account ON public.replays USING btree (account_id, created_at DESC);
CREATE UNIQUE INDEX replays_running ON public.replays USING btree (endpoint_id) WHERE (state = 'running'::text);
CREATE INDEX revoked_tokens_epoch ON public.revoked_tokens USING btree (epoch);
CREATE INDEX revoked_tokens_expired ON public.revoked_tokens USING btree (expires_at);
CREATE INDEX search_numbers_number ON public.search_numbers USING gin (account_id, number public.gin_trgm_ops);
CREATE INDEX search_states_device ON ONLY public.search_states USING btree (account_id, device_id, place) WHERE (device_id IS NOT NULL);
CREATE INDEX search_states_state ON ONLY public.search_states USING btree (account_id, state, place);
CREATE INDEX search_texts_text ON ONLY public.search_texts USING gin (account_id, text public.gin_trgm_ops);
CREATE INDEX sign_in_links_expired ON public.sign_in_links USING btree (expires_at);
CREATE INDEX sign_in_tries_last ON public.sign_in_tries USING btree (last_at);
CREATE INDEX signing_keys_epoch ON public.signing_keys USING btree (epoch);
CREATE INDEX threads_at ON public.threads USING btree (account_id, at, number);
CREATE INDEX users_account ON public.users USING btree (account_id);
CREATE INDEX users_epoch ON public.users USING btree (epoch);
CREATE INDEX work_held ON public.work USING btree (holder, leased_at) WHERE (state = ANY (ARRAY['leased'::text, 'taken'::text]));
CREATE INDEX work_later ON public.work USING btree (due) WHERE (state = 'later'::text);
CREATE INDEX work_ready ON public.work USING btree (queue, prio DESC, tag) WHERE (state = 'ready'::text);
CREATE INDEX work_spill ON public.work USING btree (spill_at) WHERE ((state = 'ready'::text) AND (spill_at IS NOT NULL));
CREATE INDEX work_valid ON public.work USING btree (valid_until);
CREATE TRIGGER accounts_stamp BEFORE INSERT OR UPDATE ON public.accounts FOR EACH ROW EXECUTE FUNCTION public.stamp_epoch();
CREATE TRIGGER api_keys_stamp BEFORE INSERT OR UPDATE ON public.api_keys FOR EACH ROW EXECUTE FUNCTION public.stamp_epoch();
CREATE TRIGGER audit_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER clients_stamp BEFORE INSERT OR UPDATE ON public.clients FOR EACH ROW EXECUTE FUNCTION public.stamp_epoch();
CREATE TRIGGER device_tokens_stamp BEFORE INSERT OR UPDATE ON public.device_tokens FOR EACH ROW EXECUTE FUNCTION public.stamp_epoch();
CREATE TRIGGER enrolment_keys_stamp BEFORE INSERT OR UPDATE ON public.enrolment_keys FOR EACH ROW EXECUTE FUNCTION public.stamp_epoch();
CREATE TRIGGER revoked_tokens_stamp BEFORE INSERT OR UPDATE ON public.revoked_tokens FOR EACH ROW EXECUTE FUNCTION public.stamp_epoch();
CREATE TRIGGER signing_keys_stamp BEFORE INSERT OR UPDATE ON public.signing_keys FOR EACH ROW EXECUTE FUNCTION public.stamp_epoch();
CREATE TRIGGER users_stamp BEFORE INSERT OR UPDATE OF account_id, role, disabled_at, generation ON public.users FOR EACH ROW EXECUTE FUNCTION public.stamp_epoch();
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.campaign_rows
    ADD CONSTRAINT campaign_rows_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES public.campaigns(id);
ALTER TABLE ONLY public.clients
    ADD CONSTRAINT clients_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES public.endpoints(id);
ALTER TABLE ONLY public.device_tokens
    ADD CONSTRAINT device_tokens_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.device_tokens
    ADD CONSTRAINT device_tokens_enrolment_key_id_fkey FOREIGN KEY (enrolment_key_id) REFERENCES public.enrolment_keys(id);
ALTER TABLE ONLY public.endpoint_secrets
    ADD CONSTRAINT endpoint_secrets_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES public.endpoints(id);
ALTER TABLE ONLY public.endpoint_state
    ADD CONSTRAINT endpoint_state_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES public.endpoints(id);
ALTER TABLE ONLY public.enrolment_keys
    ADD CONSTRAINT enrolment_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.replays
    ADD CONSTRAINT replays_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES public.endpoints(id);
ALTER TABLE ONLY public.revoked_tokens
    ADD CONSTRAINT revoked_tokens_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.revoked_tokens
    ADD CONSTRAINT revoked_tokens_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.clients(id);
ALTER TABLE ONLY public.sign_in_links
    ADD CONSTRAINT sign_in_links_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);
ALTER TABLE ONLY public.sims
    ADD CONSTRAINT sims_device_id_fkey FOREIGN KEY (device_id) REFERENCES public.devices(id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);
