// Package council is a council of models: conversations, and deliberations that a council holds over a question or over a
// change of code. Members answer or report findings independently, judge each other's work without knowing whose it is,
// and a chairman writes the text. Ranking, votes, severities, outcomes and the published set come from code; the chairman
// can spoil prose only.
//
// This package holds the domain: what a council is, what it is asked, what it answers, what its result makes of the job,
// and the Manager, the one place that starts conversations and deliberations. The arithmetic lies beside it, each free of
// input and output: draw (orders and labels from a job's key), ranking (ballots), tally (findings and votes), prompt
// (what models are shown) and reply (what their output is taken for). worker runs deliberations as jobs, server is the
// gRPC side, wire translates between this package and the public messages, store/sqlite keeps the rows.
package council
