// Package retrieval knows repositories: an index of one commit's files that answers two questions, which code is about
// this (search), and which code has to do with that (related code along the reference graph).
//
// An [Index] is read through its view, the list of its files; a view becomes visible as a whole when the index is
// activated. Everything below a view is addressed by content: what was parsed for one commit serves every later one,
// and a commit costs what it changed. A job builds an index (package worker); package graph joins references to
// definitions, package gittree reads git, package store/sqlite keeps everything.
//
// Repositories are hostile input: sizes, counts, times and names are bounded by the limits of this package, and what is
// left out is counted with its reason.
package retrieval
