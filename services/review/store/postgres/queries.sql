-- name: InsertReview :exec
INSERT INTO reviews (id, owner, subject, create_time, revision, document)
VALUES (@id, @owner, @subject, @create_time, 1, @document);

-- name: SaveResult :execrows
UPDATE reviews SET result = @result, revision = revision + 1 WHERE id = @id;

-- name: DeleteFindings :exec
DELETE FROM review_findings WHERE review_id = @review_id;

-- name: InsertFinding :batchexec
INSERT INTO review_findings (review_id, ordinal, finding_id, severity, outcome, fingerprint, document)
VALUES (@review_id, @ordinal, @finding_id, @severity, @outcome, @fingerprint, @document);

-- name: DeleteReview :exec
DELETE FROM reviews WHERE id = @id;

-- name: GetReview :one
SELECT * FROM reviews WHERE id = @id AND (@owner::text = '' OR owner = @owner::text);

-- name: ListReviews :many
SELECT * FROM reviews WHERE owner = @owner AND (create_time, id) < (@before_time::timestamptz, @before_id::text)
ORDER BY create_time DESC, id DESC LIMIT @n;

-- name: ListReviewsOfSubject :many
SELECT * FROM reviews WHERE owner = @owner AND subject = @subject AND (create_time, id) < (@before_time::timestamptz, @before_id::text)
ORDER BY create_time DESC, id DESC LIMIT @n;

-- name: ListFindings :many
SELECT ordinal, document FROM review_findings
WHERE review_id = @review_id AND ordinal > @after AND severity >= @min_severity AND (@outcome::bigint = 0 OR outcome = @outcome::bigint)
ORDER BY ordinal LIMIT @n;

-- name: CountFindings :many
SELECT outcome, severity, count(*) AS n FROM review_findings WHERE review_id = @review_id GROUP BY outcome, severity;

-- name: TouchSubject :exec
INSERT INTO review_subjects (name, owner, host, repository, installation, document)
VALUES (@name, @owner, '', 0, 0, @document) ON CONFLICT (name) DO NOTHING;

-- name: LockSubject :one
SELECT * FROM review_subjects WHERE name = @name FOR UPDATE;

-- name: PutSubject :execrows
UPDATE review_subjects SET host = @host, repository = @repository, installation = @installation, document = @document
WHERE name = @name;

-- name: GetSubject :one
SELECT * FROM review_subjects WHERE name = @name;

-- name: ListSubjects :many
SELECT * FROM review_subjects
WHERE host = @host AND name > @after::text AND (@repository::bigint = 0 OR repository = @repository::bigint)
  AND (@installation::bigint = 0 OR installation = @installation::bigint)
ORDER BY name LIMIT @n;

-- name: Repin :execrows
UPDATE reviews SET subject = @subject, document = @document, revision = revision + 1 WHERE id = @id;

-- name: SupersedeReview :exec
UPDATE reviews SET result = @result, revision = revision + 1 WHERE id = @id AND result IS NULL;
