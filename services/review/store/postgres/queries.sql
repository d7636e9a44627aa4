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

-- name: DeleteReview :one
DELETE FROM reviews WHERE id = @id RETURNING subject;

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

-- name: ForgetFindings :exec
DELETE FROM known_findings k WHERE k.subject = @subject AND NOT EXISTS (SELECT 1 FROM reviews r WHERE r.subject = k.subject);

-- name: ForgetPublications :exec
DELETE FROM publications p WHERE p.subject = @subject AND NOT EXISTS (SELECT 1 FROM reviews r WHERE r.subject = p.subject);

-- name: KnownFindings :many
SELECT revision, document FROM known_findings WHERE subject = @subject ORDER BY id;

-- name: KnownFinding :one
SELECT revision, document FROM known_findings WHERE subject = @subject AND id = @id;

-- name: KnownFindingOfComment :one
SELECT k.revision, k.document FROM known_findings k JOIN known_finding_comments c ON c.subject = k.subject AND c.id = k.id
WHERE c.subject = @subject AND c.comment = @comment;

-- name: InsertKnownFinding :execrows
INSERT INTO known_findings (subject, id, revision, document) VALUES (@subject, @id, 1, @document) ON CONFLICT DO NOTHING;

-- name: UpdateKnownFinding :execrows
UPDATE known_findings SET document = @document, revision = revision + 1 WHERE subject = @subject AND id = @id AND revision = @revision;

-- name: NoteComment :exec
INSERT INTO known_finding_comments (subject, comment, id) VALUES (@subject, @comment, @id)
ON CONFLICT (subject, comment) DO UPDATE SET id = excluded.id;

-- name: Publications :many
SELECT * FROM publications WHERE subject = @subject ORDER BY key;

-- name: PutPublication :exec
INSERT INTO publications (subject, key, role, state, remote_id, url, reason, review_id)
VALUES (@subject, @key, @role, @state, @remote_id, @url, @reason, @review_id)
ON CONFLICT (subject, key) DO UPDATE SET state = excluded.state, remote_id = excluded.remote_id, url = excluded.url, reason = excluded.reason
WHERE excluded.state = 'DONE' OR publications.state = 'INTENT';
