package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	reviewv1 "witan.dev/gen/witan/review/v1"
)

func TestAReviewIsAboutAPullRequestOrARange(t *testing.T) {
	t.Parallel()
	const base, head = "53811266e6a900c0c517a4219b12800ca6e59851", "876775f189975e45bd5af05c7212f6f42c386cee"
	for want, source := range map[string]*reviewv1.Source{
		"acme/shop#7":                    {Source: &reviewv1.Source_PullRequest{PullRequest: &reviewv1.PullRequest{Owner: "acme", Repo: "shop", Number: 7}}},
		"shop 53811266e6a9…876775f18997": {Source: &reviewv1.Source_GitRange{GitRange: &reviewv1.GitRange{Dir: "/src/shop"}}},
		"shop main…topic":                {Source: &reviewv1.Source_GitRange{GitRange: &reviewv1.GitRange{Dir: "/src/shop", Base: "main", Head: "topic"}}},
		"shop staged":                    {Source: &reviewv1.Source_LocalChange{LocalChange: &reviewv1.LocalChange{Dir: "/src/shop", Mode: reviewv1.LocalChange_STAGED}}},
		"fix.diff":                       {Source: &reviewv1.Source_Diff{Diff: &reviewv1.Material{Title: "fix.diff"}}},
		"two trees":                      {Source: &reviewv1.Source_Snapshots{Snapshots: &reviewv1.Snapshots{}}},
		"":                               nil,
	} {
		require.Equal(t, want, subjectOf(&reviewv1.Review{Source: source, MergeBase: base, Head: head}))
	}
	require.Equal(t, "shop", subjectOf(&reviewv1.Review{Source: &reviewv1.Source{Source: &reviewv1.Source_GitRange{GitRange: &reviewv1.GitRange{Dir: "/src/shop"}}}}),
		"before the commits are known")
}

func TestWhatAJobIsAboutFitsALine(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Which is it?", oneLine("Which\n  is\tit?", 20))
	require.Equal(t, "Wäre es…", oneLine("Wäre es denn so", 8))
}

func TestCountsAreOfOneOrMany(t *testing.T) {
	t.Parallel()
	require.Equal(t, "1 problem", counted(1, "problem", "problems"))
	require.Equal(t, "0 problems", counted(0, "problem", "problems"))
}

func TestAMemberIsNamedWithAModelOfAnotherNameOnly(t *testing.T) {
	t.Parallel()
	require.Equal(t, "ben", seatOf("ben", "ben"))
	require.Equal(t, "critic (ben)", seatOf("critic", "ben"))
}
