// Package structure is the static reviewer that compares the code graph before a change with the one after it: it
// reports definitions that were removed, renamed or moved while references to them remain, and signatures that changed
// while call sites no longer fit.
//
// Precision comes first. A reference counts only when the index resolved it by the language's rules or by a unique
// name; a call counts only when it fitted the old signature and does not fit the new one; whatever cannot be read with
// certainty (spread arguments, overloads, parse errors, re-exports) silences the reviewer for that definition.
package structure
