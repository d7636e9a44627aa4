package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"google.golang.org/grpc"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
)

const (
	aboutPage  = 200
	aboutWidth = 60 // columns of a list
)

// abouts say what jobs are about. They read the lists of reviews and deliberations, page by page, as far as is asked for: a
// list of jobs goes through them in the same order.
type abouts struct {
	reviews  reviewv1.ReviewServiceClient
	councils councilv1.CouncilServiceClient

	known         map[string]string // by resource
	deliberations map[string]string // of reviews
	next          map[string]string // page tokens by kind
	read          map[string]bool   // kinds that were read to the end
}

func newAbouts(conn grpc.ClientConnInterface) *abouts {
	return &abouts{
		reviews: reviewv1.NewReviewServiceClient(conn), councils: councilv1.NewCouncilServiceClient(conn),
		known: map[string]string{}, deliberations: map[string]string{}, next: map[string]string{}, read: map[string]bool{},
	}
}

// of is one line about a job: the question, the change, else the name of what it computes. A service that does not answer
// holds no list up.
func (a *abouts) of(ctx context.Context, j *jobsv1.Job) string {
	about := a.lookUp(ctx, j.GetKind(), j.GetResource())
	if deliberation := a.deliberations[j.GetResource()]; deliberation != "" {
		about = strings.TrimSuffix(about+": "+a.lookUp(ctx, "council", deliberation), ": ")
	}
	return oneLine(cmp.Or(about, j.GetResource()), aboutWidth)
}

func (a *abouts) lookUp(ctx context.Context, kind, resource string) string {
	for a.known[resource] == "" && !a.read[kind] {
		if err := a.page(ctx, kind); err != nil {
			a.read[kind] = true
		}
	}
	return a.known[resource]
}

func (a *abouts) page(ctx context.Context, kind string) error {
	token := a.next[kind]
	switch kind {
	case "review":
		page, err := a.reviews.ListReviews(ctx, &reviewv1.ListReviewsRequest{PageSize: aboutPage, PageToken: token})
		if err != nil {
			return err
		}
		for _, r := range page.GetReviews() {
			a.known[r.GetName()], a.deliberations[r.GetName()] = subjectOf(r), r.GetDeliberation()
		}
		token = page.GetNextPageToken()
	case "council":
		page, err := a.councils.ListDeliberations(ctx, &councilv1.ListDeliberationsRequest{PageSize: aboutPage, PageToken: token})
		if err != nil {
			return err
		}
		for _, d := range page.GetDeliberations() {
			a.known[d.GetName()] = cmp.Or(d.GetQuestion().GetText(), d.GetCodeReview().GetTitle())
		}
		token = page.GetNextPageToken()
	default:
		token = ""
	}
	a.next[kind], a.read[kind] = token, token == ""
	return nil
}

// subjectOf says which change a review is of.
func subjectOf(r *reviewv1.Review) string {
	commits := ""
	if r.GetHead() != "" {
		commits = abbreviated(cmp.Or(r.GetMergeBase(), r.GetBase())) + "…" + abbreviated(r.GetHead())
	}
	switch s := r.GetSource().GetSource().(type) {
	case *reviewv1.Source_PullRequest:
		return fmt.Sprintf("%s/%s#%d", s.PullRequest.GetOwner(), s.PullRequest.GetRepo(), s.PullRequest.GetNumber())
	case *reviewv1.Source_GitRange:
		if s.GitRange.GetBase() != "" && s.GitRange.GetHead() != "" {
			commits = s.GitRange.GetBase() + "…" + s.GitRange.GetHead()
		}
		return strings.TrimSpace(filepath.Base(s.GitRange.GetDir()) + " " + commits)
	case *reviewv1.Source_LocalChange:
		return filepath.Base(s.LocalChange.GetDir()) + " " + strings.ToLower(s.LocalChange.GetMode().String())
	case *reviewv1.Source_Diff:
		return cmp.Or(s.Diff.GetTitle(), "a diff")
	case *reviewv1.Source_Snapshots:
		return cmp.Or(s.Snapshots.GetHead().GetTitle(), "two trees")
	default:
		return ""
	}
}

func abbreviated(id string) string { return id[:min(len(id), 12)] }

// oneLine puts a text of several lines on one of at most so many characters.
func oneLine(text string, width int) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) <= width {
		return string(runes)
	}
	return string(runes[:width-1]) + "…"
}

// counted is a number with the word for one, or for any other number.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
