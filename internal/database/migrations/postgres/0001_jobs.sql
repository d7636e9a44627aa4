-- +goose Up
-- JSON is text here, not jsonb: it holds other people's words, and jsonb refuses a NUL in them. Durations are
-- microseconds; 0 means none.
CREATE TABLE jobs (
  id                  text        NOT NULL PRIMARY KEY COLLATE "C",
  kind                text        NOT NULL,
  owner               text        NOT NULL,
  parent_job          text        NOT NULL DEFAULT '' COLLATE "C",
  resource            text        NOT NULL DEFAULT '',
  labels              text        NOT NULL DEFAULT '{}', -- JSON
  state               text        NOT NULL,
  state_reason        text        NOT NULL DEFAULT '',
  stage               text        NOT NULL DEFAULT '',
  progress_done       bigint      NOT NULL DEFAULT 0,
  progress_total      bigint      NOT NULL DEFAULT 0,
  progress_unit       text        NOT NULL DEFAULT '',
  epoch               bigint      NOT NULL DEFAULT 0,
  attempt             integer     NOT NULL DEFAULT 1,
  stalled             integer     NOT NULL DEFAULT 0,
  last_seq            bigint      NOT NULL DEFAULT 0,
  first_available_seq bigint      NOT NULL DEFAULT 1,
  revision            bigint      NOT NULL DEFAULT 1,
  spec                bytea,
  result              bytea,
  error               text,                              -- JSON
  calls_started       bigint      NOT NULL DEFAULT 0,
  calls_completed     bigint      NOT NULL DEFAULT 0,
  calls_reused        bigint      NOT NULL DEFAULT 0,
  calls_repaid        bigint      NOT NULL DEFAULT 0,
  recoveries          bigint      NOT NULL DEFAULT 0,
  usage               text        NOT NULL DEFAULT '{}', -- JSON
  reserved            bigint      NOT NULL DEFAULT 0,
  priority            bigint      NOT NULL DEFAULT 10,
  timeout             bigint      NOT NULL DEFAULT 0,
  queue_timeout       bigint      NOT NULL DEFAULT 0,
  history_kept        bigint      NOT NULL DEFAULT 2592000000000,
  create_time         timestamptz NOT NULL,
  start_time          timestamptz,
  end_time            timestamptz,
  cancel_time         timestamptz,
  deadline_time       timestamptz,
  queue_expire_time   timestamptz,
  expire_time         timestamptz,
  history_expire_time timestamptz
) WITH (fillfactor = 70); -- a running job's row is rewritten with each event
CREATE INDEX jobs_by_owner ON jobs (owner, create_time DESC, id DESC);
CREATE INDEX jobs_by_time ON jobs (create_time DESC, id DESC);
CREATE INDEX jobs_by_parent ON jobs (parent_job) WHERE parent_job <> '';
CREATE INDEX jobs_unfinished ON jobs (id) WHERE state IN ('QUEUED', 'RUNNING', 'CANCELLING');
CREATE INDEX jobs_queued ON jobs (id) WHERE state = 'QUEUED';
CREATE INDEX jobs_history ON jobs (history_expire_time) WHERE history_expire_time IS NOT NULL;
CREATE INDEX jobs_expiring ON jobs (expire_time, id) WHERE expire_time IS NOT NULL;
CREATE INDEX jobs_given_up ON jobs (id) WHERE state = 'FAILED' AND state_reason = 'RECOVERY_ATTEMPTS_EXCEEDED';

CREATE TABLE requests (
  owner       text        NOT NULL,
  method      text        NOT NULL,
  request_id  text        NOT NULL,
  body_sha256 bytea       NOT NULL,
  job_id      text        NOT NULL COLLATE "C", -- empty when the job was deleted
  resource    text        NOT NULL,
  create_time timestamptz NOT NULL,
  PRIMARY KEY (owner, method, request_id)
);
CREATE INDEX requests_by_job ON requests (job_id) WHERE job_id <> '';

CREATE TABLE job_events (
  job_id  text        NOT NULL COLLATE "C",
  seq     bigint      NOT NULL,
  key     text        NOT NULL COLLATE "C",
  epoch   bigint      NOT NULL,
  attempt integer     NOT NULL,
  type    text        NOT NULL,
  time    timestamptz NOT NULL,
  final   boolean     NOT NULL DEFAULT false,
  payload bytea       NOT NULL,
  PRIMARY KEY (job_id, seq),
  CONSTRAINT job_events_by_key UNIQUE (job_id, key)
);

CREATE TABLE calls (
  job_id          text        NOT NULL COLLATE "C",
  stage           text        NOT NULL,
  subject         text        NOT NULL,
  part            text        NOT NULL,
  attempt         integer     NOT NULL,
  epoch           bigint      NOT NULL,
  state           text        NOT NULL,
  prompt_sha256   bytea       NOT NULL,
  template        text        NOT NULL DEFAULT '',
  idempotency_key text        NOT NULL DEFAULT '',
  reissue_of      integer     NOT NULL DEFAULT 0,
  reserved        bigint      NOT NULL DEFAULT 0,
  usage           text        NOT NULL DEFAULT '{}', -- JSON
  result          bytea,
  error_class     text        NOT NULL DEFAULT '',
  start_time      timestamptz NOT NULL,
  end_time        timestamptz,
  job_attempt     integer     NOT NULL DEFAULT 1, -- the attempt of the job in which the call was made
  PRIMARY KEY (job_id, stage, subject, part, attempt)
);

-- One row for each life of a worker process (engine identity). All times are the database's own.
CREATE TABLE executors (
  id         text        NOT NULL PRIMARY KEY COLLATE "C",
  host       text        NOT NULL,
  pid        integer     NOT NULL,
  queues     text        NOT NULL,
  start_time timestamptz NOT NULL DEFAULT now(),
  beat_time  timestamptz NOT NULL DEFAULT now(),
  dead_time  timestamptz
);

-- +goose Down
DROP TABLE executors;
DROP TABLE calls;
DROP TABLE job_events;
DROP TABLE requests;
DROP TABLE jobs;
