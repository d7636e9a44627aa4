package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	parserv1 "witan.dev/gen/witan/parser/v1"
	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	"witan.dev/internal/git"
	"witan.dev/internal/lifecycle"
)

// maxSource is what the parser reads of a file.
const maxSource = 1 << 20

func (a *app) indexCommand() *cobra.Command {
	var server, revision string
	var detach bool
	cmd := &cobra.Command{
		Use:   "index DIR",
		Short: "Index a repository at a commit",
		Long:  "Index a repository at a commit (default HEAD), so that `witan search` finds code in it. Files that an earlier index has seen are not parsed again.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, err := a.connect(ctx, cmd, server)
			if err != nil {
				return err
			}
			defer a.disconnect(ctx, s)
			if detach && s.inside {
				return fmt.Errorf("--detach needs a running server: start `witan serve`, or leave --detach out")
			}
			tree, err := gitTree(ctx, args[0], revision)
			if err != nil {
				return err
			}
			client := retrievalv1.NewRetrievalServiceClient(s.conn)
			index, err := client.CreateIndex(ctx, &retrievalv1.CreateIndexRequest{
				Index: &retrievalv1.Index{Source: &retrievalv1.Index_GitTree{GitTree: tree}}, RequestId: uuid.NewString(),
			})
			if err != nil {
				return err
			}
			if detach {
				return a.detached(index.GetJob(), s)
			}
			job, err := a.follow(ctx, s, index.GetJob(), 0, viewer{event: a.progressPrinter().event})
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(a.stdout, index.GetName()); err != nil {
				return err
			}
			return outcome(job)
		},
	}
	cmd.Flags().StringVar(&revision, "revision", "HEAD", "commit to index")
	cmd.Flags().BoolVar(&detach, "detach", false, "start and leave; needs a running server")
	cmd.Flags().StringVar(&server, "server", "", "address of a server on this machine (host:port)")
	return cmd
}

func gitTree(ctx context.Context, dir, revision string) (*retrievalv1.GitTree, error) {
	repo, err := openRepository(ctx, dir)
	if err != nil {
		return nil, err
	}
	commit, err := repo.Resolve(ctx, revision)
	if err != nil {
		return nil, err
	}
	return &retrievalv1.GitTree{Dir: repo.Dir, ObjectId: commit}, nil
}

func openRepository(ctx context.Context, dir string) (*git.Repository, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	g, err := git.New(git.Params{})
	if err != nil {
		return nil, err
	}
	return g.Open(ctx, dir)
}

func (a *app) searchCommand() *cobra.Command {
	var server, index string
	var limit int32
	cmd := &cobra.Command{
		Use:   `search "QUERY"`,
		Short: "Find code in an index",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, err := a.connectOnly(ctx, cmd, server)
			if err != nil {
				return err
			}
			defer a.disconnect(ctx, s)
			client := retrievalv1.NewRetrievalServiceClient(s.conn)
			if index, err = indexName(ctx, client, index); err != nil {
				return err
			}
			found, err := client.Search(ctx, &retrievalv1.SearchRequest{Index: index, Query: args[0], Limit: limit})
			if err != nil {
				return err
			}
			if found.GetDegraded() != "" {
				a.say("degraded: %s", found.GetDegraded())
			}
			for _, hit := range found.GetHits() {
				_, err := fmt.Fprintf(a.stdout, "%s:%d-%d\t%s\n", hit.GetPath(), hit.GetLines().GetStartLine(), hit.GetLines().GetEndLine(), hit.GetSymbol())
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&index, "index", "", "index to search (default: the newest)")
	cmd.Flags().Int32Var(&limit, "limit", 10, "how many places to show, at most 100")
	cmd.Flags().StringVar(&server, "server", "", "address of a server (host:port)")
	return cmd
}

// indexName completes the name of an index; without one it is the newest that is ready.
func indexName(ctx context.Context, client retrievalv1.RetrievalServiceClient, name string) (string, error) {
	if name != "" {
		return "indexes/" + strings.TrimPrefix(name, "indexes/"), nil
	}
	for token := ""; ; {
		page, err := client.ListIndexes(ctx, &retrievalv1.ListIndexesRequest{PageToken: token})
		if err != nil {
			return "", err
		}
		for _, index := range page.GetIndexes() {
			if index.GetActivateTime() != nil {
				return index.GetName(), nil
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			return "", fmt.Errorf("there is no index yet: make one with `witan index DIR`")
		}
	}
}

func (a *app) symbolsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "symbols FILE…",
		Short: "List the definitions in source files",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var stack lifecycle.Stack
			defer func() { _ = stack.Close(context.WithoutCancel(cmd.Context())) }()
			conn, err := startParser(cmd.Context(), &stack)
			if err != nil {
				return err
			}
			client := parserv1.NewParserServiceClient(conn)
			for _, file := range args {
				if err := a.symbols(cmd.Context(), client, file); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *app) symbols(ctx context.Context, client parserv1.ParserServiceClient, file string) error {
	f, err := os.Open(file) //nolint:gosec // the user names the file
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	if err != nil {
		return err
	}
	if len(content) > maxSource {
		return fmt.Errorf("%s is larger than %d bytes", file, maxSource)
	}
	parsed, err := client.Parse(ctx, &parserv1.ParseRequest{
		Path: filepath.ToSlash(file), Content: content, Want: []parserv1.ParseRequest_Want{parserv1.ParseRequest_DEFINITIONS},
	})
	if err != nil {
		return err
	}
	if parsed.GetStatus() != parserv1.ParseResponse_OK {
		a.say("%s: %s", file, parsed.GetStatus())
	}
	for _, d := range parsed.GetDefinitions() {
		_, err := fmt.Fprintf(a.stdout, "%s:%d-%d\t%s\t%s\t%s\n", file, d.GetRange().GetStartLine(), d.GetRange().GetEndLine(),
			strings.ToLower(strings.TrimPrefix(d.GetKind().String(), "SYMBOL_KIND_")), d.GetQualifiedName(), d.GetSignature())
		if err != nil {
			return err
		}
	}
	return nil
}
