package server_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	parserv1 "witan.dev/gen/witan/parser/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/apierr/rpcstatus"
	"witan.dev/internal/auth"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
	"witan.dev/services/parser"
	"witan.dev/services/parser/enry"
	"witan.dev/services/parser/server"
	"witan.dev/services/parser/treesitter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup serves the real parser behind all interceptors.
func setup(t *testing.T) parserv1.ParserServiceClient {
	t.Helper()
	extractor := treesitter.New()
	logger := slog.New(slog.DiscardHandler)
	srv, err := rpc.NewServer(rpc.Config{}, rpc.Deps{
		Logger: logger, Metrics: prometheus.NewRegistry(), Auth: auth.NewFolder(secret.New("t")),
	})
	require.NoError(t, err)
	require.NoError(t, srv.Register(server.New(parser.NewService(enry.Detector{}, extractor, logger)).Register))
	require.NoError(t, srv.Start(t.Context()))
	conn, err := srv.InProcess(secret.New("t"))
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, conn.Close())
		require.NoError(t, srv.Stop(ctx))
		extractor.Close()
	})
	return parserv1.NewParserServiceClient(conn)
}

const source = `package shop

import "fmt"

// Total adds prices.
func Total(prices []int, more ...int) int {
	fmt.Println(len(prices))
	return sum(prices...)
}
`

func TestParseTellsWhatAFileDefinesAndUses(t *testing.T) {
	t.Parallel()
	client := setup(t)

	got, err := client.Parse(t.Context(), &parserv1.ParseRequest{
		Id: "a", Path: "shop/total.go", Content: []byte(source),
		Enclosing: []*typev1.LineRange{{StartLine: 7, EndLine: 7}, {StartLine: 1, EndLine: 2}},
	})

	require.NoError(t, err)
	require.Equal(t, "a", got.GetId())
	require.Equal(t, "go", got.GetLanguage())
	require.Equal(t, parserv1.ParseResponse_OK, got.GetStatus())
	require.Equal(t, parser.ExtractorVersion, got.GetExtractorVersion())
	require.Len(t, got.GetSha256(), 64)
	require.Len(t, got.GetDefinitions(), 1)
	total := got.GetDefinitions()[0]
	require.Equal(t, typev1.SymbolKind_SYMBOL_KIND_FUNCTION, total.GetKind())
	require.Equal(t, "Total", total.GetQualifiedName())
	require.Equal(t, "func Total(prices []int, more ...int) int", total.GetSignature())
	require.Equal(t, "Total adds prices.", total.GetDoc())
	require.EqualValues(t, -1, total.GetParent())
	require.True(t, total.GetExported())
	require.EqualValues(t, 6, total.GetRange().GetStartLine())
	require.EqualValues(t, 5, total.GetFullRange().GetStartLine())
	require.EqualValues(t, 9, total.GetRange().GetEndLine())
	require.Len(t, total.GetParameters(), 2)
	require.True(t, total.GetParameters()[1].GetVariadic())
	require.Equal(t, "[]int", total.GetParameters()[0].GetType())

	calls := map[string]*parserv1.Reference{}
	for _, r := range got.GetReferences() {
		if r.GetKind() == parserv1.Reference_CALL {
			calls[r.GetName()] = r
		}
	}
	require.Equal(t, "fmt", calls["Println"].GetQualifier())
	require.EqualValues(t, 1, calls["Println"].GetArguments())
	require.Zero(t, calls["Println"].GetEnclosing())
	require.EqualValues(t, -1, calls["sum"].GetArguments(), "a spread list has no known length")
	require.Equal(t, "fmt", got.GetImports()[0].GetPath())
	require.Empty(t, got.GetChunks(), "chunks come only when they are asked for")

	require.Len(t, got.GetEnclosing(), 2)
	require.Len(t, got.GetEnclosing()[0].GetDefinitions(), 1)
	require.InDelta(t, 1, got.GetEnclosing()[0].GetDefinitions()[0].GetShare(), 0)
	require.Empty(t, got.GetEnclosing()[1].GetDefinitions(), "the file itself")
}

func TestParseGivesLineChunksWithoutAGrammar(t *testing.T) {
	t.Parallel()
	client := setup(t)

	got, err := client.Parse(t.Context(), &parserv1.ParseRequest{
		Path: "a.json", Content: []byte("{\"a\": 1}\n"), Want: []parserv1.ParseRequest_Want{parserv1.ParseRequest_CHUNKS},
	})

	require.NoError(t, err)
	require.Equal(t, "json", got.GetLanguage())
	require.Equal(t, parserv1.ParseResponse_NO_GRAMMAR, got.GetStatus())
	require.Len(t, got.GetChunks(), 1)
	require.EqualValues(t, 9, got.GetChunks()[0].GetRange().GetEndByte())
	require.Len(t, got.GetChunks()[0].GetSha256(), 64)
}

func TestParseRefusesALanguageWithoutGrammar(t *testing.T) {
	t.Parallel()
	client := setup(t)

	_, err := client.Parse(t.Context(), &parserv1.ParseRequest{Path: "x", Content: []byte("x"), Language: "zig"})

	require.Equal(t, codes.Unimplemented, status.Code(err))
	require.ErrorIs(t, rpcstatus.Parse(err), parser.ErrLanguageUnknown)
}

func TestListLanguagesIsSorted(t *testing.T) {
	t.Parallel()
	client := setup(t)

	got, err := client.ListLanguages(t.Context(), &parserv1.ListLanguagesRequest{})

	require.NoError(t, err)
	var ids []string
	for _, l := range got.GetLanguages() {
		ids = append(ids, l.GetId())
		require.NotEmpty(t, l.GetDisplayName())
		require.NotEmpty(t, l.GetExtensions())
		require.Equal(t, parserv1.Language_FULL, l.GetTier())
	}
	require.Equal(t, []string{"go", "java", "javascript", "php", "python", "ruby", "rust", "tsx", "typescript"}, ids)
}

func TestParseManyAnswersEachFileOnce(t *testing.T) {
	t.Parallel()
	client := setup(t)
	stream, err := client.ParseMany(t.Context())
	require.NoError(t, err)
	const files = 200 // more than may be in flight
	sent := make(chan error, 1)
	go func() {
		for i := range files {
			content := fmt.Sprintf("package p\n\nfunc F%d() {}\n", i)
			if err := stream.Send(&parserv1.ParseManyRequest{Request: &parserv1.ParseRequest{
				Id: fmt.Sprintf("f%d", i), Path: "p.go", Content: []byte(content),
			}}); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()

	var names, want []string
	for {
		message, err := stream.Recv()
		if err == io.EOF { //nolint:errorlint // gRPC promises io.EOF itself
			break
		}
		require.NoError(t, err)
		require.Len(t, message.GetResponse().GetDefinitions(), 1)
		names = append(names, message.GetResponse().GetId()+message.GetResponse().GetDefinitions()[0].GetName())
	}
	require.NoError(t, <-sent)
	for i := range files {
		want = append(want, fmt.Sprintf("f%dF%d", i, i))
	}
	require.ElementsMatch(t, want, names)
}

func TestParseManyEndsWithTheFirstError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request *parserv1.ParseRequest
		want    *apierr.Error
	}{
		"no ID":            {request: &parserv1.ParseRequest{Path: "a.go"}, want: parser.ErrIDInvalid},
		"unknown language": {request: &parserv1.ParseRequest{Id: "a", Path: "a", Language: "zig"}, want: parser.ErrLanguageUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream, err := setup(t).ParseMany(t.Context())
			require.NoError(t, err)
			require.NoError(t, stream.Send(&parserv1.ParseManyRequest{Request: c.request}))

			_, err = stream.Recv() // the stream is still open on our side

			require.ErrorIs(t, rpcstatus.Parse(err), c.want)
		})
	}
}

func TestParseManyStopsWithItsCaller(t *testing.T) {
	t.Parallel()
	client := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := client.ParseMany(ctx)
	require.NoError(t, err)
	for i := range 20 { // fewer than fill the buffers: nobody reads the answers
		require.NoError(t, stream.Send(&parserv1.ParseManyRequest{Request: &parserv1.ParseRequest{
			Id: fmt.Sprint(i), Path: "p.go", Content: slices.Repeat([]byte("var x = 1\n"), 100),
		}}))
	}

	cancel()

	for err == nil {
		_, err = stream.Recv()
	}
	require.Equal(t, codes.Canceled, status.Code(err)) // goleak finds what would go on
}
