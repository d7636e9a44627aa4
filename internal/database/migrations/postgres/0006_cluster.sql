-- +goose Up
-- What all processes of a cluster share beside their work. placeholder_key makes what stands for a secret the same in all
-- of them and after a restart: a job that goes on elsewhere must build the prompts whose answers are stored.
CREATE TABLE cluster (
  name  text  NOT NULL PRIMARY KEY,
  value bytea NOT NULL
);
INSERT INTO cluster (name, value)
VALUES ('placeholder_key', decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

-- +goose Down
DROP TABLE cluster;
