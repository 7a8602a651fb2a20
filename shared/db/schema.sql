CREATE TABLE public.accounts (
    id bigint NOT NULL,
    name text NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    time_zone text DEFAULT 'UTC'::text NOT NULL,
    region text,
    max_parts integer,
    rate_per_minute integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT accounts_max_parts_check CHECK ((max_parts > 0)),
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
    CONSTRAINT api_keys_rate_per_minute_check CHECK ((rate_per_minute > 0))
);
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
CREATE TABLE public.auth_epoch (
    only_row boolean DEFAULT true NOT NULL,
    epoch bigint NOT NULL,
    CONSTRAINT auth_epoch_only_row_check CHECK (only_row)
);
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
    CONSTRAINT deliveries_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'exhausted'::text, 'canceled'::text])))
)
WITH (fillfactor='70');
ALTER TABLE public.deliveries ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.deliveries_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.delivery_attempts (
    delivery_id bigint NOT NULL,
    number smallint NOT NULL,
    started_at timestamp with time zone NOT NULL,
    duration_ms integer NOT NULL,
    status smallint,
    error text
);
CREATE TABLE public.device_tokens (
    device_id text NOT NULL,
    account_id bigint NOT NULL,
    digest bytea NOT NULL,
    enrolment_key_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone
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
    CONSTRAINT devices_id_check CHECK ((id ~ '^[A-Za-z0-9_-]{21}$'::text))
)
WITH (fillfactor='70');
CREATE TABLE public.endpoints (
    id text NOT NULL,
    account_id bigint NOT NULL,
    url text NOT NULL,
    format text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT endpoints_format_check CHECK ((format = 'classic'::text))
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
    revoked_at timestamp with time zone
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
    stored_at timestamp with time zone DEFAULT now() NOT NULL
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
    deleted_at timestamp with time zone
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
CREATE TABLE public.sims (
    device_id text NOT NULL,
    slot smallint NOT NULL,
    number text,
    carrier text,
    CONSTRAINT sims_slot_check CHECK (((slot >= 1) AND (slot <= 8)))
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
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY (message_id, number);
ALTER TABLE ONLY public.auth_epoch
    ADD CONSTRAINT auth_epoch_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_event_id_endpoint_id_key UNIQUE (event_id, endpoint_id);
ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.delivery_attempts
    ADD CONSTRAINT delivery_attempts_pkey PRIMARY KEY (delivery_id, number);
ALTER TABLE ONLY public.device_tokens
    ADD CONSTRAINT device_tokens_digest_key UNIQUE (digest);
ALTER TABLE ONLY public.device_tokens
    ADD CONSTRAINT device_tokens_pkey PRIMARY KEY (device_id);
ALTER TABLE ONLY public.devices
    ADD CONSTRAINT devices_pkey PRIMARY KEY (id);
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
ALTER TABLE ONLY public.queues
    ADD CONSTRAINT queues_account_id_device_id_sim_channel_key UNIQUE NULLS NOT DISTINCT (account_id, device_id, sim, channel);
ALTER TABLE ONLY public.queues
    ADD CONSTRAINT queues_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.sims
    ADD CONSTRAINT sims_pkey PRIMARY KEY (device_id, slot);
ALTER TABLE ONLY public.work
    ADD CONSTRAINT work_pkey PRIMARY KEY (message_id);
CREATE INDEX api_keys_account ON public.api_keys USING btree (account_id);
CREATE INDEX deliveries_due ON public.deliveries USING btree (endpoint_id, next_attempt_at) WHERE (state = 'pending'::text);
CREATE INDEX devices_account ON public.devices USING btree (account_id, created_at);
CREATE INDEX endpoints_account ON public.endpoints USING btree (account_id) WHERE (deleted_at IS NULL);
CREATE INDEX events_cursor ON public.events USING btree (account_id, xid, id);
CREATE INDEX events_stored ON public.events USING btree (stored_at);
CREATE INDEX inbox_account ON public.inbox USING btree (account_id, id DESC) WHERE (deleted_at IS NULL);
CREATE INDEX inbox_to_blank ON public.inbox USING btree (deleted_at) WHERE ((deleted_at IS NOT NULL) AND (text <> ''::text));
CREATE INDEX inbox_unread ON public.inbox USING btree (account_id, id DESC) WHERE ((read_at IS NULL) AND (deleted_at IS NULL));
CREATE INDEX messages_account ON ONLY public.messages USING btree (account_id, id DESC);
CREATE INDEX messages_api_errors ON ONLY public.messages USING btree (account_id, id DESC) WHERE ((state = ANY (ARRAY['expired'::text, 'canceled'::text])) OR (reason = 'rejected'::text));
CREATE INDEX messages_mobile_errors ON ONLY public.messages USING btree (account_id, id DESC) WHERE (state = ANY (ARRAY['failed'::text, 'unknown'::text]));
CREATE INDEX messages_to_blank ON ONLY public.messages USING btree (deleted_at) WHERE ((deleted_at IS NOT NULL) AND (text <> ''::text));
CREATE INDEX work_held ON public.work USING btree (holder) WHERE (state = ANY (ARRAY['leased'::text, 'taken'::text]));
CREATE INDEX work_later ON public.work USING btree (due) WHERE (state = 'later'::text);
CREATE INDEX work_ready ON public.work USING btree (queue, prio DESC, tag) WHERE (state = 'ready'::text);
CREATE INDEX work_spill ON public.work USING btree (spill_at) WHERE ((state = 'ready'::text) AND (spill_at IS NOT NULL));
CREATE INDEX work_valid ON public.work USING btree (valid_until);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES public.endpoints(id);
ALTER TABLE ONLY public.device_tokens
    ADD CONSTRAINT device_tokens_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.device_tokens
    ADD CONSTRAINT device_tokens_enrolment_key_id_fkey FOREIGN KEY (enrolment_key_id) REFERENCES public.enrolment_keys(id);
ALTER TABLE ONLY public.enrolment_keys
    ADD CONSTRAINT enrolment_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.sims
    ADD CONSTRAINT sims_device_id_fkey FOREIGN KEY (device_id) REFERENCES public.devices(id);
