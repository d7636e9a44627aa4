-- name: InsertConversation :execrows
INSERT INTO conversations (id, owner, title, council, temporary, labels, request_id, body_sha256, revision, create_time, update_time, expire_time)
VALUES (@id, @owner, @title, @council, @temporary, @labels, @request_id, @body_sha256, @revision, @create_time, @update_time, @expire_time)
ON CONFLICT (owner, request_id) WHERE request_id <> '' DO NOTHING;

-- name: ConversationOfRequest :one
SELECT * FROM conversations WHERE owner = @owner AND request_id = @request_id AND request_id <> '';

-- name: DeletedConversation :one
SELECT body_sha256 FROM deleted_conversations WHERE owner = @owner AND request_id = @request_id;

-- name: GetConversation :one
SELECT * FROM conversations WHERE id = @id AND owner = @owner;

-- name: LockConversation :one
SELECT * FROM conversations WHERE id = @id AND owner = @owner FOR UPDATE;

-- name: HoldConversation :exec
SELECT id FROM conversations WHERE id = @id FOR UPDATE;

-- name: ListConversations :many
SELECT * FROM conversations WHERE owner = @owner AND (create_time, id) < (@before_time::timestamptz, @before_id::text)
ORDER BY create_time DESC, id DESC LIMIT @n;

-- name: ExpiredConversations :many
SELECT * FROM conversations WHERE expire_time <= @now AND (expire_time, id) > (@after_time::timestamptz, @after_id::text)
ORDER BY expire_time, id LIMIT @n;

-- name: NoteDeletedRequest :exec
INSERT INTO deleted_conversations (owner, request_id, body_sha256)
SELECT c.owner, c.request_id, coalesce(c.body_sha256, '') FROM conversations AS c WHERE c.id = @id AND c.request_id <> ''
ON CONFLICT (owner, request_id) DO NOTHING;

-- name: DeleteMessages :exec
DELETE FROM messages WHERE conversation = @conversation;

-- name: DeleteConversation :exec
DELETE FROM conversations WHERE id = @id;

-- name: SetTitle :exec
UPDATE conversations SET title = @title, revision = revision + 1 WHERE id = @id AND title = ''::bytea AND NOT temporary;

-- name: TouchConversation :exec
UPDATE conversations SET update_time = greatest(update_time, @at::timestamptz), revision = revision + 1 WHERE id = @id;

-- name: InsertMessage :execrows
INSERT INTO messages (conversation, ordinal, id, role, text, deliberation, origin, partial, create_time)
VALUES (@conversation, (SELECT coalesce(max(m.ordinal), 0) + 1 FROM messages AS m WHERE m.conversation = @conversation),
  @id, @role, @text, @deliberation, @origin, @partial, @create_time)
ON CONFLICT (conversation, id) DO NOTHING;

-- name: ListMessages :many
SELECT * FROM messages WHERE conversation = @conversation AND ordinal > @after ORDER BY ordinal LIMIT @n;

-- name: Recent :many
SELECT placed.conversation, placed.id FROM (
  SELECT d.conversation, d.id, row_number() OVER (PARTITION BY d.conversation ORDER BY d.create_time DESC, d.id DESC) AS place
  FROM deliberations AS d WHERE d.conversation <> '' AND d.conversation = ANY(@conversations::text[])
) AS placed WHERE placed.place <= @n::bigint ORDER BY placed.conversation, placed.place;

-- name: InsertDeliberation :exec
INSERT INTO deliberations (id, owner, conversation, council, task, material, spec, timeout, labels, parent_job, estimate, revision, create_time, expire_time)
VALUES (@id, @owner, @conversation, @council, @task, @material, @spec, @timeout, @labels, @parent_job, @estimate, @revision, @create_time, @expire_time);

-- name: ConversationOf :one
SELECT conversation FROM deliberations WHERE id = @id;

-- Deliberations are read without their plan, and without material where nobody asked for it.

-- name: GetDeliberation :one
SELECT id, owner, conversation, council, task, (CASE WHEN @with_material::boolean THEN material END)::bytea AS material, spec, timeout,
  labels, parent_job, estimate, NULL::bytea AS plan, result, revision, create_time, expire_time
FROM deliberations WHERE id = @id AND (@owner::text = '' OR owner = @owner::text);

-- name: ListDeliberations :many
SELECT id, owner, conversation, council, task, NULL::bytea AS material, spec, timeout,
  labels, parent_job, estimate, NULL::bytea AS plan, result, revision, create_time, expire_time
FROM deliberations WHERE owner = @owner AND (create_time, id) < (@before_time::timestamptz, @before_id::text)
ORDER BY create_time DESC, id DESC LIMIT @n;

-- name: ListDeliberationsOfConversation :many
SELECT id, owner, conversation, council, task, NULL::bytea AS material, spec, timeout,
  labels, parent_job, estimate, NULL::bytea AS plan, result, revision, create_time, expire_time
FROM deliberations WHERE conversation = @conversation AND conversation <> '' AND owner = @owner
  AND (create_time, id) < (@before_time::timestamptz, @before_id::text)
ORDER BY create_time DESC, id DESC LIMIT @n;

-- name: TouchConversationOf :exec
UPDATE conversations SET revision = revision + 1 WHERE id = (SELECT d.conversation FROM deliberations AS d WHERE d.id = @deliberation);

-- name: DeleteMessagesOf :exec
DELETE FROM messages AS m WHERE m.conversation = (SELECT d.conversation FROM deliberations AS d WHERE d.id = @deliberation)
  AND m.deliberation = @deliberation;

-- name: DeleteOutcomes :exec
DELETE FROM deliberation_outcomes WHERE deliberation = @deliberation;

-- name: DeleteDeliberation :exec
DELETE FROM deliberations WHERE id = @id;

-- name: GetPlan :one
SELECT plan FROM deliberations WHERE id = @id;

-- name: SavePlan :exec
UPDATE deliberations SET plan = @plan, estimate = @estimate, revision = revision + 1 WHERE id = @id AND plan IS NULL;

-- name: GetOutcome :one
SELECT outcome FROM deliberation_outcomes WHERE deliberation = @deliberation AND attempt = @attempt AND stage = @stage;

-- name: SaveOutcome :exec
INSERT INTO deliberation_outcomes (deliberation, attempt, stage, outcome) VALUES (@deliberation, @attempt, @stage, @outcome)
ON CONFLICT (deliberation, attempt, stage) DO NOTHING;

-- name: SaveResult :exec
UPDATE deliberations SET result = @result, revision = revision + 1 WHERE id = @id;
