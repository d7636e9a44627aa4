-- +goose Up
-- A running job's row is written anew with each of its events, some forty times in all, and rows of calls twice: the
-- default, a fifth of the table, lets dead versions outgrow the living ones many times before they are cleared away.
ALTER TABLE jobs SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
ALTER TABLE calls SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);

-- +goose Down
ALTER TABLE calls RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
ALTER TABLE jobs RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
