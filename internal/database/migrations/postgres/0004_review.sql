-- +goose Up
CREATE TABLE reviews (
  id          text        NOT NULL PRIMARY KEY COLLATE "C", -- also the ID of the job that computes it
  owner       text        NOT NULL,
  subject     text        NOT NULL,
  create_time timestamptz NOT NULL,
  revision    bigint      NOT NULL,
  document    bytea       NOT NULL,       -- what was asked for, JSON
  result      bytea                       -- what came out, JSON; NULL until the review is published
);
CREATE INDEX reviews_by_owner ON reviews (owner, create_time DESC, id DESC);
CREATE INDEX reviews_by_subject ON reviews (owner, subject, create_time DESC, id DESC);

CREATE TABLE review_findings (
  review_id   text    NOT NULL COLLATE "C" REFERENCES reviews (id) ON DELETE CASCADE,
  ordinal     bigint  NOT NULL,           -- place in the order in which findings are shown, from 1
  finding_id  text    NOT NULL,
  severity    bigint  NOT NULL,
  outcome     bigint  NOT NULL,
  fingerprint text    NOT NULL,
  document    bytea   NOT NULL,           -- JSON
  PRIMARY KEY (review_id, ordinal),
  UNIQUE (review_id, finding_id)
);

-- +goose Down
DROP TABLE review_findings;
DROP TABLE reviews;
