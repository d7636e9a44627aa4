-- +goose Up
-- What holds other people's words is bytes, and JSON is never jsonb: both text and jsonb refuse a NUL.
CREATE TABLE conversations (
  id          text        NOT NULL PRIMARY KEY COLLATE "C",
  owner       text        NOT NULL,
  title       bytea       NOT NULL DEFAULT '', -- UTF-8
  council     text        NOT NULL DEFAULT '',
  temporary   boolean     NOT NULL DEFAULT false,
  labels      text        NOT NULL DEFAULT '{}', -- JSON
  request_id  text        NOT NULL DEFAULT '',
  body_sha256 bytea,
  revision    bigint      NOT NULL DEFAULT 1,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  expire_time timestamptz
);
CREATE INDEX conversations_by_owner ON conversations (owner, create_time DESC, id DESC);
CREATE UNIQUE INDEX conversations_by_request ON conversations (owner, request_id) WHERE request_id <> '';
CREATE INDEX conversations_expiring ON conversations (expire_time, id) WHERE expire_time IS NOT NULL;

-- Requests that made a conversation which is gone: their repetition makes no other one.
CREATE TABLE deleted_conversations (
  owner       text  NOT NULL,
  request_id  text  NOT NULL,
  body_sha256 bytea NOT NULL,
  PRIMARY KEY (owner, request_id)
);

CREATE TABLE deliberations (
  id           text        NOT NULL PRIMARY KEY COLLATE "C",
  owner        text        NOT NULL,
  conversation text        NOT NULL DEFAULT '' COLLATE "C",
  council      text        NOT NULL,
  task         bytea       NOT NULL,      -- JSON without material
  material     bytea,                     -- JSON of the texts that task leaves out
  spec         bytea       NOT NULL,      -- JSON
  timeout      bigint      NOT NULL,      -- microseconds
  labels       text        NOT NULL DEFAULT '{}', -- JSON
  parent_job   text        NOT NULL DEFAULT '',
  estimate     bytea,                     -- JSON
  plan         bytea,
  result       bytea,                     -- JSON
  revision     bigint      NOT NULL DEFAULT 1,
  create_time  timestamptz NOT NULL,
  expire_time  timestamptz
);
CREATE INDEX deliberations_by_owner ON deliberations (owner, create_time DESC, id DESC);
CREATE INDEX deliberations_by_conversation ON deliberations (conversation, create_time DESC, id DESC) WHERE conversation <> '';

CREATE TABLE deliberation_outcomes (
  deliberation text    NOT NULL COLLATE "C",
  attempt      integer NOT NULL,          -- the job's
  stage        text    NOT NULL,
  outcome      bytea   NOT NULL,
  PRIMARY KEY (deliberation, attempt, stage)
);

CREATE TABLE messages (
  conversation text        NOT NULL COLLATE "C",
  ordinal      bigint      NOT NULL,
  id           text        NOT NULL,
  role         text        NOT NULL,
  text         bytea       NOT NULL,      -- UTF-8
  deliberation text        NOT NULL DEFAULT '' COLLATE "C",
  origin       text        NOT NULL DEFAULT '',
  partial      boolean     NOT NULL DEFAULT false,
  create_time  timestamptz NOT NULL,
  PRIMARY KEY (conversation, ordinal)
);
CREATE UNIQUE INDEX messages_by_id ON messages (conversation, id);

-- +goose Down
DROP TABLE messages;
DROP TABLE deliberation_outcomes;
DROP TABLE deliberations;
DROP TABLE deleted_conversations;
DROP TABLE conversations;
