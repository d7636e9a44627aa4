-- +goose Up
-- What lasts of findings between the reviews of a subject.
CREATE TABLE known_findings (
    subject  TEXT    NOT NULL,
    id       TEXT    NOT NULL, -- the finding's for good
    revision INTEGER NOT NULL,
    document BLOB    NOT NULL, -- JSON
    PRIMARY KEY (subject, id)
) STRICT, WITHOUT ROWID;

-- Every comment that a finding ever had.
CREATE TABLE known_finding_comments (
    subject TEXT    NOT NULL,
    comment INTEGER NOT NULL,
    id      TEXT    NOT NULL,
    PRIMARY KEY (subject, comment),
    FOREIGN KEY (subject, id) REFERENCES known_findings (subject, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX known_finding_comments_by_finding ON known_finding_comments (subject, id);

-- Writes at the forge, by the key that their markers carry.
CREATE TABLE publications (
    subject   TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    role      TEXT    NOT NULL,
    state     TEXT    NOT NULL, -- INTENT, BEGUN, DONE
    remote_id INTEGER NOT NULL, -- 0 before it is there
    url       TEXT    NOT NULL,
    reason    TEXT    NOT NULL, -- why it stands in another place than planned
    review_id TEXT    NOT NULL, -- that planned it first
    PRIMARY KEY (subject, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX reviews_of_subject ON reviews (subject);

-- +goose Down
DROP INDEX reviews_of_subject;
DROP TABLE publications;
DROP TABLE known_finding_comments;
DROP TABLE known_findings;
