package rpc_test

import (
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	councilv1 "witan.dev/gen/witan/council/v1"
	ingestv1 "witan.dev/gen/witan/ingest/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	parserv1 "witan.dev/gen/witan/parser/v1"
	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	typev1 "witan.dev/gen/witan/type/v1"
)

const (
	indexName = "indexes/k3k3k3k3k3k3k3k3k3k3k3k3k3"
	sha256Hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func question(text string) *councilv1.Deliberation {
	return &councilv1.Deliberation{Task: &councilv1.Deliberation_Question{Question: &councilv1.Question{Text: text}}}
}

func create(d *councilv1.Deliberation) *councilv1.CreateDeliberationRequest {
	return &councilv1.CreateDeliberationRequest{Deliberation: d}
}

func review(source *reviewv1.Source) *reviewv1.CreateReviewRequest {
	return &reviewv1.CreateReviewRequest{Review: &reviewv1.Review{Source: source}}
}

func spec(m *councilv1.Member) *councilv1.Deliberation {
	d := question("why?")
	d.Spec = &councilv1.CouncilSpec{Members: []*councilv1.Member{m}}
	return d
}

// TestEachKindOfRuleRefuses breaks one rule of every kind that the protos use; the field that is blamed proves that the
// rule, and not another one, has refused.
func TestEachKindOfRuleRefuses(t *testing.T) {
	t.Parallel()
	for kind, c := range map[string]struct {
		message proto.Message
		field   string
	}{
		"string.pattern":            {&jobsv1.GetJobRequest{Name: "jobs/UPPERCASEISNOTALLOWED"}, "name"},
		"string.pattern, empty":     {&jobsv1.GetJobRequest{}, "name"},
		"string.min_len":            {create(question("")), "deliberation.question.text"},
		"string.max_len":            {&jobsv1.ListJobsRequest{PageToken: strings.Repeat("x", 2049)}, "page_token"},
		"string.max_bytes":          {create(question(strings.Repeat("é", 65537))), "deliberation.question.text"},
		"string.uuid":               {&jobsv1.RetryJobRequest{Name: jobName, RequestId: "no-uuid"}, "request_id"},
		"string.in":                 {&jobsv1.ListJobsRequest{Kind: "party"}, "kind"},
		"string.in, required":       {&ingestv1.AcceptDeliveryRequest{Sender: ""}, "sender"},
		"string.prefix":             {review(&reviewv1.Source{Source: &reviewv1.Source_GitRange{GitRange: &reviewv1.GitRange{Dir: "here"}}}), "review.source.git_range.dir"},
		"bytes.max_len":             {&parserv1.ParseRequest{Path: "a", Content: make([]byte, 1<<20+1)}, "content"},
		"int32.gte":                 {&jobsv1.ListJobsRequest{PageSize: -1}, "page_size"},
		"int32.lte":                 {&jobsv1.ListJobsRequest{PageSize: 1001}, "page_size"},
		"int64.gte, optional":       {&jobsv1.WatchJobRequest{Name: jobName, AfterSeq: new(int64(-1))}, "after_seq"},
		"float.lte, optional":       {create(spec(&councilv1.Member{Model: "m", Temperature: new(float32(2.5))})), "deliberation.spec.members[0].temperature"},
		"double.lte":                {&councilv1.VotePolicy{SimilarityThreshold: 1.5}, "similarity_threshold"},
		"duration.lte":              {&jobsv1.WaitJobRequest{Name: jobName, Timeout: durationpb.New(time.Hour)}, "timeout"},
		"duration.gt":               {create(spec(&councilv1.Member{Model: "m", Timeout: durationpb.New(0)})), "deliberation.spec.members[0].timeout"},
		"enum.defined_only":         {&councilv1.GetDeliberationRequest{Name: "deliberations/" + jobName[5:], View: 99}, "view"},
		"enum.not_in":               {review(&reviewv1.Source{Source: &reviewv1.Source_LocalChange{LocalChange: &reviewv1.LocalChange{Dir: "/a"}}}), "review.source.local_change.mode"},
		"repeated.max_items":        {&councilv1.CouncilSpec{Members: make17()}, "members"},
		"repeated.unique":           {&councilv1.Question{Text: "t", Choices: []string{"a", "a"}}, "choices"},
		"repeated.items.string":     {&jobsv1.WatchJobRequest{Name: jobName, Types: []string{"council.planned", "all"}}, "types[1]"},
		"repeated.items.enum":       {&jobsv1.ListJobsRequest{States: []jobsv1.Job_State{0}}, "states[0]"},
		"map.keys":                  {&councilv1.Conversation{Labels: map[string]string{"": "x"}}, `labels[""]`},
		"map.values":                {&councilv1.Conversation{Labels: map[string]string{"a": strings.Repeat("x", 256)}}, `labels["a"]`},
		"map.max_pairs":             {&councilv1.Conversation{Labels: many(65)}, "labels"},
		"required message":          {&reviewv1.CreateReviewRequest{}, "review"},
		"required nested":           {&reviewv1.CreateReviewRequest{Review: &reviewv1.Review{}}, "review.source"},
		"oneof.required":            {create(&councilv1.Deliberation{}), "deliberation.task"},
		"oneof.required, retrieval": {&retrievalv1.CreateIndexRequest{Index: &retrievalv1.Index{}}, "index.source"},
		"message.cel, start":        {&jobsv1.WatchJobRequest{Name: jobName, AfterSeq: new(int64(0)), From: jobsv1.WatchJobRequest_NOW}, ""},
		"message.cel, lines": {&retrievalv1.GetRelatedRequest{Index: indexName, Target: &retrievalv1.GetRelatedRequest_Place{
			Place: &retrievalv1.Place{Path: "a", Lines: &typev1.LineRange{StartLine: 2, EndLine: 1}},
		}}, "place.lines"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var violated *protovalidate.ValidationError
			require.ErrorAs(t, protovalidate.Validate(c.message), &violated)
			require.Len(t, violated.Violations, 1)
			require.Equal(t, c.field, protovalidate.FieldPathString(violated.Violations[0].Proto.GetField()))
		})
	}
}

// TestUsualRequestsPass holds the rules to what clients really send.
func TestUsualRequestsPass(t *testing.T) {
	t.Parallel()
	for name, message := range map[string]proto.Message{
		"job":             &jobsv1.GetJobRequest{Name: jobName},
		"list":            &jobsv1.ListJobsRequest{},
		"watch":           &jobsv1.WatchJobRequest{Name: jobName},
		"watch from zero": &jobsv1.WatchJobRequest{Name: jobName, AfterSeq: new(int64(0)), Types: []string{"council.member_answered"}},
		"wait":            &jobsv1.WaitJobRequest{Name: jobName},
		"question": &councilv1.CreateDeliberationRequest{
			Deliberation: &councilv1.Deliberation{
				Council: "councils/default", Task: question("why?").GetTask(), Timeout: durationpb.New(time.Minute),
				Spec: &councilv1.CouncilSpec{Members: []*councilv1.Member{{Model: "alpha"}, {Id: "b-1", Model: "beta"}}},
			},
			RequestId: "9f1c2f52-6a55-4b6e-8d35-6b6d0a6f7e01",
		},
		"empty conversation": &councilv1.CreateConversationRequest{},
		"inline diff": review(&reviewv1.Source{Source: &reviewv1.Source_Diff{
			Diff: &reviewv1.Material{Content: &reviewv1.Material_Data{Data: []byte("diff")}},
		}}),
		"uploaded diff": review(&reviewv1.Source{Source: &reviewv1.Source_Diff{
			Diff: &reviewv1.Material{Content: &reviewv1.Material_Blob{Blob: sha256Hex}},
		}}),
		"range": review(&reviewv1.Source{Source: &reviewv1.Source_GitRange{GitRange: &reviewv1.GitRange{Dir: "/repo"}}}),
		"index": &retrievalv1.CreateIndexRequest{Index: &retrievalv1.Index{Source: &retrievalv1.Index_GitTree{
			GitTree: &retrievalv1.GitTree{Dir: "/repo", ObjectId: sha256Hex[:40]},
		}}},
		"parse":   &parserv1.ParseRequest{Path: "a.go", Content: []byte("package a"), Enclosing: []*typev1.LineRange{{StartLine: 1, EndLine: 1}}},
		"search":  &retrievalv1.SearchRequest{Index: indexName, Query: "who"},
		"related": &retrievalv1.GetRelatedRequest{Index: indexName, Target: &retrievalv1.GetRelatedRequest_Symbol{Symbol: "a.B"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, protovalidate.Validate(message))
		})
	}
}

func make17() []*councilv1.Member {
	members := make([]*councilv1.Member, 17)
	for i := range members {
		members[i] = &councilv1.Member{Model: "m"}
	}
	return members
}

func many(n int) map[string]string {
	labels := map[string]string{}
	for i := range n {
		labels[strings.Repeat("k", i+1)[:min(i+1, 60)]+string(rune('a'+i%26))+string(rune('a'+i/26))] = "v"
	}
	return labels
}
