-- +goose Up
-- Times are integer microseconds since 1970 (UTC), NULL where they have not come.
CREATE TABLE jobs (
  id                  TEXT    NOT NULL PRIMARY KEY,
  kind                TEXT    NOT NULL,
  owner               TEXT    NOT NULL,
  parent_job          TEXT    NOT NULL DEFAULT '',
  resource            TEXT    NOT NULL DEFAULT '',
  labels              TEXT    NOT NULL DEFAULT '{}',
  state               TEXT    NOT NULL,
  state_reason        TEXT    NOT NULL DEFAULT '',
  stage               TEXT    NOT NULL DEFAULT '',
  progress_done       INTEGER NOT NULL DEFAULT 0,
  progress_total      INTEGER NOT NULL DEFAULT 0,
  progress_unit       TEXT    NOT NULL DEFAULT '',
  epoch               INTEGER NOT NULL DEFAULT 0,
  attempt             INTEGER NOT NULL DEFAULT 1,
  stalled             INTEGER NOT NULL DEFAULT 0,
  last_seq            INTEGER NOT NULL DEFAULT 0,
  first_available_seq INTEGER NOT NULL DEFAULT 1,
  revision            INTEGER NOT NULL DEFAULT 1,
  spec                BLOB,
  result              BLOB,
  error               TEXT,
  calls_started       INTEGER NOT NULL DEFAULT 0,
  calls_completed     INTEGER NOT NULL DEFAULT 0,
  calls_reused        INTEGER NOT NULL DEFAULT 0,
  calls_repaid        INTEGER NOT NULL DEFAULT 0,
  recoveries          INTEGER NOT NULL DEFAULT 0,
  usage               TEXT    NOT NULL DEFAULT '{}',
  reserved            INTEGER NOT NULL DEFAULT 0,
  create_time         INTEGER NOT NULL,
  start_time          INTEGER,
  end_time            INTEGER,
  cancel_time         INTEGER,
  deadline_time       INTEGER,
  expire_time         INTEGER,
  history_expire_time INTEGER
);
CREATE INDEX jobs_by_owner ON jobs (owner, create_time DESC, id DESC);
CREATE INDEX jobs_by_time ON jobs (create_time DESC, id DESC);
CREATE INDEX jobs_by_parent ON jobs (parent_job) WHERE parent_job <> '';
CREATE INDEX jobs_unfinished ON jobs (id) WHERE state IN ('QUEUED', 'RUNNING', 'CANCELLING');
CREATE INDEX jobs_history ON jobs (history_expire_time) WHERE history_expire_time IS NOT NULL;

CREATE TABLE requests (
  owner       TEXT    NOT NULL,
  method      TEXT    NOT NULL,
  request_id  TEXT    NOT NULL,
  body_sha256 BLOB    NOT NULL,
  job_id      TEXT    NOT NULL,
  resource    TEXT    NOT NULL,
  create_time INTEGER NOT NULL,
  PRIMARY KEY (owner, method, request_id)
) WITHOUT ROWID;

CREATE TABLE job_events (
  job_id  TEXT    NOT NULL,
  seq     INTEGER NOT NULL,
  key     TEXT    NOT NULL,
  epoch   INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  type    TEXT    NOT NULL,
  time    INTEGER NOT NULL,
  final   INTEGER NOT NULL DEFAULT 0,
  payload BLOB    NOT NULL,
  PRIMARY KEY (job_id, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX job_events_by_key ON job_events (job_id, key);

CREATE TABLE calls (
  job_id          TEXT    NOT NULL,
  stage           TEXT    NOT NULL,
  subject         TEXT    NOT NULL,
  part            TEXT    NOT NULL,
  attempt         INTEGER NOT NULL,
  epoch           INTEGER NOT NULL,
  state           TEXT    NOT NULL,
  prompt_sha256   BLOB    NOT NULL,
  template        TEXT    NOT NULL DEFAULT '',
  idempotency_key TEXT    NOT NULL DEFAULT '',
  reissue_of      INTEGER NOT NULL DEFAULT 0,
  reserved        INTEGER NOT NULL DEFAULT 0,
  usage           TEXT    NOT NULL DEFAULT '{}',
  result          BLOB,
  error_class     TEXT    NOT NULL DEFAULT '',
  start_time      INTEGER NOT NULL,
  end_time        INTEGER,
  PRIMARY KEY (job_id, stage, subject, part, attempt)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE calls;
DROP TABLE job_events;
DROP TABLE requests;
DROP TABLE jobs;
