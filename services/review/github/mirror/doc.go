// Package mirror reads pull requests: it keeps bare repositories below a cache folder, each with the commits that reviews
// need and no history, and reads the change between them with git, like a local one. What was changed before is read in
// others beside them, which hold commits and folders and no contents.
//
// The folder is a cache. Whatever is missing is fetched again by object IDs, so that it may vanish at any time, and differ
// from process to process. Nothing is checked out, and no code of a pull request is run.
package mirror
