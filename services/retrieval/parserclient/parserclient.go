// Package parserclient parses contents through the parser's gRPC client.
package parserclient

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"google.golang.org/grpc"

	parserv1 "witan.dev/gen/witan/parser/v1"
	"witan.dev/services/retrieval"
)

const (
	// inFlight is how many files are sent before the first answer is waited for; the parser allows 64.
	inFlight = 16
	// maxAnswer bounds one answer: 200,000 references of a file are some 16 MB.
	maxAnswer = 64 << 20
)

// Client implements retrieval.Parser. Safe for concurrent use.
type Client struct{ parser parserv1.ParserServiceClient }

var _ retrieval.Parser = (*Client)(nil)

// New returns a client over a connection to the parser.
func New(conn grpc.ClientConnInterface) *Client {
	return &Client{parser: parserv1.NewParserServiceClient(conn)}
}

// Version digests the versions of all languages: which one a file has, the parser decides.
func (c *Client) Version(ctx context.Context) (string, error) {
	answer, err := c.parser.ListLanguages(ctx, &parserv1.ListLanguagesRequest{})
	if err != nil {
		return "", fmt.Errorf("ask the parser for its version: %w", err)
	}
	digest := sha256.New()
	for _, l := range answer.GetLanguages() {
		digest.Write([]byte(l.GetId() + "=" + l.GetExtractorVersion() + "\n"))
	}
	return hex.EncodeToString(digest.Sum(nil))[:16], nil
}

// Parse calls done with the result of every content.
func (c *Client) Parse(ctx context.Context, contents []retrieval.Content, done func(retrieval.Parsed) error) error {
	if len(contents) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream after an error of done
	stream, err := c.parser.ParseMany(ctx, grpc.MaxCallRecvMsgSize(maxAnswer))
	if err != nil {
		return fmt.Errorf("parse: %w", err)
	}
	sent := 0
	for answered := range contents {
		for ; sent < len(contents) && sent-answered < inFlight; sent++ {
			if err := stream.Send(request(sent, contents[sent])); err != nil && !errors.Is(err, io.EOF) { // EOF: Recv says why
				return fmt.Errorf("parse: %w", err)
			}
		}
		answer, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("parse: %w", err)
		}
		n, err := strconv.Atoi(answer.GetResponse().GetId())
		if err != nil || n < 0 || n >= sent {
			return fmt.Errorf("parse: answer to %q, which was not asked", answer.GetResponse().GetId())
		}
		if err := done(parsed(contents[n], answer.GetResponse())); err != nil {
			return err
		}
	}
	return stream.CloseSend()
}

func request(n int, c retrieval.Content) *parserv1.ParseManyRequest {
	return &parserv1.ParseManyRequest{Request: &parserv1.ParseRequest{
		Id: strconv.Itoa(n), Path: c.Path, Content: c.Bytes,
		Want: []parserv1.ParseRequest_Want{
			parserv1.ParseRequest_DEFINITIONS, parserv1.ParseRequest_REFERENCES, parserv1.ParseRequest_IMPORTS, parserv1.ParseRequest_CHUNKS,
		},
	}}
}
