-- +goose Up
-- What was given up in part, because a council stayed away, is a dead letter as well.
DROP INDEX jobs_given_up;
CREATE INDEX jobs_given_up ON jobs (id)
  WHERE state IN ('FAILED', 'PARTIALLY_SUCCEEDED') AND state_reason IN ('RECOVERY_ATTEMPTS_EXCEEDED', 'FORGE_UNAVAILABLE', 'COUNCIL_UNAVAILABLE');
