-- +goose Up
-- Each build counts for itself how often it has begun to parse a content: what another process is parsing at this moment
-- has not crashed.
DROP TABLE code_attempts;
CREATE TABLE code_attempts (
    blob         TEXT    NOT NULL,
    hint         TEXT    NOT NULL,
    version      TEXT    NOT NULL,
    index_number INTEGER NOT NULL,
    starts       INTEGER NOT NULL,
    PRIMARY KEY (blob, hint, version, index_number)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE code_attempts;
CREATE TABLE code_attempts (
    blob    TEXT    NOT NULL,
    hint    TEXT    NOT NULL,
    version TEXT    NOT NULL,
    starts  INTEGER NOT NULL,
    PRIMARY KEY (blob, hint, version)
) STRICT, WITHOUT ROWID;
