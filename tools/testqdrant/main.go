// Command testqdrant serves what stands in for Qdrant in tests and in `make cluster`: see package qdranttest. It keeps
// everything in memory and ends with SIGTERM or Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"witan.dev/services/retrieval/qdrant/qdranttest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "testqdrant:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("testqdrant", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:0", "where it listens, on loopback")
	path := flags.String("log", "", "a file that gets each request as a line of JSON: method, tenant, repository, what was found")
	verbose := flags.Bool("verbose", false, "the log holds every point that is written, and every query with its answer")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var log io.Writer
	if *path != "" {
		file, err := os.OpenFile(*path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		log = file
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *addr)
	if err != nil {
		return err
	}
	if tcp, ok := listener.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		return errors.Join(fmt.Errorf("%s is not on loopback: this server asks nobody who they are", listener.Addr()), listener.Close())
	}
	_, _ = fmt.Fprintf(out, "http://%s\n", listener.Addr())
	server := qdranttest.New(log)
	if *verbose {
		server.SetVerbose()
	}
	return server.Serve(ctx, listener)
}
