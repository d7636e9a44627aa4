-- +goose Up
-- Durations are microseconds; 0 means none.
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 10;
ALTER TABLE jobs ADD COLUMN timeout INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN queue_timeout INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN history_kept INTEGER NOT NULL DEFAULT 2592000000000;
ALTER TABLE jobs ADD COLUMN queue_expire_time INTEGER;
UPDATE jobs SET timeout = deadline_time - create_time WHERE deadline_time > create_time;
CREATE INDEX jobs_queued ON jobs (id) WHERE state = 'QUEUED';
CREATE INDEX jobs_expiring ON jobs (expire_time, id) WHERE expire_time IS NOT NULL;
CREATE INDEX jobs_given_up ON jobs (id) WHERE state = 'FAILED' AND state_reason = 'RECOVERY_ATTEMPTS_EXCEEDED';

-- The attempt of the job in which a call was made.
ALTER TABLE calls ADD COLUMN job_attempt INTEGER NOT NULL DEFAULT 1;

CREATE INDEX requests_by_job ON requests (job_id);

-- +goose Down
DROP INDEX requests_by_job;
ALTER TABLE calls DROP COLUMN job_attempt;
DROP INDEX jobs_given_up;
DROP INDEX jobs_expiring;
DROP INDEX jobs_queued;
ALTER TABLE jobs DROP COLUMN queue_expire_time;
ALTER TABLE jobs DROP COLUMN history_kept;
ALTER TABLE jobs DROP COLUMN queue_timeout;
ALTER TABLE jobs DROP COLUMN timeout;
ALTER TABLE jobs DROP COLUMN priority;
