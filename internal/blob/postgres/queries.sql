-- name: InsertBlob :execrows
INSERT INTO blobs (owner, sha256, size, create_time) VALUES (@owner, @sha256, @size, @create_time)
ON CONFLICT (owner, sha256) DO NOTHING;

-- name: InsertChunk :exec
INSERT INTO blob_chunks (owner, sha256, ordinal, data) VALUES (@owner, @sha256, @ordinal, @data);

-- name: HoldBlob :one
-- Keeps a blob from being removed until the transaction ends.
SELECT size FROM blobs WHERE owner = @owner AND sha256 = @sha256 FOR KEY SHARE;

-- name: SizeOf :one
SELECT size FROM blobs WHERE owner = @owner AND sha256 = @sha256;

-- name: KeepUntil :exec
UPDATE blobs SET expire_time = greatest(expire_time, @expire_time::timestamptz) WHERE owner = @owner AND sha256 = @sha256;

-- name: InsertRef :exec
INSERT INTO blob_refs (resource, owner, sha256) VALUES (@resource, @owner, @sha256)
ON CONFLICT (resource, owner, sha256) DO NOTHING;

-- name: DeleteRefs :exec
DELETE FROM blob_refs WHERE resource = @resource;

-- name: LockUnnamed :many
-- Blobs that another transaction holds are left to it.
SELECT b.owner, b.sha256 FROM blobs AS b
WHERE (b.expire_time IS NULL OR b.expire_time <= @now::timestamptz)
  AND NOT EXISTS (SELECT 1 FROM blob_refs AS r WHERE r.owner = b.owner AND r.sha256 = b.sha256)
LIMIT @n FOR UPDATE SKIP LOCKED;

-- name: DeleteUnnamed :execrows
-- Looks again, with the rows locked: a name may have been committed after LockUnnamed began to look. Chunks go along.
DELETE FROM blobs AS b
WHERE (b.owner, b.sha256) IN (SELECT unnest(@owners::text[]), unnest(@sums::bytea[]))
  AND NOT EXISTS (SELECT 1 FROM blob_refs AS r WHERE r.owner = b.owner AND r.sha256 = b.sha256);
