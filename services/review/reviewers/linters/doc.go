// Package linters turns reports of other tools (SARIF 2.1.0, rdjson, rdjsonl, checkstyle) into static reviewers, one for
// each tool, whose results join the council's vote. Reports are read, tools are never run. Everything in a report is
// untrusted: its size, number of results and depth are bounded, XML that declares anything is refused, paths only ever
// choose among the files of the change, and texts are cut.
package linters
