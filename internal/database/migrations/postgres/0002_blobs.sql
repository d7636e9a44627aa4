-- +goose Up
CREATE TABLE blobs (
  owner       text        NOT NULL,
  sha256      bytea       NOT NULL,
  size        bigint      NOT NULL,
  create_time timestamptz NOT NULL,
  expire_time timestamptz,
  PRIMARY KEY (owner, sha256)
);

CREATE TABLE blob_chunks (
  owner   text    NOT NULL,
  sha256  bytea   NOT NULL,
  ordinal integer NOT NULL,
  data    bytea   NOT NULL,
  PRIMARY KEY (owner, sha256, ordinal),
  FOREIGN KEY (owner, sha256) REFERENCES blobs (owner, sha256) ON DELETE CASCADE
);
ALTER TABLE blob_chunks ALTER COLUMN data SET STORAGE EXTERNAL; -- read whole, often compressed already

-- What keeps a blob alive.
CREATE TABLE blob_refs (
  resource text  NOT NULL,
  owner    text  NOT NULL,
  sha256   bytea NOT NULL,
  PRIMARY KEY (resource, owner, sha256),
  FOREIGN KEY (owner, sha256) REFERENCES blobs (owner, sha256)
);
CREATE INDEX blob_refs_by_blob ON blob_refs (owner, sha256);

-- +goose Down
DROP TABLE blob_refs;
DROP TABLE blob_chunks;
DROP TABLE blobs;
