// Package render writes what is shown at a forge: the comment of a finding, the walkthrough, the check run. Whatever
// people, models, linters or repositories wrote is escaped on its way, so that nothing of it is read as markup: no links,
// images, mentions, references, HTML or hidden markers but our own.
package render
