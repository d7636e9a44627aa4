-- +goose Up
-- What is reviewed again and again, and what lasts between its reviews.
CREATE TABLE review_subjects (
  name         text   NOT NULL PRIMARY KEY COLLATE "C",
  owner        text   NOT NULL,
  host         text   NOT NULL, -- of a pull request, else empty
  repository   bigint NOT NULL, -- ID at the host
  installation bigint NOT NULL,
  document     bytea  NOT NULL  -- JSON
);
CREATE INDEX review_subjects_by_repository ON review_subjects (host, repository, name);

-- +goose Down
DROP TABLE review_subjects;
