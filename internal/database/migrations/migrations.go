// Package migrations holds the database schema: one ordered set of goose migrations per SQL dialect. Each file belongs
// to the package that its name says, and no SQL elsewhere names another owner's table.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed sqlite/*.sql postgres/*.sql
var files embed.FS

// SQLite returns the migrations of the embedded database.
func SQLite() fs.FS { return folder("sqlite") }

// Postgres returns the migrations of the cluster's database. Each must leave a schema on which the program of the version
// before still works, because processes of both run side by side during an upgrade: columns are added with defaults,
// and what is no longer used is dropped one version later.
func Postgres() fs.FS { return folder("postgres") }

func folder(dialect string) fs.FS {
	sub, err := fs.Sub(files, dialect)
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return sub
}
