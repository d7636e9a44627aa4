// Package github talks to GitHub, the public one or an Enterprise server: a Client reads with credentials that cannot
// write, a Writer shows reviews with the only ones that can.
//
// The credentials are an App, whose installation tokens are minted for what they are used for, or plain tokens. They stay
// in memory: no error, log or address repeats them. Everything that GitHub answers is input: bounded in size, number and
// time. Nothing is tried again here; who calls sleeps until the time that a *review.LimitError names.
package github
