-- +goose Up
-- What is reviewed again and again, and what lasts between its reviews.
CREATE TABLE review_subjects (
    name         TEXT    NOT NULL PRIMARY KEY,
    owner        TEXT    NOT NULL,
    host         TEXT    NOT NULL, -- of a pull request, else empty
    repository   INTEGER NOT NULL, -- ID at the host
    installation INTEGER NOT NULL,
    document     BLOB    NOT NULL  -- JSON
) STRICT, WITHOUT ROWID;
CREATE INDEX review_subjects_by_repository ON review_subjects (host, repository, name);

-- +goose Down
DROP TABLE review_subjects;
