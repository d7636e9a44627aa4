-- +goose Up

-- Stems words like the embedded database's text index, and leaves none out: "for" and "not" are words of programs.
CREATE TEXT SEARCH DICTIONARY witan_stem (TEMPLATE = snowball, Language = english);
CREATE TEXT SEARCH CONFIGURATION witan (COPY = pg_catalog.simple);
ALTER TEXT SEARCH CONFIGURATION witan ALTER MAPPING FOR asciiword, word, numword WITH witan_stem;

-- Indexes as callers see them. number is what the large tables carry. JSON is text: jsonb refuses a NUL.
CREATE TABLE indexes (
  number        bigint      NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id            text        NOT NULL UNIQUE COLLATE "C",
  owner         text        NOT NULL COLLATE "C",
  repository    text        NOT NULL COLLATE "C",
  source        text        NOT NULL, -- JSON
  tree          text        NOT NULL COLLATE "C",
  base_index    text        NOT NULL COLLATE "C",
  version       text        NOT NULL COLLATE "C",
  state         text        NOT NULL,
  counts        text        NOT NULL, -- JSON
  partial       boolean     NOT NULL,
  labels        text        NOT NULL, -- JSON
  rarity        bytea,                -- how rare each gram is in the view; see retrieval.Rarity
  create_time   timestamptz NOT NULL,
  activate_time timestamptz
);
CREATE INDEX indexes_by_owner ON indexes (owner, create_time DESC, id DESC);
CREATE INDEX indexes_by_tree ON indexes (owner, tree, version);

-- What a build is made of, in the order of git. Gone when the index is activated. batch is null for files that were
-- known when the tree was listed. place is a digest of the path, here and in code_files: a path may be longer than an index
-- takes.
CREATE TABLE index_entries (
  index_number bigint  NOT NULL,
  ordinal      integer NOT NULL,
  path         text    NOT NULL COLLATE "C",
  place        bytea   NOT NULL,
  blob         text    NOT NULL COLLATE "C",
  hint         text    NOT NULL COLLATE "C",
  size         bigint  NOT NULL,
  batch        integer,
  PRIMARY KEY (index_number, ordinal)
);
CREATE INDEX index_entries_by_batch ON index_entries (index_number, batch) WHERE batch IS NOT NULL;
CREATE INDEX index_entries_by_blob ON index_entries (blob, place);

-- The view of an index.
CREATE TABLE index_files (
  index_number bigint NOT NULL,
  file         bigint NOT NULL,
  PRIMARY KEY (index_number, file)
);
CREATE INDEX index_files_by_file ON index_files (file);

-- Edges of the references in a file (outgoing) and of the definitions in it (incoming), packed.
CREATE TABLE index_edges (
  index_number bigint NOT NULL,
  file         bigint NOT NULL,
  outgoing     bytea  NOT NULL,
  incoming     bytea  NOT NULL,
  PRIMARY KEY (index_number, file)
);

-- Parse results by content. The row is the lock of all that is known of the content: who stages or places it holds it for
-- key share, who removes anything of it for update. key is a digest of blob, hint and version, since a hint may be longer
-- than an index takes. No ID is given twice: what is in memory is known by them.
CREATE TABLE code_parses (
  id                 bigint           NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key                bytea            NOT NULL UNIQUE,
  blob               text             NOT NULL COLLATE "C",
  hint               text             NOT NULL COLLATE "C",
  version            text             NOT NULL COLLATE "C",
  language           text             NOT NULL,
  status             text             NOT NULL,
  left_out           text             NOT NULL,
  bytes              bigint           NOT NULL,
  error_share        double precision NOT NULL,
  definitions        integer          NOT NULL,
  refs               integer          NOT NULL,
  chunks             integer          NOT NULL,
  packed_definitions bytea            NOT NULL,
  packed_refs        bytea            NOT NULL,
  packed_imports     bytea            NOT NULL,
  vectors            bytea            NOT NULL
);
CREATE INDEX code_parses_by_blob ON code_parses (blob);
ALTER TABLE code_parses ALTER COLUMN vectors SET STORAGE EXTERNAL; -- noise does not compress

-- Where a name is defined. name is a digest: names may be longer than an index takes, and may hold a NUL.
CREATE TABLE code_names (
  name    bytea   NOT NULL,
  parse   bigint  NOT NULL,
  ordinal integer NOT NULL,
  PRIMARY KEY (name, parse, ordinal)
);
CREATE INDEX code_names_by_parse ON code_names (parse);

-- Texts are UTF-8 as bytes, because they may hold a NUL.
CREATE TABLE code_chunks (
  parse      bigint  NOT NULL,
  ordinal    integer NOT NULL,
  start_line integer NOT NULL,
  end_line   integer NOT NULL,
  definition integer NOT NULL,
  heading    bytea   NOT NULL,
  text       bytea   NOT NULL,
  PRIMARY KEY (parse, ordinal)
);

-- A content at a path; what the views are lists of.
CREATE TABLE code_files (
  id    bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  parse bigint NOT NULL,
  place bytea  NOT NULL,
  path  text   NOT NULL COLLATE "C",
  UNIQUE (parse, place)
);

-- The words of each chunk of each file: A for names, B for the path, D for the text.
CREATE TABLE code_words (
  file    bigint   NOT NULL,
  ordinal integer  NOT NULL,
  words   tsvector NOT NULL,
  PRIMARY KEY (file, ordinal)
);
CREATE INDEX code_words_by_word ON code_words USING gin (words);

-- Contents whose parsing a build has begun and not ended. starts: 1 in company of its batch, 2 alone.
CREATE TABLE code_attempts (
  key          bytea   NOT NULL,
  index_number bigint  NOT NULL,
  starts       integer NOT NULL,
  PRIMARY KEY (key, index_number)
);

-- Contents that a removed index named; those that nothing else names are collected.
CREATE TABLE code_garbage (
  parse bigint NOT NULL PRIMARY KEY
);

-- +goose Down
DROP TABLE code_garbage;
DROP TABLE code_attempts;
DROP TABLE code_words;
DROP TABLE code_files;
DROP TABLE code_chunks;
DROP TABLE code_names;
DROP TABLE code_parses;
DROP TABLE index_edges;
DROP TABLE index_files;
DROP TABLE index_entries;
DROP TABLE indexes;
DROP TEXT SEARCH CONFIGURATION witan;
DROP TEXT SEARCH DICTIONARY witan_stem;
