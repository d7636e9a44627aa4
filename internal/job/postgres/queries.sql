-- The columns of jobs behind * are named in what sqlc generates. Times are microseconds in UTC.

-- name: GetJob :one
SELECT * FROM jobs WHERE id = @id;

-- name: LockJobs :many
-- In the order of IDs, so that two that lock the same jobs wait for each other instead of blocking each other. Without spec
-- and result, which no write looks at.
SELECT id, kind, owner, parent_job, resource, labels, state, state_reason, stage, progress_done, progress_total, progress_unit,
  epoch, attempt, stalled, last_seq, first_available_seq, revision, NULL::bytea AS spec, NULL::bytea AS result, error,
  calls_started, calls_completed, calls_reused, calls_repaid, recoveries, usage, reserved,
  priority, timeout, queue_timeout, history_kept,
  create_time, start_time, end_time, cancel_time, deadline_time, queue_expire_time, expire_time, history_expire_time
FROM jobs WHERE id = ANY(@ids::text[]) ORDER BY id FOR UPDATE;

-- name: ShareJobs :many
-- Keeps jobs from being changed or removed until the transaction ends.
SELECT id, owner, state, cancel_time FROM jobs WHERE id = ANY(@ids::text[]) ORDER BY id FOR SHARE;

-- name: ChildrenOf :many
SELECT id FROM jobs WHERE parent_job = ANY(@parents::text[]) AND parent_job <> '' AND kind <> ALL(@without::text[]);

-- name: ParentsOf :many
SELECT id, parent_job, owner FROM jobs WHERE id = ANY(@ids::text[]);

-- name: LockOverdue :many
-- Jobs that another transaction holds are left to it.
SELECT id FROM jobs WHERE state = 'QUEUED' AND (deadline_time < @now::timestamptz OR queue_expire_time < @now::timestamptz)
ORDER BY id LIMIT @n FOR UPDATE SKIP LOCKED;

-- name: ShareLivingExecutor :many
-- Orders the beginning of an execution before the death of its process, or refuses it.
SELECT id FROM executors WHERE id = @id AND dead_time IS NULL FOR SHARE;

-- name: InsertJob :execrows
INSERT INTO jobs (id, kind, owner, parent_job, resource, labels, state, spec, priority, timeout, queue_timeout, history_kept,
  create_time, deadline_time, queue_expire_time, expire_time)
VALUES (@id, @kind, @owner, @parent_job, @resource, @labels, @state, @spec, @priority, @timeout, @queue_timeout, @history_kept,
  @create_time, @deadline_time, @queue_expire_time, @expire_time)
ON CONFLICT (id) DO NOTHING;

-- name: SaveJob :many
-- Appends events under the next numbers, without those whose keys are there, and stores all of the job that can change.
-- The row must be locked. No row comes back when the job is not of that epoch.
WITH fresh AS (
  INSERT INTO job_events (job_id, seq, key, epoch, attempt, type, time, final, payload)
  SELECT sqlc.arg(id), sqlc.arg(last_seq)::bigint + e.n, e.key, sqlc.arg(epoch), sqlc.arg(attempt), e.type, sqlc.arg(now)::timestamptz, e.final, e.payload
  FROM (
    SELECT row_number() OVER (ORDER BY raw.ordinal) AS n, raw.key, raw.type, raw.final, raw.payload
    FROM (SELECT generate_subscripts(sqlc.arg(keys)::text[], 1) AS ordinal, unnest(sqlc.arg(keys)::text[]) AS key, unnest(sqlc.arg(types)::text[]) AS type,
      unnest(sqlc.arg(finals)::boolean[]) AS final, unnest(sqlc.arg(payloads)::bytea[]) AS payload) AS raw
    WHERE NOT EXISTS (SELECT 1 FROM job_events AS old WHERE old.job_id = sqlc.arg(id) AND old.key = raw.key)
  ) AS e
  RETURNING seq
)
UPDATE jobs SET state = sqlc.arg(state), state_reason = sqlc.arg(state_reason), stage = sqlc.arg(stage),
  progress_done = sqlc.arg(progress_done), progress_total = sqlc.arg(progress_total), progress_unit = sqlc.arg(progress_unit),
  epoch = sqlc.arg(epoch), attempt = sqlc.arg(attempt), stalled = sqlc.arg(stalled),
  last_seq = sqlc.arg(last_seq)::bigint + (SELECT count(seq) FROM fresh), revision = revision + 1,
  result = coalesce(sqlc.narg(result), result), error = sqlc.narg(error),
  calls_started = sqlc.arg(calls_started), calls_completed = sqlc.arg(calls_completed), calls_reused = sqlc.arg(calls_reused), calls_repaid = sqlc.arg(calls_repaid),
  recoveries = sqlc.arg(recoveries), usage = sqlc.arg(usage), reserved = sqlc.arg(reserved),
  start_time = sqlc.arg(start_time), end_time = sqlc.arg(end_time), cancel_time = sqlc.arg(cancel_time), deadline_time = sqlc.arg(deadline_time),
  queue_expire_time = sqlc.arg(queue_expire_time), history_expire_time = sqlc.arg(history_expire_time)
WHERE id = sqlc.arg(id) AND jobs.epoch = sqlc.arg(fence)
RETURNING last_seq;

-- name: GetRequest :one
SELECT job_id, body_sha256 FROM requests WHERE owner = @owner AND method = @method AND request_id = @request_id;

-- name: InsertRequest :exec
INSERT INTO requests (owner, method, request_id, body_sha256, job_id, resource, create_time)
VALUES (@owner, @method, @request_id, @body_sha256, @job_id, @resource, @create_time);

-- name: TriesOf :many
-- The tries of several calls.
SELECT stage, subject, part, attempt, epoch, state, prompt_sha256, idempotency_key, usage, error_class, job_attempt,
  result
FROM calls WHERE job_id = @job_id
  AND (stage, subject, part) IN (SELECT unnest(@stages::text[]), unnest(@subjects::text[]), unnest(@parts::text[]))
ORDER BY stage, subject, part, attempt;

-- name: InsertCall :batchexec
INSERT INTO calls (job_id, stage, subject, part, attempt, epoch, state, prompt_sha256, template, idempotency_key, reissue_of,
  reserved, start_time, job_attempt)
VALUES (@job_id, @stage, @subject, @part, @attempt, @epoch, @state, @prompt_sha256, @template, @idempotency_key, @reissue_of,
  @reserved, @start_time, @job_attempt);

-- name: AbandonCall :batchexec
UPDATE calls SET state = 'ABANDONED', end_time = @end_time
WHERE job_id = @job_id AND stage = @stage AND subject = @subject AND part = @part AND attempt = @attempt AND state = 'INTENT';

-- name: GetCall :one
SELECT state, reserved FROM calls
WHERE job_id = @job_id AND stage = @stage AND subject = @subject AND part = @part AND attempt = @attempt;

-- name: CloseCall :exec
UPDATE calls SET state = @state, epoch = @epoch, result = @result, error_class = @error_class, usage = @usage, end_time = @end_time
WHERE job_id = @job_id AND stage = @stage AND subject = @subject AND part = @part AND attempt = @attempt;

-- name: DeleteCalls :exec
DELETE FROM calls WHERE job_id = @job_id;

-- name: DeleteEvents :exec
DELETE FROM job_events WHERE job_id = ANY(@job_ids::text[]);

-- name: DeleteJob :exec
DELETE FROM jobs WHERE id = @id;

-- name: ForgetRequests :exec
-- The hashes stay, so that a repetition is known.
UPDATE requests SET job_id = '', resource = '' WHERE job_id = @job_id AND job_id <> '';

-- name: ForgetParent :exec
UPDATE jobs SET parent_job = '', revision = revision + 1 WHERE parent_job = @parent AND parent_job <> '';

-- name: LockExpiredHistories :many
SELECT id FROM jobs WHERE history_expire_time <= @now AND first_available_seq <= last_seq
  AND state NOT IN ('QUEUED', 'RUNNING', 'CANCELLING')
ORDER BY history_expire_time LIMIT @n FOR UPDATE SKIP LOCKED;

-- name: ForgetHistories :exec
UPDATE jobs SET first_available_seq = last_seq + 1 WHERE id = ANY(@ids::text[]);

-- name: Events :many
-- The page ends with the event whose payload brings their sum to @bytes.
SELECT page.seq, page.key, page.epoch, page.attempt, page.type, page.time, page.final, page.payload FROM (
  SELECT seq, key, epoch, attempt, type, time, final, payload,
    sum(octet_length(payload)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) - octet_length(payload) AS before
  FROM job_events WHERE job_id = @job_id AND seq > @after ORDER BY seq LIMIT @n
) AS page WHERE page.before < @bytes::bigint ORDER BY page.seq;

-- name: States :many
SELECT id, state FROM jobs WHERE id = ANY(@ids::text[]);

-- name: LastSeqs :many
SELECT id, last_seq FROM jobs WHERE id = ANY(@ids::text[]);

-- name: CancelAsked :many
SELECT id FROM jobs WHERE cancel_time IS NOT NULL AND id = ANY(@ids::text[]);

-- name: Unfinished :many
SELECT id, attempt FROM jobs WHERE state IN ('QUEUED', 'RUNNING', 'CANCELLING') AND id > @after ORDER BY id LIMIT @n;

-- name: Expired :many
SELECT id, expire_time FROM jobs WHERE expire_time <= @now AND (expire_time, id) > (@after_time::timestamptz, @after_id::text)
ORDER BY expire_time, id LIMIT @n;

-- name: CountGivenUp :one
SELECT count(*) FROM jobs
WHERE state IN ('FAILED', 'PARTIALLY_SUCCEEDED') AND state_reason IN ('RECOVERY_ATTEMPTS_EXCEEDED', 'FORGE_UNAVAILABLE', 'COUNCIL_UNAVAILABLE');

-- Lists begin behind a place; empty lists of kinds and states mean all. Three queries, because each has its index; without spec
-- and result, which no list shows.

-- name: ListJobs :many
SELECT id, kind, owner, parent_job, resource, labels, state, state_reason, stage, progress_done, progress_total, progress_unit,
  epoch, attempt, stalled, last_seq, first_available_seq, revision, NULL::bytea AS spec, NULL::bytea AS result, error,
  calls_started, calls_completed, calls_reused, calls_repaid, recoveries, usage, reserved,
  priority, timeout, queue_timeout, history_kept,
  create_time, start_time, end_time, cancel_time, deadline_time, queue_expire_time, expire_time, history_expire_time
FROM jobs WHERE (create_time, id) < (@before_time::timestamptz, @before_id::text)
  AND (cardinality(@kinds::text[]) = 0 OR kind = ANY(@kinds::text[]))
  AND (cardinality(@states::text[]) = 0 OR state = ANY(@states::text[]))
ORDER BY create_time DESC, id DESC LIMIT @n;

-- name: ListJobsOfOwner :many
SELECT id, kind, owner, parent_job, resource, labels, state, state_reason, stage, progress_done, progress_total, progress_unit,
  epoch, attempt, stalled, last_seq, first_available_seq, revision, NULL::bytea AS spec, NULL::bytea AS result, error,
  calls_started, calls_completed, calls_reused, calls_repaid, recoveries, usage, reserved,
  priority, timeout, queue_timeout, history_kept,
  create_time, start_time, end_time, cancel_time, deadline_time, queue_expire_time, expire_time, history_expire_time
FROM jobs WHERE owner = @owner AND (create_time, id) < (@before_time::timestamptz, @before_id::text)
  AND (cardinality(@kinds::text[]) = 0 OR kind = ANY(@kinds::text[]))
  AND (cardinality(@states::text[]) = 0 OR state = ANY(@states::text[]))
ORDER BY create_time DESC, id DESC LIMIT @n;

-- name: ListJobsOfParent :many
SELECT id, kind, owner, parent_job, resource, labels, state, state_reason, stage, progress_done, progress_total, progress_unit,
  epoch, attempt, stalled, last_seq, first_available_seq, revision, NULL::bytea AS spec, NULL::bytea AS result, error,
  calls_started, calls_completed, calls_reused, calls_repaid, recoveries, usage, reserved,
  priority, timeout, queue_timeout, history_kept,
  create_time, start_time, end_time, cancel_time, deadline_time, queue_expire_time, expire_time, history_expire_time
FROM jobs WHERE parent_job = @parent AND parent_job <> '' AND (@owner::text = '' OR owner = @owner::text)
  AND (create_time, id) < (@before_time::timestamptz, @before_id::text)
  AND (cardinality(@kinds::text[]) = 0 OR kind = ANY(@kinds::text[]))
  AND (cardinality(@states::text[]) = 0 OR state = ANY(@states::text[]))
ORDER BY create_time DESC, id DESC LIMIT @n;
