-- +goose Up
-- What was given up because others stayed away is a dead letter as well.
DROP INDEX jobs_given_up;
CREATE INDEX jobs_given_up ON jobs (id) WHERE state = 'FAILED' AND state_reason IN ('RECOVERY_ATTEMPTS_EXCEEDED', 'FORGE_UNAVAILABLE');
