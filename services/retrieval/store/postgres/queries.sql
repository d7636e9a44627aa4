-- name: InsertIndex :exec
INSERT INTO indexes (id, owner, repository, source, tree, base_index, version, state, counts, partial, labels, create_time, activate_time)
VALUES (sqlc.arg(id), sqlc.arg(owner), sqlc.arg(repository), sqlc.arg(source), sqlc.arg(tree), sqlc.arg(base_index), sqlc.arg(version), sqlc.arg(state), sqlc.arg(counts), sqlc.arg(partial), sqlc.arg(labels), sqlc.arg(create_time), sqlc.narg(activate_time));

-- name: GetIndex :one
SELECT id, owner, repository, source, tree, base_index, version, state, counts, partial, labels, create_time, activate_time
FROM indexes WHERE id = @id;

-- name: ListIndexes :many
SELECT id, owner, repository, source, tree, base_index, version, state, counts, partial, labels, create_time, activate_time
FROM indexes WHERE owner = sqlc.arg(owner) AND (sqlc.arg(repository)::text = '' OR repository = sqlc.arg(repository))
  AND (create_time, id) < (coalesce(sqlc.narg(before_time)::timestamptz, 'infinity'), sqlc.arg(before_id)::text COLLATE "C")
ORDER BY create_time DESC, id DESC LIMIT sqlc.arg(n);

-- name: SameIndexes :many
SELECT id, owner, repository, source, tree, base_index, version, state, counts, partial, labels, create_time, activate_time
FROM indexes WHERE owner = @owner AND tree = @tree AND version = @version
ORDER BY state = 'READY' DESC, create_time DESC, id DESC LIMIT 10;

-- name: NumberOf :one
SELECT number FROM indexes WHERE id = @id;

-- name: ClearStage :exec
DELETE FROM index_entries WHERE index_number = @index_number;

-- name: ShareContents :many
-- Keeps what is known of contents from being removed until the transaction ends. In the order of IDs, as LockContents does.
SELECT id, key FROM code_parses WHERE key = ANY(@keys::bytea[]) ORDER BY id FOR KEY SHARE;

-- name: KnownFiles :many
-- Of contents that are held.
SELECT parse, place FROM code_files
WHERE (parse, place) IN (SELECT unnest(@parses::bigint[]), unnest(@places::bytea[]));

-- name: InsertEntries :copyfrom
INSERT INTO index_entries (index_number, ordinal, path, place, blob, hint, size, batch)
VALUES (@index_number, @ordinal, @path, @place, @blob, @hint, @size, @batch);

-- name: Batch :many
SELECT e.path, e.blob, e.hint, e.size, (p.id IS NOT NULL)::boolean AS parsed FROM index_entries AS e
LEFT JOIN code_parses AS p ON p.blob = e.blob AND p.hint = e.hint AND p.version = @version
LEFT JOIN code_files AS f ON f.parse = p.id AND f.place = e.place
WHERE e.index_number = @index_number AND e.batch = @batch::integer AND f.id IS NULL ORDER BY e.ordinal;

-- name: Attempts :many
SELECT key, starts FROM code_attempts WHERE index_number = @index_number AND key = ANY(@keys::bytea[]);

-- name: BeginAttempts :exec
INSERT INTO code_attempts (key, index_number, starts)
SELECT raw.key, @index_number::bigint, @starts::integer FROM (SELECT unnest(@keys::bytea[]) AS key) AS raw ORDER BY raw.key
ON CONFLICT (key, index_number) DO UPDATE SET starts = greatest(code_attempts.starts, excluded.starts);

-- name: EndAttempts :exec
DELETE FROM code_attempts WHERE index_number = @index_number AND key = ANY(@keys::bytea[]);

-- name: EndAllAttempts :exec
-- Of every build, locked in one order: several end the same at the same time.
WITH held AS (
  SELECT h.key, h.index_number FROM code_attempts AS h WHERE h.key = ANY(@keys::bytea[]) ORDER BY h.key, h.index_number FOR UPDATE
)
DELETE FROM code_attempts AS a USING held WHERE a.key = held.key AND a.index_number = held.index_number;

-- name: InsertContents :many
-- What is there stays and does not come back. In the order of keys, so that two that insert the same wait for each other
-- instead of blocking each other.
INSERT INTO code_parses (key, blob, hint, version, language, status, left_out, bytes, error_share, definitions, refs, chunks,
  packed_definitions, packed_refs, packed_imports, vectors)
SELECT raw.key, raw.blob, raw.hint, @version::text, raw.language, raw.status, raw.left_out, raw.bytes, raw.error_share, raw.definitions, raw.refs,
  raw.chunks, raw.packed_definitions, raw.packed_refs, raw.packed_imports, raw.vectors
FROM (SELECT unnest(@keys::bytea[]) AS key, unnest(@blobs::text[]) AS blob, unnest(@hints::text[]) AS hint,
  unnest(@languages::text[]) AS language, unnest(@statuses::text[]) AS status, unnest(@left_outs::text[]) AS left_out,
  unnest(@sizes::bigint[]) AS bytes, unnest(@error_shares::double precision[]) AS error_share,
  unnest(@definitions::integer[]) AS definitions, unnest(@refs::integer[]) AS refs, unnest(@chunks::integer[]) AS chunks,
  unnest(@packed_definitions::bytea[]) AS packed_definitions, unnest(@packed_refs::bytea[]) AS packed_refs,
  unnest(@packed_imports::bytea[]) AS packed_imports, unnest(@vectors::bytea[]) AS vectors) AS raw
ORDER BY raw.key
ON CONFLICT (key) DO NOTHING
RETURNING id, key;

-- name: InsertChunks :copyfrom
INSERT INTO code_chunks (parse, ordinal, start_line, end_line, definition, heading, text)
VALUES (@parse, @ordinal, @start_line, @end_line, @definition, @heading, @text);

-- name: InsertNames :copyfrom
INSERT INTO code_names (name, parse, ordinal) VALUES (@name, @parse, @ordinal);

-- name: ShareDefinitions :many
-- ShareContents with what the words of their files are made of.
SELECT id, key, left_out, packed_definitions FROM code_parses WHERE key = ANY(@keys::bytea[]) ORDER BY id FOR KEY SHARE;

-- name: InsertFiles :many
-- What is there stays and does not come back. In one order, see InsertContents.
INSERT INTO code_files (parse, place, path)
SELECT raw.parse, raw.place, raw.path
FROM (SELECT unnest(@parses::bigint[]) AS parse, unnest(@places::bytea[]) AS place, unnest(@paths::text[]) AS path) AS raw
ORDER BY raw.parse, raw.place
ON CONFLICT (parse, place) DO NOTHING
RETURNING id, parse, path;

-- name: InsertWords :exec
INSERT INTO code_words (file, ordinal, words)
SELECT raw.file, raw.ordinal, setweight(to_tsvector('witan', raw.name), 'A') || setweight(to_tsvector('witan', raw.path), 'B')
  || setweight(to_tsvector('witan', raw.body), 'D')
FROM (SELECT unnest(@files::bigint[]) AS file, unnest(@ordinals::integer[]) AS ordinal, unnest(@names::text[]) AS name,
  unnest(@paths::text[]) AS path, unnest(@bodies::text[]) AS body) AS raw;

-- name: StagedView :many
SELECT f.id, p.id AS parse, e.path, p.language, p.bytes, p.chunks, p.blob, p.left_out FROM index_entries AS e
JOIN code_parses AS p ON p.blob = e.blob AND p.hint = e.hint AND p.version = @version
JOIN code_files AS f ON f.parse = p.id AND f.place = e.place
WHERE e.index_number = @index_number ORDER BY e.path;

-- name: CountChunks :one
SELECT coalesce(sum(p.chunks), 0)::bigint AS chunks, coalesce(sum(p.chunks) FILTER (WHERE e.batch IS NOT NULL), 0)::bigint AS fresh
FROM index_entries AS e
JOIN code_parses AS p ON p.blob = e.blob AND p.hint = e.hint AND p.version = @version AND p.left_out = ''
WHERE e.index_number = @index_number;

-- name: PutEdges :exec
INSERT INTO index_edges (index_number, file, outgoing, incoming)
SELECT @index_number::bigint, raw.file, raw.outgoing, raw.incoming
FROM (SELECT unnest(@files::bigint[]) AS file, unnest(@outgoing::bytea[]) AS outgoing, unnest(@incoming::bytea[]) AS incoming) AS raw
ON CONFLICT (index_number, file) DO UPDATE SET outgoing = excluded.outgoing, incoming = excluded.incoming;

-- name: PutRarity :exec
UPDATE indexes SET rarity = @rarity WHERE id = @id;

-- name: ActivateIndex :one
UPDATE indexes SET state = @state, counts = @counts, partial = @partial, activate_time = @activate_time WHERE id = @id RETURNING number;

-- name: FillView :exec
INSERT INTO index_files (index_number, file) SELECT e.index_number, f.id FROM index_entries AS e
JOIN code_parses AS p ON p.blob = e.blob AND p.hint = e.hint AND p.version = @version AND p.left_out = ''
JOIN code_files AS f ON f.parse = p.id AND f.place = e.place
WHERE e.index_number = @index_number;

-- name: DefinitionsOf :one
SELECT packed_definitions FROM code_parses WHERE id = @id;

-- name: ReferencesOf :one
SELECT packed_refs FROM code_parses WHERE id = @id;

-- name: ImportsOf :one
SELECT packed_imports FROM code_parses WHERE id = @id;

-- name: ChunksOf :many
SELECT parse, start_line, end_line, definition, heading, text FROM code_chunks WHERE parse = ANY(@parses::bigint[]) ORDER BY parse, ordinal;

-- name: VectorsOf :many
SELECT id, vectors FROM code_parses WHERE id = ANY(@ids::bigint[]);

-- name: Named :many
SELECT parse, ordinal FROM code_names WHERE name = @name ORDER BY parse, ordinal;

-- name: FilesOf :many
SELECT f.id, p.id AS parse, f.path, p.language, p.bytes, p.chunks, p.blob, p.version FROM indexes AS i
JOIN index_files AS v ON v.index_number = i.number JOIN code_files AS f ON f.id = v.file JOIN code_parses AS p ON p.id = f.parse
WHERE i.id = @id AND i.state = 'READY' ORDER BY f.path;

-- name: ScopeFiles :many
SELECT f.id, p.id AS parse, f.path, p.language, p.bytes, p.chunks, p.blob, p.version FROM indexes AS i
JOIN index_files AS v ON v.index_number = i.number JOIN code_files AS f ON f.id = v.file JOIN code_parses AS p ON p.id = f.parse
WHERE i.owner = @owner AND i.repository = @repository
UNION
SELECT f.id, p.id AS parse, f.path, p.language, p.bytes, p.chunks, p.blob, p.version FROM indexes AS i
JOIN index_entries AS e ON e.index_number = i.number JOIN code_parses AS p ON p.blob = e.blob AND p.hint = e.hint
JOIN code_files AS f ON f.parse = p.id AND f.place = e.place
WHERE i.owner = @owner AND i.repository = @repository;

-- name: EdgesOf :one
SELECT e.outgoing, e.incoming FROM indexes AS i JOIN index_edges AS e ON e.index_number = i.number
WHERE i.id = @id AND e.file = @file;

-- name: RarityOf :one
SELECT rarity FROM indexes WHERE id = @id;

-- name: DeleteIndex :one
DELETE FROM indexes WHERE id = @id RETURNING number;

-- name: NoteGarbage :exec
-- A row that is there is written again, and so held until this transaction ends: a collection that looked before would
-- find the content still named, and forget it.
INSERT INTO code_garbage (parse)
SELECT named.parse FROM (
  SELECT f.parse FROM index_files AS v JOIN code_files AS f ON f.id = v.file WHERE v.index_number = @index_number
  UNION
  SELECT p.id FROM index_entries AS e JOIN code_parses AS p ON p.blob = e.blob AND p.hint = e.hint WHERE e.index_number = @index_number
) AS named ORDER BY named.parse
ON CONFLICT (parse) DO UPDATE SET parse = excluded.parse;

-- name: DeleteEdges :exec
DELETE FROM index_edges WHERE index_number = @index_number;

-- name: DeleteView :exec
DELETE FROM index_files WHERE index_number = @index_number;

-- name: DeleteAttempts :exec
DELETE FROM code_attempts WHERE index_number = @index_number;

-- name: TakeGarbage :many
-- Rows that another transaction holds are left to it.
SELECT parse FROM code_garbage ORDER BY parse LIMIT @n FOR UPDATE SKIP LOCKED;

-- name: LockContents :exec
SELECT id FROM code_parses WHERE id = ANY(@ids::bigint[]) ORDER BY id FOR UPDATE;

-- name: ForgetGarbage :exec
DELETE FROM code_garbage WHERE parse = ANY(@parses::bigint[]);

-- name: DeleteUnnamedFiles :exec
-- Files of contents that are held and that no view and no stage names.
WITH gone AS (
  DELETE FROM code_files AS f USING code_parses AS p WHERE p.id = ANY(@parses::bigint[]) AND f.parse = p.id
    AND NOT EXISTS (SELECT 1 FROM index_files AS v WHERE v.file = f.id)
    AND NOT EXISTS (SELECT 1 FROM index_entries AS e WHERE e.blob = p.blob AND e.hint = p.hint AND e.place = f.place)
  RETURNING f.id
)
DELETE FROM code_words AS w USING gone WHERE w.file = gone.id;

-- name: DeleteUnnamedContents :many
-- Contents that are held and have no file and no stage.
DELETE FROM code_parses AS p WHERE p.id = ANY(@ids::bigint[])
  AND NOT EXISTS (SELECT 1 FROM code_files AS f WHERE f.parse = p.id)
  AND NOT EXISTS (SELECT 1 FROM index_entries AS e WHERE e.blob = p.blob AND e.hint = p.hint)
RETURNING id;

-- name: DeleteChunks :exec
DELETE FROM code_chunks WHERE parse = ANY(@parses::bigint[]);

-- name: DeleteNames :exec
DELETE FROM code_names WHERE parse = ANY(@parses::bigint[]);
