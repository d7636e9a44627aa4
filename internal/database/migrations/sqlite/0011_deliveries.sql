-- +goose Up
CREATE TABLE deliveries (
    id           TEXT PRIMARY KEY,  -- the sender's, with ~n behind it for what was handled again
    origin       TEXT NOT NULL,     -- the sender's
    run          INTEGER NOT NULL,  -- n, 0 for the first
    request_id   TEXT,              -- of the call that had it handled again
    event        TEXT NOT NULL,
    action       TEXT NOT NULL,
    sha256       TEXT NOT NULL,
    receive_time INTEGER NOT NULL,  -- microseconds UTC
    state        INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    resource     TEXT NOT NULL,
    takes        INTEGER NOT NULL,  -- how often the intake took it
    body         BLOB NOT NULL      -- last: lists do not read it
);
CREATE INDEX deliveries_by_time ON deliveries (receive_time DESC, id DESC);
CREATE INDEX deliveries_by_state ON deliveries (state, receive_time DESC, id DESC);
CREATE UNIQUE INDEX deliveries_by_run ON deliveries (origin, run);
CREATE UNIQUE INDEX deliveries_by_request ON deliveries (origin, request_id) WHERE request_id IS NOT NULL;

-- +goose Down
DROP TABLE deliveries;
