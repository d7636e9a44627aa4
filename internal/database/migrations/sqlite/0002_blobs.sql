-- +goose Up
CREATE TABLE blobs (
  owner       TEXT    NOT NULL,
  sha256      BLOB    NOT NULL,
  size        INTEGER NOT NULL,
  create_time INTEGER NOT NULL,
  expire_time INTEGER,
  PRIMARY KEY (owner, sha256)
) WITHOUT ROWID;

CREATE TABLE blob_chunks (
  owner   TEXT    NOT NULL,
  sha256  BLOB    NOT NULL,
  ordinal INTEGER NOT NULL,
  data    BLOB    NOT NULL,
  PRIMARY KEY (owner, sha256, ordinal)
);

-- What keeps a blob alive.
CREATE TABLE blob_refs (
  resource TEXT NOT NULL,
  owner    TEXT NOT NULL,
  sha256   BLOB NOT NULL,
  PRIMARY KEY (resource, owner, sha256)
) WITHOUT ROWID;
CREATE INDEX blob_refs_by_blob ON blob_refs (owner, sha256);

-- +goose Down
DROP TABLE blob_refs;
DROP TABLE blob_chunks;
DROP TABLE blobs;
