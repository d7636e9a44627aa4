package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	councilv1 "witan.dev/gen/witan/council/v1"
	ingestv1 "witan.dev/gen/witan/ingest/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	parserv1 "witan.dev/gen/witan/parser/v1"
	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/secret"
)

// confidential stands in everything that alice makes; nobody else may ever see it.
const confidential = "nightingale"

// ids are the names of one owner's resources, or of nobody's, by what they begin with; "blob" has a digest.
type ids map[string]string

// unknown are names of the same form that nothing bears.
func unknown() ids {
	id := func() string { return strings.ToLower(rand.Text()) }
	digest := sha256.Sum256([]byte(rand.Text()))
	return ids{
		"jobs": id(), "conversations": id(), "deliberations": id(), "reviews": id(), "indexes": id(), "deliveries": id(),
		"blob": hex.EncodeToString(digest[:]),
	}
}

// hide replaces what differs between two sets.
func (n ids) hide(text string) string {
	for _, id := range n {
		text = strings.ReplaceAll(text, id, "<name>")
	}
	return text
}

// value is what a field that refers to a resource is set to, by its rule; empty: the field refers to none.
func (n ids) value(f protoreflect.FieldDescriptor) string {
	rules, ok := proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules)
	if !ok || f.Kind() != protoreflect.StringKind {
		return ""
	}
	pattern := rules.GetString().GetPattern()
	switch {
	case strings.HasSuffix(string(f.Name()), "blob"):
		return n["blob"]
	case strings.Contains(pattern, "/findings/"):
		return "reviews/" + n["reviews"] + "/findings/1"
	case strings.HasPrefix(pattern, "^councils/"):
		return "councils/default" // everybody's
	}
	kind, _, found := strings.Cut(strings.TrimPrefix(pattern, "^"), "/")
	if !found || n[kind] == "" {
		return ""
	}
	return kind + "/" + n[kind]
}

func behaves(f protoreflect.FieldDescriptor, wanted annotations.FieldBehavior) bool {
	all, ok := proto.GetExtension(f.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return ok && slices.Contains(all, wanted)
}

// references are the ways to the fields by which a caller may name a resource of somebody, depth first.
func references(m protoreflect.MessageDescriptor, within ...protoreflect.FullName) [][]protoreflect.FieldDescriptor {
	if slices.Contains(within, m.FullName()) || m.IsMapEntry() {
		return nil
	}
	var found [][]protoreflect.FieldDescriptor
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if behaves(f, annotations.FieldBehavior_OUTPUT_ONLY) {
			continue
		}
		if v := unknown().value(f); v != "" && v != "councils/default" {
			found = append(found, []protoreflect.FieldDescriptor{f})
		}
		if f.Message() != nil {
			for _, below := range references(f.Message(), append(within, m.FullName())...) {
				found = append(found, append([]protoreflect.FieldDescriptor{f}, below...))
			}
		}
	}
	return found
}

// set sets the field at the end of a way, and what has to stand beside it.
func set(m protoreflect.Message, way []protoreflect.FieldDescriptor, names ids) {
	f := way[0]
	if len(way) == 1 {
		m.Set(f, protoreflect.ValueOfString(names.value(f)))
		return
	}
	var below protoreflect.Message
	if f.IsList() {
		list := m.Mutable(f).List()
		if list.Len() == 0 {
			list.AppendMutable()
		}
		below = list.Get(0).Message()
	} else {
		below = m.Mutable(f).Message()
	}
	begin(below)
	set(below, way[1:], names)
	complete(below, names)
}

// begin gives an empty request its body.
func begin(m protoreflect.Message) {
	if b := body(m.Descriptor().FullName()); b != nil && proto.Size(m.Interface()) == 0 {
		proto.Merge(m.Interface(), b)
	}
}

// complete sets the fields that a message needs and does not have.
func complete(m protoreflect.Message, names ids) {
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		if !behaves(f, annotations.FieldBehavior_REQUIRED) || m.Has(f) {
			continue
		}
		switch {
		case f.IsList():
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(orElse(names.value(f), "a")))
		case f.Message() != nil:
			complete(m.Mutable(f).Message(), names)
		}
	}
	for i := range m.Descriptor().Oneofs().Len() {
		one := m.Descriptor().Oneofs().Get(i)
		rule, ok := proto.GetExtension(one.Options(), validate.E_Oneof).(*validate.OneofRules)
		if first := one.Fields().Get(0); ok && rule.GetRequired() && m.WhichOneof(one) == nil && first.Kind() == protoreflect.BytesKind {
			m.Set(first, protoreflect.ValueOfBytes([]byte("a")))
		}
	}
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// body is a usable request, apart from the names in it: what rules cannot tell. nil for all others.
func body(request protoreflect.FullName) proto.Message {
	deliberation := &councilv1.Deliberation{Task: &councilv1.Deliberation_Question{Question: &councilv1.Question{Text: "why?"}}}
	review := &reviewv1.CreateReviewRequest{Review: &reviewv1.Review{Source: diffOf("bob.txt", "bob")}}
	switch request {
	case "witan.council.v1.CreateDeliberationRequest":
		return &councilv1.CreateDeliberationRequest{Deliberation: deliberation}
	case "witan.council.v1.EstimateDeliberationRequest":
		return &councilv1.EstimateDeliberationRequest{Deliberation: deliberation}
	case "witan.council.v1.CreateCouncilRequest":
		return &councilv1.CreateCouncilRequest{CouncilId: "bobs", Council: &councilv1.Council{Spec: &councilv1.CouncilSpec{Members: []*councilv1.Member{{Model: "ada"}}}}}
	case "witan.council.v1.UpdateCouncilRequest":
		return &councilv1.UpdateCouncilRequest{Council: &councilv1.Council{Name: "councils/default", Spec: &councilv1.CouncilSpec{Members: []*councilv1.Member{{Model: "ada"}}}}}
	case "witan.review.v1.CreateReviewRequest":
		return review
	case "witan.review.v1.HandleEventRequest":
		return &reviewv1.HandleEventRequest{RequestId: uuid.NewString(), Event: &reviewv1.ForgeEvent{
			Delivery: "deliveries/x", Repository: &reviewv1.ForgeRepository{Host: "github.com", Owner: "o", Name: "r", Id: 1},
			Event: &reviewv1.ForgeEvent_Closed{Closed: &reviewv1.PullRequestClosed{Number: 1}},
		}}
	case "witan.review.v1.UpdateFindingRequest":
		return &reviewv1.UpdateFindingRequest{Action: reviewv1.UpdateFindingRequest_DISMISS}
	case "witan.review.v1.UploadMaterialRequest":
		return &reviewv1.UploadMaterialRequest{Part: &reviewv1.UploadMaterialRequest_Chunk{Chunk: []byte("x")}}
	case "witan.retrieval.v1.CreateIndexRequest":
		return &retrievalv1.CreateIndexRequest{Index: &retrievalv1.Index{Source: &retrievalv1.Index_GitTree{
			GitTree: &retrievalv1.GitTree{Dir: "/nowhere", ObjectId: strings.Repeat("a", 40)},
		}}}
	case "witan.retrieval.v1.GetRelatedRequest":
		return &retrievalv1.GetRelatedRequest{Target: &retrievalv1.GetRelatedRequest_Symbol{Symbol: "store.Load"}}
	case "witan.jobs.v1.RunJobRequest":
		return &jobsv1.RunJobRequest{Create: &jobsv1.RunJobRequest_Review{Review: review}}
	case "witan.parser.v1.ParseManyRequest":
		return &parserv1.ParseManyRequest{Request: &parserv1.ParseRequest{Id: "1", Path: "a.go", Content: []byte("package a")}}
	case "witan.ingest.v1.AcceptDeliveryRequest":
		return &ingestv1.AcceptDeliveryRequest{Sender: "github"}
	}
	return nil
}

func diffOf(path, line string) *reviewv1.Source {
	return &reviewv1.Source{Source: &reviewv1.Source_Diff{Diff: &reviewv1.Material{Content: &reviewv1.Material_Data{
		Data: fmt.Appendf(nil, "--- /dev/null\n+++ b/%s\n@@ -0,0 +1 @@\n+%s\n", path, line),
	}}}}
}

// probe is one request of a method, by the way of the reference that it is about; empty: it needs none.
type probe struct {
	method protoreflect.MethodDescriptor
	way    []protoreflect.FieldDescriptor
}

func (p probe) name() string {
	text := string(p.method.FullName())
	for _, f := range p.way {
		text += "." + string(f.Name())
	}
	return text
}

func (p probe) request(t testing.TB, names ids) proto.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(p.method.Input().FullName())
	require.NoError(t, err)
	m := kind.New()
	begin(m)
	complete(m, names)
	if len(p.way) > 0 {
		set(m, p.way, names)
	}
	return m.Interface()
}

// probes are all requests, by the contracts themselves: a method or a reference that is added to them is looked at too.
func probes() []probe {
	var all []probe
	for _, file := range []protoreflect.FileDescriptor{
		councilv1.File_witan_council_v1_council_service_proto, ingestv1.File_witan_ingest_v1_ingest_service_proto,
		jobsv1.File_witan_jobs_v1_jobs_service_proto, parserv1.File_witan_parser_v1_parser_service_proto,
		retrievalv1.File_witan_retrieval_v1_retrieval_service_proto, reviewv1.File_witan_review_v1_review_service_proto,
	} {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				all = append(all, probe{method: m})
				for _, way := range references(m.Input()) {
					all = append(all, probe{m, way})
				}
			}
		}
	}
	return all
}

// outcome is what a caller saw: at most the first three messages, and the end.
type outcome struct {
	code codes.Code
	// reason is the error's, text everything that was said.
	reason, text string
}

// call asks over gRPC, as whoever the token belongs to; an empty one is not shown.
func (n *node) call(p probe, names ids, token string, more ...string) outcome {
	n.t.Helper()
	ctx, cancel := context.WithCancel(bounded(n.t))
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, append([]string{"x-request-id", "mine"}, more...)...)
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	path := fmt.Sprintf("/%s/%s", p.method.Parent().FullName(), p.method.Name())
	stream, err := n.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, path)
	require.NoError(n.t, err)
	if err := stream.SendMsg(p.request(n.t, names)); err != nil && !errors.Is(err, io.EOF) {
		require.NoError(n.t, err)
	}
	require.NoError(n.t, stream.CloseSend())
	output, err := protoregistry.GlobalTypes.FindMessageByName(p.method.Output().FullName())
	require.NoError(n.t, err)
	var said []string
	for len(said) < 3 {
		m := output.New().Interface()
		if err = stream.RecvMsg(m); err != nil {
			break
		}
		said = append(said, eventText(n.t, m))
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	said = append(said, eventText(n.t, status.Convert(err).Proto()))
	return outcome{status.Code(err), info(err).GetReason(), names.hide(strings.Join(said, "\n"))}
}

func eventText(t testing.TB, m proto.Message) string {
	t.Helper()
	raw, err := protojson.Marshal(m)
	require.NoError(t, err)
	return compact(t, raw)
}

// routes asks by REST, by each route of the method.
func (n *node) routes(p probe, names ids, token string) []outcome {
	n.t.Helper()
	rule, ok := proto.GetExtension(p.method.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return nil
	}
	var answers []outcome
	for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		method, path, content := route(n.t, r, p.request(n.t, names).ProtoReflect())
		if strings.Contains(path, "{") {
			continue // the request does not name what this route needs
		}
		headers := []string{"X-Request-Id", "mine"}
		if token != "" {
			headers = append(headers, "Authorization", "Bearer "+token)
		}
		code, raw := n.first(method, path, content, headers)
		answers = append(answers, outcome{codes.Code(code), reply{Body: raw}.reason(), names.hide(string(raw))}) //nolint:gosec // an HTTP status
	}
	return answers
}

// first reads what comes until the answer ends or is a stream's first piece.
func (n *node) first(method, path string, content []byte, headers []string) (int, []byte) {
	n.t.Helper()
	ctx, cancel := context.WithCancel(bounded(n.t))
	defer cancel()
	resp, err := n.request(ctx, method, path, content, headers...)
	require.NoError(n.t, err)
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK && strings.HasSuffix(path, ":run") {
		return resp.StatusCode, nil // a job of the caller's own
	}
	raw, err := io.ReadAll(resp.Body)
	require.NoError(n.t, err)
	return resp.StatusCode, raw
}

// route builds the HTTP request of a message.
func route(t testing.TB, r *annotations.HttpRule, m protoreflect.Message) (method, path string, content []byte) {
	t.Helper()
	switch p := r.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		method, path = http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		method, path = http.MethodPost, p.Post
	case *annotations.HttpRule_Patch:
		method, path = http.MethodPatch, p.Patch
	case *annotations.HttpRule_Delete:
		method, path = http.MethodDelete, p.Delete
	default:
		require.FailNow(t, "a route of a kind that this test does not know", "%v", r)
	}
	path = regexp.MustCompile(`\{([^}=]+)=[^}]*\}`).ReplaceAllStringFunc(path, func(field string) string {
		way := strings.Split(strings.Trim(field[:strings.Index(field, "=")], "{"), ".")
		at := m
		for _, name := range way[:len(way)-1] {
			at = at.Mutable(at.Descriptor().Fields().ByName(protoreflect.Name(name))).Message()
		}
		f := at.Descriptor().Fields().ByName(protoreflect.Name(way[len(way)-1]))
		value := at.Get(f).String()
		at.Clear(f)
		return orElse(value, "{}")
	})
	content = []byte{}
	switch r.GetBody() {
	case "":
	case "*":
		content = []byte(eventText(t, m.Interface()))
		return method, path, content
	default:
		f := m.Descriptor().Fields().ByName(protoreflect.Name(r.GetBody()))
		content = []byte(eventText(t, m.Get(f).Message().Interface()))
		m.Clear(f)
	}
	query := url.Values{}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Kind() == protoreflect.StringKind && !f.IsList() {
			query.Set(string(f.Name()), v.String())
		}
		return true
	})
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return method, path, content
}

// guarded is a server that knows alice and bob, with what alice made.
type guarded struct {
	*node

	alice, bob, old string // tokens
	alices          ids
	file            string
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	w := newWorld(t, quick)
	g := &guarded{file: filepath.Join(w.Dir, "tokens")}
	g.alice, g.bob, g.old = auth.NewSecret().Reveal(), auth.NewSecret().Reveal(), auth.NewSecret().Reveal()
	g.tokens(t, "alice", g.alice, "bob", g.bob, "alice", g.old)
	w.configure(fmt.Sprintf("councils:\n  - {name: default, members: [ada, ben, cyd], chairman: {model: chair}}\nauth: {tokens_file: %q}\n", g.file),
		"ada", "ben", "cyd", "chair")
	g.node = w.serve()
	g.alices = g.makeAlices(t)
	return g
}

// tokens writes the file anew: owners, each with a token.
func (g *guarded) tokens(t *testing.T, pairs ...string) {
	t.Helper()
	var lines bytes.Buffer
	for pair := range slices.Chunk(pairs, 2) {
		token, err := auth.NewToken(pair[0], secret.New(pair[1]))
		require.NoError(t, err)
		lines.WriteString(token.String() + "\n")
	}
	require.NoError(t, os.WriteFile(g.file+".new", lines.Bytes(), 0o600))
	require.NoError(t, os.Rename(g.file+".new", g.file))
}

func as(t *testing.T, token string, more ...string) context.Context {
	t.Helper()
	return metadata.AppendToOutgoingContext(bounded(t), append([]string{"authorization", "Bearer " + token}, more...)...)
}

// makeAlices makes one resource of each kind; what computes one has ended when it returns.
func (g *guarded) makeAlices(t *testing.T) ids {
	t.Helper()
	ctx := as(t, g.alice)
	c, err := g.Council.CreateConversation(ctx, &councilv1.CreateConversationRequest{Conversation: &councilv1.Conversation{Title: confidential}})
	require.NoError(t, err)
	asked := question("who is the " + confidential + "?")
	asked.Conversation = c.GetName()
	d, err := g.Council.CreateDeliberation(ctx, &councilv1.CreateDeliberationRequest{Deliberation: asked})
	require.NoError(t, err)
	r, err := g.Reviews.CreateReview(ctx, &reviewv1.CreateReviewRequest{Review: &reviewv1.Review{Source: diffOf(confidential+".txt", confidential)}})
	require.NoError(t, err)

	repo := storeRepository(t)
	header, _ := g.owner()
	trusted := as(t, strings.TrimPrefix(header, "Bearer "), auth.OwnerKey, "alice")
	index, err := retrievalv1.NewRetrievalServiceClient(g.conn).CreateIndex(trusted, &retrievalv1.CreateIndexRequest{Index: &retrievalv1.Index{
		Source: &retrievalv1.Index_GitTree{GitTree: &retrievalv1.GitTree{Dir: repo.Dir, ObjectId: strings.TrimSpace(repo.Git("rev-parse", "HEAD"))}},
	}})
	require.NoError(t, err)
	for _, name := range []string{d.GetJob(), r.GetJob(), index.GetJob()} {
		j, err := g.Jobs.WaitJob(ctx, &jobsv1.WaitJobRequest{Name: name})
		require.NoError(t, err, "%s is alice's", name)
		require.NotNil(t, j.GetEndTime(), "%s", name)
	}
	id := func(name string) string { return name[strings.LastIndex(name, "/")+1:] }
	return ids{
		"conversations": id(c.GetName()), "deliberations": id(d.GetName()), "jobs": id(index.GetJob()), "reviews": id(r.GetName()),
		"indexes": id(index.GetName()), "deliveries": unknown()["deliveries"], "blob": g.upload(t, confidential),
	}
}

// upload uploads a text as alice and returns its digest.
func (g *guarded) upload(t *testing.T, text string) string {
	t.Helper()
	digest := sha256.Sum256([]byte(text))
	stream, err := g.Reviews.UploadMaterial(as(t, g.alice))
	require.NoError(t, err)
	require.NoError(t, stream.Send(&reviewv1.UploadMaterialRequest{Part: &reviewv1.UploadMaterialRequest_Header{
		Header: &reviewv1.UploadHeader{Size: int64(len(text)), Sha256: hex.EncodeToString(digest[:])},
	}}))
	require.NoError(t, stream.Send(&reviewv1.UploadMaterialRequest{Part: &reviewv1.UploadMaterialRequest_Chunk{Chunk: []byte(text)}}))
	_, err = stream.CloseAndRecv()
	require.NoError(t, err)
	return hex.EncodeToString(digest[:])
}

// belongings is everything that alice can see of what she made.
func (g *guarded) belongings(t *testing.T) string {
	t.Helper()
	var seen []string
	for _, p := range probes() {
		if verb := string(p.method.Name()); strings.HasPrefix(verb, "Get") || strings.HasPrefix(verb, "List") {
			if said := g.call(p, g.alices, g.alice); said.code == codes.OK {
				seen = append(seen, p.name()+"\n"+said.text)
			}
		}
	}
	return strings.Join(seen, "\n")
}

// TestG14_ForeignEqualsMissing holds every RPC and every route of the contracts, and every field by which a caller may name
// a resource, to telling bob of alice's exactly what it tells him of what does not exist.
func TestG14_ForeignEqualsMissing(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	before := g.belongings(t)
	require.Contains(t, before, confidential)
	compared := 0
	for _, p := range probes() {
		nobodys := unknown()
		nobodys["deliveries"] = g.alices["deliveries"]
		for transport, ask := range map[string]func(ids) []outcome{
			"gRPC": func(names ids) []outcome { return []outcome{g.call(p, names, g.bob)} },
			"gRPC, with a name that is not his to use": func(names ids) []outcome {
				return []outcome{g.call(p, names, g.bob, auth.OwnerKey, "alice")}
			},
			"REST": func(names ids) []outcome { return g.routes(p, names, g.bob) },
		} {
			foreign := ask(g.alices)
			for _, said := range foreign {
				require.NotContains(t, said.text, confidential, "%s by %s", p.name(), transport)
				require.NotEqual(t, "TOKEN_INVALID", said.reason, "%s by %s", p.name(), transport)
			}
			if text := eventText(t, p.request(t, g.alices)); g.alices.hide(text) == text {
				continue // it names nothing of anybody's
			}
			missing := ask(nobodys)
			require.Equal(t, missing, foreign, "%s by %s", p.name(), transport)
			for _, said := range foreign {
				require.NotEqual(t, "INVALID_REQUEST", said.reason, "%s by %s was not looked at: %s", p.name(), transport, said.text)
				compared++
			}
		}
	}
	require.Greater(t, compared, 60)
	require.Equal(t, before, g.belongings(t), "nothing of alice's has changed")
}

// TestG14_WithoutAValidTokenNothingIsAnswered asks every RPC and every route without a token, with a wrong one and with one
// that was withdrawn.
func TestG14_WithoutAValidTokenNothingIsAnswered(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	get := probe{method: jobsv1.File_witan_jobs_v1_jobs_service_proto.Services().ByName("JobService").Methods().ByName("GetJob")}
	require.Equal(t, codes.OK, g.call(get, g.alices, g.old).code)
	g.tokens(t, "alice", g.alice, "bob", g.bob)
	require.Eventually(t, func() bool { return g.call(get, g.alices, g.old).code == codes.Unauthenticated }, patience, 50*time.Millisecond)
	require.Equal(t, codes.OK, g.call(get, g.alices, g.alice).code, "the others go on")
	for _, p := range probes() {
		for what, c := range map[string]struct{ token, reason string }{
			"no token":          {"", "TOKEN_MISSING"},
			"a wrong token":     {"witan_wrong", "TOKEN_INVALID"},
			"a withdrawn token": {g.old, "TOKEN_INVALID"},
		} {
			names, nobodys := g.alices, unknown()
			said := g.call(p, names, c.token)
			require.Equal(t, codes.Unauthenticated, said.code, "%s with %s: %s", p.name(), what, said.text)
			require.Equal(t, c.reason, said.reason, "%s with %s", p.name(), what)
			require.Equal(t, g.call(p, nobodys, c.token), said, "%s with %s", p.name(), what)
			answers := g.routes(p, names, c.token)
			for _, said := range answers {
				require.Equal(t, http.StatusUnauthorized, int(said.code), "%s with %s: %s", p.name(), what, said.text)
				require.Equal(t, c.reason, said.reason, "%s with %s", p.name(), what)
			}
			require.Equal(t, g.routes(p, nobodys, c.token), answers, "%s with %s", p.name(), what)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.json"} {
		answer := g.do("GET", path, "")
		require.Equal(t, http.StatusOK, answer.Code, path)
		require.NotContains(t, string(answer.Body), confidential)
	}
}
