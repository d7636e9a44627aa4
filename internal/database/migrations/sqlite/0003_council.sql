-- +goose Up
-- Times are integer microseconds since 1970 (UTC), NULL where they have not come.
CREATE TABLE conversations (
  id          TEXT    NOT NULL PRIMARY KEY,
  owner       TEXT    NOT NULL,
  title       TEXT    NOT NULL DEFAULT '',
  council     TEXT    NOT NULL DEFAULT '',
  temporary   INTEGER NOT NULL DEFAULT 0,
  labels      TEXT    NOT NULL DEFAULT '{}',
  request_id  TEXT    NOT NULL DEFAULT '',
  body_sha256 BLOB,
  revision    INTEGER NOT NULL DEFAULT 1,
  create_time INTEGER NOT NULL,
  update_time INTEGER NOT NULL,
  expire_time INTEGER
);
CREATE INDEX conversations_by_owner ON conversations (owner, create_time DESC, id DESC);
CREATE UNIQUE INDEX conversations_by_request ON conversations (owner, request_id) WHERE request_id <> '';

CREATE TABLE deliberations (
  id           TEXT    NOT NULL PRIMARY KEY,
  owner        TEXT    NOT NULL,
  conversation TEXT    NOT NULL DEFAULT '',
  council      TEXT    NOT NULL,
  task         TEXT    NOT NULL,          -- JSON without material
  material     BLOB,                      -- JSON of the texts that task leaves out
  spec         TEXT    NOT NULL,
  timeout      INTEGER NOT NULL,          -- microseconds
  labels       TEXT    NOT NULL DEFAULT '{}',
  parent_job   TEXT    NOT NULL DEFAULT '',
  estimate     TEXT,
  plan         BLOB,
  result       BLOB,
  revision     INTEGER NOT NULL DEFAULT 1,
  create_time  INTEGER NOT NULL,
  expire_time  INTEGER
);
CREATE INDEX deliberations_by_owner ON deliberations (owner, create_time DESC, id DESC);
CREATE INDEX deliberations_by_conversation ON deliberations (conversation, create_time DESC, id DESC) WHERE conversation <> '';

CREATE TABLE deliberation_outcomes (
  deliberation TEXT    NOT NULL,
  attempt      INTEGER NOT NULL,          -- the job's
  stage        TEXT    NOT NULL,
  outcome      BLOB    NOT NULL,
  PRIMARY KEY (deliberation, attempt, stage)
) WITHOUT ROWID;

CREATE TABLE messages (
  conversation TEXT    NOT NULL,
  ordinal      INTEGER NOT NULL,
  id           TEXT    NOT NULL,
  role         TEXT    NOT NULL,
  text         TEXT    NOT NULL,
  deliberation TEXT    NOT NULL DEFAULT '',
  origin       TEXT    NOT NULL DEFAULT '',
  partial      INTEGER NOT NULL DEFAULT 0,
  create_time  INTEGER NOT NULL,
  PRIMARY KEY (conversation, ordinal)
) WITHOUT ROWID;
CREATE UNIQUE INDEX messages_by_id ON messages (conversation, id);

-- +goose Down
DROP TABLE messages;
DROP TABLE deliberation_outcomes;
DROP TABLE deliberations;
DROP TABLE conversations;
