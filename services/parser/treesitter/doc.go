// Package treesitter reads syntax trees with the grammars of smacker/go-tree-sitter. It is the only package that imports
// them.
//
// The library is C code on hostile input, with measured traps: a parser used by two goroutines aborts the process, a
// cancelled context spoils later parses, a parser that timed out resumes the old document, and a tree costs about 16
// times its source in memory that Go does not see. So a parser belongs to one goroutine from take to return, is thrown
// away after any error, and no tree, node or cursor leaves the function that made it. Trees are walked with cursors,
// never by recursion.
package treesitter
