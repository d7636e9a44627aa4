// Command fakegithub runs the simulated GitHub of services/review/github/githubtest as a process of its own, to try
// Witan without an account and to test its processes. It is not GitHub and talks to nobody: REST, GraphQL, git transport
// and webhooks on this machine, over repositories that it makes from a scenario. It ends with Ctrl-C and forgets
// everything.
//
// With -out it writes there what a client needs: app.pem (the App's key), token (a token of the user "you", who may
// write to the repositories that are there at the start; later ones name it in their roles) and server.json (addresses
// and IDs); server.json comes last.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"witan.dev/services/review/github/githubtest"
	"witan.dev/services/review/github/githubtest/control"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "fakegithub:", err)
		os.Exit(1)
	}
}

// params are the flags.
type params struct {
	addr, control, scenario, bench, webhook, secretFile, out string
}

func parse(args []string) (params, error) {
	var p params
	flags := flag.NewFlagSet("fakegithub", flag.ContinueOnError)
	flags.StringVar(&p.addr, "addr", "127.0.0.1:0", "address of the simulated GitHub")
	flags.StringVar(&p.control, "control", "127.0.0.1:0", "address of the control API; loopback only, it is not protected")
	flags.StringVar(&p.scenario, "scenario", "", "YAML file that says what is there at the start")
	flags.StringVar(&p.bench, "bench", "", "folder with aacr.jsonl and aacr.files.jsonl.gz: their pull requests are opened")
	flags.StringVar(&p.webhook, "webhook", "", "URL that webhooks are sent to")
	flags.StringVar(&p.secretFile, "webhook-secret-file", "", "file with the secret that signs them")
	flags.StringVar(&p.out, "out", "", "folder for app.pem, token and server.json")
	return p, flags.Parse(args)
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	p, err := parse(args)
	if err != nil {
		return err
	}
	sc, err := scenario(p)
	if err != nil {
		return err
	}
	s, err := githubtest.Start(ctx, githubtest.Options{Addr: p.addr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := sc.Apply(ctx, s); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.control)
	if err != nil {
		return err
	}
	side := &http.Server{Handler: control.Handler(s), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- side.Serve(listener) }()
	defer func() { _ = side.Close() }()
	if err := announce(p, s, "http://"+listener.Addr().String(), out); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return err
	}
}

func scenario(p params) (control.Scenario, error) {
	var sc control.Scenario
	if p.scenario != "" {
		f, err := os.Open(p.scenario)
		if err != nil {
			return sc, err
		}
		defer func() { _ = f.Close() }()
		if sc, err = control.Read(f); err != nil {
			return sc, err
		}
	}
	if p.bench != "" {
		sc.Bench = p.bench
	}
	if p.secretFile != "" && p.webhook == "" {
		return sc, errors.New("-webhook-secret-file signs webhooks: name by -webhook where they go")
	}
	if p.webhook != "" {
		sc.Webhook = &control.Webhook{URL: p.webhook}
		if p.secretFile != "" {
			secret, err := os.ReadFile(p.secretFile)
			if err != nil {
				return sc, err
			}
			sc.Webhook.Secret = strings.TrimSpace(string(secret))
		}
	}
	return sc, nil
}

// announce says where everything is, on the terminal and in the folder of the flag.
func announce(p params, s *githubtest.Server, controlURL string, out io.Writer) error {
	app, err := s.App()
	if err != nil {
		return err
	}
	for _, r := range s.Repositories() {
		r.SetRole("you", "write")
	}
	token := s.UserToken("you", githubtest.DefaultPermissions())
	where := map[string]any{
		"url": s.URL, "api_url": s.APIURL, "graphql_url": s.GraphQLURL, "control_url": controlURL, "app_id": app.ID, "installation_id": app.InstallationID, "app_login": app.Bot,
	}
	if p.out != "" {
		if err := os.MkdirAll(p.out, 0o750); err != nil {
			return err
		}
		encoded, err := json.MarshalIndent(where, "", "  ")
		if err != nil {
			return err
		}
		for _, f := range []struct {
			name string
			data []byte
		}{{"app.pem", app.PrivateKey}, {"token", []byte(token + "\n")}, {"server.json", append(encoded, '\n')}} {
			if err := replace(filepath.Join(p.out, f.name), f.data); err != nil {
				return err
			}
		}
	}
	_, err = fmt.Fprintf(out, `This is a simulator, not GitHub.
  API        %s (GraphQL %s)
  pages, git %s
  control    %s (curl it to see what is there)
  App        %d, installation %d, writes as %s
`, s.APIURL, s.GraphQLURL, s.URL, controlURL, app.ID, app.InstallationID, app.Bot)
	return err
}

// replace writes a file that readers see whole or not at all.
func replace(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
