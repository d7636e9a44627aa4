-- +goose Up
CREATE TABLE reviews (
    id          TEXT PRIMARY KEY, -- also the ID of the job that computes it
    owner       TEXT NOT NULL,
    subject     TEXT NOT NULL,
    create_time INTEGER NOT NULL,  -- microseconds UTC
    revision    INTEGER NOT NULL,
    document    BLOB NOT NULL,     -- what was asked for, JSON
    result      BLOB               -- what came out, JSON; NULL until the review is published
) WITHOUT ROWID;

CREATE INDEX reviews_by_owner ON reviews (owner, create_time DESC, id DESC);
CREATE INDEX reviews_by_subject ON reviews (owner, subject, create_time DESC, id DESC);

CREATE TABLE review_findings (
    review_id   TEXT NOT NULL REFERENCES reviews (id) ON DELETE CASCADE,
    ordinal     INTEGER NOT NULL,  -- place in the order in which findings are shown, from 1
    finding_id  TEXT NOT NULL,
    severity    INTEGER NOT NULL,
    outcome     INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    document    BLOB NOT NULL,     -- JSON
    PRIMARY KEY (review_id, ordinal),
    UNIQUE (review_id, finding_id)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE review_findings;
DROP TABLE reviews;
