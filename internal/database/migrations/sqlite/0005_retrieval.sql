-- +goose Up

-- Indexes as callers see them. number is what the large tables carry.
CREATE TABLE indexes (
    number       INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    owner        TEXT    NOT NULL,
    repository   TEXT    NOT NULL,
    source       TEXT    NOT NULL,            -- JSON
    tree         TEXT    NOT NULL,
    base_index   TEXT    NOT NULL,
    version      TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    counts       TEXT    NOT NULL,            -- JSON
    partial      INTEGER NOT NULL,
    labels       TEXT    NOT NULL,            -- JSON
    rarity       BLOB,                        -- how rare each gram is in the view; see retrieval.Rarity
    created_at   INTEGER NOT NULL,
    activated_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX indexes_by_owner ON indexes (owner, created_at, id);
CREATE INDEX indexes_by_tree ON indexes (owner, tree, version);

-- What a build is made of, in the order of git. Gone when the index is activated. batch is null for files that were
-- known when the tree was listed.
CREATE TABLE index_entries (
    index_number INTEGER NOT NULL,
    ordinal      INTEGER NOT NULL,
    path         TEXT    NOT NULL,
    blob         TEXT    NOT NULL,
    hint         TEXT    NOT NULL,
    size         INTEGER NOT NULL,
    batch        INTEGER,
    PRIMARY KEY (index_number, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX index_entries_by_batch ON index_entries (index_number, batch) WHERE batch IS NOT NULL;

-- The view of an index.
CREATE TABLE index_files (
    index_number INTEGER NOT NULL,
    file         INTEGER NOT NULL,
    PRIMARY KEY (index_number, file)
) STRICT, WITHOUT ROWID;

-- Edges of the references in a file (outgoing) and of the definitions in it (incoming), packed.
CREATE TABLE index_edges (
    index_number INTEGER NOT NULL,
    file         INTEGER NOT NULL,
    outgoing     BLOB    NOT NULL,
    incoming     BLOB    NOT NULL,
    PRIMARY KEY (index_number, file)
) STRICT;

-- Parse results by content. Definitions, references and imports are packed: a repository of 2,000 files has some
-- 300,000 references, and they are only ever read a file at a time.
CREATE TABLE code_parses (
    id          INTEGER PRIMARY KEY,
    blob        TEXT    NOT NULL,
    hint        TEXT    NOT NULL,
    version     TEXT    NOT NULL,
    language    TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    left_out    TEXT    NOT NULL,
    bytes       INTEGER NOT NULL,
    error_share REAL    NOT NULL,
    definitions INTEGER NOT NULL,
    refs        INTEGER NOT NULL,
    chunks      INTEGER NOT NULL,
    packed_definitions BLOB NOT NULL,
    packed_refs        BLOB NOT NULL,
    packed_imports     BLOB NOT NULL,
    vectors            BLOB NOT NULL,
    UNIQUE (blob, hint, version)
) STRICT;

-- Where a name is defined.
CREATE TABLE code_names (
    name    TEXT    NOT NULL,
    parse   INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    PRIMARY KEY (name, parse, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE code_chunks (
    parse      INTEGER NOT NULL,
    ordinal    INTEGER NOT NULL,
    start_line INTEGER NOT NULL,
    end_line   INTEGER NOT NULL,
    definition INTEGER NOT NULL,
    heading    TEXT    NOT NULL,
    text       TEXT    NOT NULL,
    PRIMARY KEY (parse, ordinal)
) STRICT, WITHOUT ROWID;

-- A content at a path; what the views are lists of.
CREATE TABLE code_files (
    id    INTEGER PRIMARY KEY,
    path  TEXT    NOT NULL,
    parse INTEGER NOT NULL,
    UNIQUE (path, parse)
) STRICT;
CREATE INDEX code_files_by_parse ON code_files (parse);

-- The words of each chunk of each file: rowid = file * 16384 + ordinal of the chunk. Keep detail=full: with less, bm25
-- gives no usable order, without an error.
CREATE VIRTUAL TABLE chunk_fts USING fts5 (
    name, path, body, content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 0'
);

-- Contents whose parsing has begun and not ended. starts: 1 in company of its batch, 2 alone.
CREATE TABLE code_attempts (
    blob    TEXT    NOT NULL,
    hint    TEXT    NOT NULL,
    version TEXT    NOT NULL,
    starts  INTEGER NOT NULL,
    PRIMARY KEY (blob, hint, version)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE code_attempts;
DROP TABLE chunk_fts;
DROP TABLE code_files;
DROP TABLE code_chunks;
DROP TABLE code_names;
DROP TABLE code_parses;
DROP TABLE index_edges;
DROP TABLE index_files;
DROP TABLE index_entries;
DROP TABLE indexes;
