// Command witan is the whole of Witan: server, worker and client in one binary. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

func main() {
	interrupts := make(chan os.Signal, 4)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	a := newApp(os.Environ(), os.Stdin, os.Stdout, os.Stderr, interrupts,
		term.IsTerminal(int(os.Stdout.Fd())), term.IsTerminal(int(os.Stderr.Fd())))
	os.Exit(a.run(context.Background(), os.Args[1:]))
}
