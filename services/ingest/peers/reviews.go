package peers

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/apierr/rpcstatus"
	"witan.dev/services/ingest"
)

// Reviews is an ingest.Reviews over gRPC. Safe for concurrent use.
type Reviews struct {
	client reviewv1.ReviewServiceClient
}

var _ ingest.Reviews = (*Reviews)(nil)

// NewReviews returns the review service that is reached over the connection.
func NewReviews(conn grpc.ClientConnInterface) *Reviews {
	return &Reviews{client: reviewv1.NewReviewServiceClient(conn)}
}

// Start implements ingest.Reviews.
func (r *Reviews) Start(ctx context.Context, start ingest.Review, requestID string) (string, error) {
	made, err := r.client.CreateReview(ctx, &reviewv1.CreateReviewRequest{Review: review(start), RequestId: requestID})
	if err != nil {
		return "", rpcstatus.Parse(err)
	}
	return made.GetName(), nil
}

func review(r ingest.Review) *reviewv1.Review {
	scope := reviewv1.Review_SCOPE_UNSPECIFIED
	if r.Whole {
		scope = reviewv1.Review_WHOLE_CHANGE
	}
	return &reviewv1.Review{
		Source: &reviewv1.Source{Source: &reviewv1.Source_PullRequest{PullRequest: &reviewv1.PullRequest{
			Host: r.Repository.Host, Owner: r.Repository.Owner, Repo: r.Repository.Name, Number: r.Number,
			RepositoryId: r.Repository.ID, InstallationId: r.Repository.Installation,
		}}},
		Trigger: triggers()[r.Trigger], TriggerLabel: r.Label, Publish: true, Scope: scope,
	}
}

func triggers() map[ingest.Trigger]reviewv1.Review_Trigger {
	return map[ingest.Trigger]reviewv1.Review_Trigger{
		ingest.Opened: reviewv1.Review_OPENED, ingest.Reopened: reviewv1.Review_REOPENED, ingest.Ready: reviewv1.Review_READY,
		ingest.Pushed: reviewv1.Review_PUSHED, ingest.BaseChanged: reviewv1.Review_BASE_CHANGED, ingest.Labeled: reviewv1.Review_LABELED,
		ingest.Requested: reviewv1.Review_REQUESTED, ingest.CheckRequested: reviewv1.Review_CHECK_REQUESTED,
	}
}

// Tell implements ingest.Reviews.
func (r *Reviews) Tell(ctx context.Context, delivery string, received time.Time, e ingest.Event, requestID string) (resource, ignored string, err error) {
	event := message(e)
	event.Delivery, event.ReceiveTime = "deliveries/"+delivery, timestamppb.New(received)
	answer, err := r.client.HandleEvent(ctx, &reviewv1.HandleEventRequest{Event: event, RequestId: requestID})
	if err != nil {
		return "", "", rpcstatus.Parse(err)
	}
	return answer.GetResource(), answer.GetIgnoredReason(), nil
}

func message(e ingest.Event) *reviewv1.ForgeEvent {
	out := &reviewv1.ForgeEvent{Sender: e.Sender, SenderBot: e.Bot}
	if e.Repository.ID != 0 {
		out.Repository = repository(e.Repository)
	}
	switch w := e.What.(type) {
	case ingest.Closed:
		out.Event = &reviewv1.ForgeEvent_Closed{Closed: &reviewv1.PullRequestClosed{Number: w.Number, Merged: w.Merged}}
	case ingest.Drafted:
		out.Event = &reviewv1.ForgeEvent_Drafted{Drafted: &reviewv1.PullRequestDrafted{Number: w.Number}}
	case ingest.Commented:
		out.Event = &reviewv1.ForgeEvent_Comment{Comment: &reviewv1.CommentWritten{
			Number: w.Number, Place: places()[w.Place], CommentId: w.ID, InReplyTo: w.InReplyTo, Body: w.Body,
		}}
	case ingest.CommentDeleted:
		out.Event = &reviewv1.ForgeEvent_CommentDeleted{CommentDeleted: &reviewv1.CommentDeleted{Number: w.Number, CommentId: w.ID, Place: places()[w.Place]}}
	case ingest.Resolved:
		out.Event = &reviewv1.ForgeEvent_Thread{Thread: &reviewv1.ThreadResolved{Number: w.Number, CommentIds: w.CommentIDs, Resolved: w.Resolved}}
	case ingest.Moved:
		out.Event = &reviewv1.ForgeEvent_Pushed{Pushed: &reviewv1.BranchPushed{Branch: w.Branch, After: w.After}}
	case ingest.BranchDeleted:
		out.Event = &reviewv1.ForgeEvent_BranchDeleted{BranchDeleted: &reviewv1.BranchDeleted{Branch: w.Branch}}
	case ingest.Installed:
		out.Event = &reviewv1.ForgeEvent_Installation{Installation: installed(w)}
	case ingest.RepositoryChanged:
		out.Event = &reviewv1.ForgeEvent_RepositoryChanged{RepositoryChanged: &reviewv1.RepositoryChanged{Change: repositoryChanges()[w.Change]}}
	case ingest.CheckAction:
		out.Event = &reviewv1.ForgeEvent_CheckAction{CheckAction: &reviewv1.CheckAction{
			CheckRunId: w.CheckRun, Head: w.Head, Action: w.Action, Numbers: w.Numbers,
		}}
	}
	return out
}

func installed(w ingest.Installed) *reviewv1.InstallationChanged {
	out := &reviewv1.InstallationChanged{InstallationId: w.Installation, Change: installationChanges()[w.Change]}
	for _, r := range w.Repositories {
		out.Repositories = append(out.Repositories, repository(r))
	}
	return out
}

func repository(r ingest.Repository) *reviewv1.ForgeRepository {
	return &reviewv1.ForgeRepository{
		Host: r.Host, Owner: r.Owner, Name: r.Name, Id: r.ID, InstallationId: r.Installation, DefaultBranch: r.DefaultBranch,
	}
}

func places() map[ingest.Place]reviewv1.CommentWritten_Place {
	return map[ingest.Place]reviewv1.CommentWritten_Place{
		ingest.InConversation: reviewv1.CommentWritten_CONVERSATION, ingest.InThread: reviewv1.CommentWritten_THREAD, ingest.InReview: reviewv1.CommentWritten_REVIEW,
	}
}

func installationChanges() map[ingest.InstallationChange]reviewv1.InstallationChanged_Change {
	return map[ingest.InstallationChange]reviewv1.InstallationChanged_Change{
		ingest.InstallationAdded: reviewv1.InstallationChanged_ADDED, ingest.InstallationRemoved: reviewv1.InstallationChanged_REMOVED,
		ingest.InstallationRefreshed: reviewv1.InstallationChanged_REFRESHED,
	}
}

func repositoryChanges() map[ingest.RepositoryChange]reviewv1.RepositoryChanged_Change {
	return map[ingest.RepositoryChange]reviewv1.RepositoryChanged_Change{
		ingest.RepositoryRenamed: reviewv1.RepositoryChanged_RENAMED, ingest.RepositoryPrivatized: reviewv1.RepositoryChanged_PRIVATIZED,
		ingest.RepositoryDeleted: reviewv1.RepositoryChanged_DELETED,
	}
}
