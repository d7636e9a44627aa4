-- +goose Up
CREATE TABLE deliveries (
  id           text        NOT NULL PRIMARY KEY COLLATE "C", -- the sender's, with ~n behind it for what was handled again
  origin       text        NOT NULL COLLATE "C", -- the sender's
  run          bigint      NOT NULL,             -- n, 0 for the first
  request_id   text,                             -- of the call that had it handled again
  event        text        NOT NULL,
  action       text        NOT NULL,
  sha256       text        NOT NULL,
  receive_time timestamptz NOT NULL,
  state        bigint      NOT NULL,
  reason       text        NOT NULL,
  resource     text        NOT NULL,
  body         bytea       NOT NULL
);
CREATE INDEX deliveries_by_time ON deliveries (receive_time DESC, id DESC);
CREATE INDEX deliveries_by_state ON deliveries (state, receive_time DESC, id DESC);
CREATE UNIQUE INDEX deliveries_by_run ON deliveries (origin, run);
CREATE UNIQUE INDEX deliveries_by_request ON deliveries (origin, request_id) WHERE request_id IS NOT NULL;

-- +goose Down
DROP TABLE deliveries;
