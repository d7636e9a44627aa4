// Package migrations holds the database schema: one ordered set of goose migrations per SQL dialect. Each file belongs
// to the package that its name says, and no SQL elsewhere names another owner's table.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed sqlite/*.sql
var files embed.FS

// SQLite returns the migrations of the embedded database.
func SQLite() fs.FS {
	sub, err := fs.Sub(files, "sqlite")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return sub
}
