-- name: KeepDelivery :exec
-- An earlier row wins; one that ended unread or dead waits again.
INSERT INTO deliveries (id, origin, run, event, action, sha256, receive_time, state, reason, resource, body)
VALUES (@id, @origin, @run, @event, @action, @sha256, @receive_time, @stored, '', '', @body)
ON CONFLICT (id) DO UPDATE SET state = @stored, reason = '' WHERE deliveries.state = ANY (@again::bigint[]);

-- name: SettleDelivery :exec
UPDATE deliveries SET state = @state, reason = @reason, resource = @resource
WHERE id = @id AND NOT state = ANY (@settled::bigint[]);

-- name: GetDelivery :one
SELECT id, event, action, sha256, receive_time, state, reason, resource FROM deliveries WHERE id = @id;

-- name: ListDeliveries :many
SELECT id, event, action, sha256, receive_time, state, reason, resource FROM deliveries
WHERE (receive_time, id) < (@before_time::timestamptz, @before_id::text)
ORDER BY receive_time DESC, id DESC LIMIT @n;

-- name: ListDeliveriesIn :many
SELECT id, event, action, sha256, receive_time, state, reason, resource FROM deliveries
WHERE state = @state AND (receive_time, id) < (@before_time::timestamptz, @before_id::text)
ORDER BY receive_time DESC, id DESC LIMIT @n;

-- name: LockDelivery :one
SELECT event, action, sha256, body FROM deliveries WHERE id = @id FOR UPDATE;

-- name: FindRedelivery :one
SELECT id, event, action, sha256, receive_time, state, reason, resource FROM deliveries WHERE origin = @origin AND request_id = @request_id;

-- name: LastRun :one
SELECT coalesce(max(run), 0)::bigint FROM deliveries WHERE origin = @origin;

-- name: InsertRedelivery :exec
INSERT INTO deliveries (id, origin, run, request_id, event, action, sha256, receive_time, state, reason, resource, body)
VALUES (@id, @origin, @run, @request_id, @event, @action, @sha256, @receive_time, @state, '', '', @body);

-- name: ExpireDeliveries :execrows
DELETE FROM deliveries WHERE id IN (
  SELECT d.id FROM deliveries d WHERE d.receive_time < @before AND d.state <> @stored ORDER BY d.receive_time LIMIT @n);

-- name: CountDeliveries :many
SELECT state, count(*) AS n FROM deliveries GROUP BY state;

-- name: NewestDelivery :one
SELECT receive_time FROM deliveries WHERE NOT (event = 'meta' AND action = 'deleted') ORDER BY receive_time DESC LIMIT 1;

-- name: NewestHookDeleted :one
SELECT receive_time FROM deliveries WHERE event = 'meta' AND action = 'deleted' ORDER BY receive_time DESC LIMIT 1;
