-- +goose Up
-- What lasts of findings between the reviews of a subject.
CREATE TABLE known_findings (
  subject  text   NOT NULL COLLATE "C",
  id       text   NOT NULL COLLATE "C",   -- the finding's for good
  revision bigint NOT NULL,
  document bytea  NOT NULL,               -- JSON
  PRIMARY KEY (subject, id)
);

-- Every comment that a finding ever had.
CREATE TABLE known_finding_comments (
  subject text   NOT NULL COLLATE "C",
  comment bigint NOT NULL,
  id      text   NOT NULL COLLATE "C",
  PRIMARY KEY (subject, comment),
  FOREIGN KEY (subject, id) REFERENCES known_findings (subject, id) ON DELETE CASCADE
);
CREATE INDEX known_finding_comments_by_finding ON known_finding_comments (subject, id);

-- Writes at the forge, by the key that their markers carry.
CREATE TABLE publications (
  subject   text   NOT NULL COLLATE "C",
  key       text   NOT NULL COLLATE "C",
  role      text   NOT NULL,
  state     text   NOT NULL,              -- INTENT, BEGUN, DONE
  remote_id bigint NOT NULL,              -- 0 before it is there
  url       text   NOT NULL,
  reason    text   NOT NULL,              -- why it stands in another place than planned
  review_id text   NOT NULL,              -- that planned it first
  PRIMARY KEY (subject, key)
);

CREATE INDEX reviews_of_subject ON reviews (subject);

-- +goose Down
DROP INDEX reviews_of_subject;
DROP TABLE publications;
DROP TABLE known_finding_comments;
DROP TABLE known_findings;
