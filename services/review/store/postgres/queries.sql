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
