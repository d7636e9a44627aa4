-- +goose Up
-- Requests that made a conversation which is gone: their repetition makes no other one.
CREATE TABLE deleted_conversations (
  owner       TEXT NOT NULL,
  request_id  TEXT NOT NULL,
  body_sha256 BLOB NOT NULL,
  PRIMARY KEY (owner, request_id)
) WITHOUT ROWID;
CREATE INDEX conversations_expiring ON conversations (expire_time, id) WHERE expire_time IS NOT NULL;

-- Contents that a removed index named; those that nothing else names are collected.
CREATE TABLE code_garbage (
    parse INTEGER PRIMARY KEY
) STRICT;
-- The greatest IDs that were removed. None is given again: what is in memory is known by them.
CREATE TABLE code_floor (
    parse INTEGER NOT NULL,
    file  INTEGER NOT NULL
) STRICT;
INSERT INTO code_floor (parse, file) VALUES (0, 0);
CREATE INDEX index_files_by_file ON index_files (file);
CREATE INDEX index_entries_by_blob ON index_entries (blob);

-- +goose Down
DROP INDEX index_entries_by_blob;
DROP INDEX index_files_by_file;
DROP TABLE code_floor;
DROP TABLE code_garbage;
DROP INDEX conversations_expiring;
DROP TABLE deleted_conversations;
