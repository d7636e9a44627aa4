-- +goose Up
CREATE TABLE conversations (
  id          text        NOT NULL PRIMARY KEY COLLATE "C",
  owner       text        NOT NULL,
  title       text        NOT NULL DEFAULT '',
  council     text        NOT NULL DEFAULT '',
  temporary   boolean     NOT NULL DEFAULT false,
  labels      jsonb       NOT NULL DEFAULT '{}',
  request_id  text        NOT NULL DEFAULT '',
  body_sha256 bytea,
  revision    bigint      NOT NULL DEFAULT 1,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  expire_time timestamptz
);
CREATE INDEX conversations_by_owner ON conversations (owner, create_time DESC, id DESC);
CREATE UNIQUE INDEX conversations_by_request ON conversations (owner, request_id) WHERE request_id <> '';

-- Documents are bytes, not jsonb: they hold other people's words, and jsonb refuses a NUL in them.
CREATE TABLE deliberations (
  id           text        NOT NULL PRIMARY KEY COLLATE "C",
  owner        text        NOT NULL,
  conversation text        NOT NULL DEFAULT '',
  council      text        NOT NULL,
  task         bytea       NOT NULL,      -- JSON without material
  material     bytea,                     -- JSON of the texts that task leaves out
  spec         bytea       NOT NULL,      -- JSON
  timeout      bigint      NOT NULL,      -- microseconds
  labels       jsonb       NOT NULL DEFAULT '{}',
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
  text         bytea       NOT NULL,      -- UTF-8; bytea, because a text may hold a NUL
  deliberation text        NOT NULL DEFAULT '',
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
DROP TABLE conversations;
