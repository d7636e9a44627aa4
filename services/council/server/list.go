package server

import (
	"cmp"
	"context"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/pagetoken"
	"witan.dev/services/council"
	"witan.dev/services/council/wire"
)

// defaultPage is the size of a page for callers that do not say.
const defaultPage = 50

// A page is one page of a list as it is asked for.
type page struct {
	list string
	size int
}

func pageOf(list string, size int32) page {
	return page{list: list, size: int(cmp.Or(size, defaultPage))}
}

// next is the token behind the last of n items, where the store returned more than the page holds.
func (p page) next(n int, after func() any) (string, error) {
	if n <= p.size {
		return "", nil
	}
	return pagetoken.Write(p.list, after())
}

// ListConversations implements councilv1.CouncilServiceServer.
func (s *Server) ListConversations(ctx context.Context, r *councilv1.ListConversationsRequest) (*councilv1.ListConversationsResponse, error) {
	owner := auth.Owner(ctx)
	p := pageOf("conversations/"+owner, r.GetPageSize())
	var after council.Position
	if err := pagetoken.Read(r.GetPageToken(), p.list, &after); err != nil {
		return nil, err
	}
	found, activities, err := s.manager.Conversations(ctx, owner, after, p.size+1)
	if err != nil {
		return nil, err
	}
	shown := found[:min(len(found), p.size)]
	answer := &councilv1.ListConversationsResponse{}
	for _, c := range shown {
		answer.Conversations = append(answer.Conversations, wire.Conversation(c, activities[c.ID]))
	}
	answer.NextPageToken, err = p.next(len(found), func() any {
		last := shown[len(shown)-1]
		return council.Position{CreatedAt: last.CreatedAt, ID: last.ID}
	})
	return answer, err
}

// ListDeliberations implements councilv1.CouncilServiceServer.
func (s *Server) ListDeliberations(ctx context.Context, r *councilv1.ListDeliberationsRequest) (*councilv1.ListDeliberationsResponse, error) {
	owner, conversation := auth.Owner(ctx), wire.ID(r.GetConversation())
	p := pageOf("deliberations/"+owner+"/"+conversation, r.GetPageSize())
	var after council.Position
	if err := pagetoken.Read(r.GetPageToken(), p.list, &after); err != nil {
		return nil, err
	}
	found, err := s.manager.Deliberations(ctx, owner, conversation, after, p.size+1)
	if err != nil {
		return nil, err
	}
	shown := found[:min(len(found), p.size)]
	answer := &councilv1.ListDeliberationsResponse{}
	for _, d := range shown {
		answer.Deliberations = append(answer.Deliberations, wire.Deliberation(d, false))
	}
	answer.NextPageToken, err = p.next(len(found), func() any {
		last := shown[len(shown)-1]
		return council.Position{CreatedAt: last.CreatedAt, ID: string(last.ID)}
	})
	return answer, err
}

// ListMessages implements councilv1.CouncilServiceServer.
func (s *Server) ListMessages(ctx context.Context, r *councilv1.ListMessagesRequest) (*councilv1.ListMessagesResponse, error) {
	owner, conversation := auth.Owner(ctx), wire.ID(r.GetParent())
	p := pageOf("messages/"+owner+"/"+conversation, r.GetPageSize())
	var after int64
	if err := pagetoken.Read(r.GetPageToken(), p.list, &after); err != nil {
		return nil, err
	}
	found, err := s.manager.Messages(ctx, conversation, owner, after, p.size+1)
	if err != nil {
		return nil, err
	}
	shown := found[:min(len(found), p.size)]
	answer := &councilv1.ListMessagesResponse{}
	for _, m := range shown {
		answer.Messages = append(answer.Messages, wire.Message(m))
	}
	answer.NextPageToken, err = p.next(len(found), func() any { return shown[len(shown)-1].Ordinal })
	return answer, err
}

// ListCouncils implements councilv1.CouncilServiceServer. The councils of a configuration are few: one page holds them.
func (s *Server) ListCouncils(_ context.Context, r *councilv1.ListCouncilsRequest) (*councilv1.ListCouncilsResponse, error) {
	p := pageOf("councils", r.GetPageSize())
	var after string
	if err := pagetoken.Read(r.GetPageToken(), p.list, &after); err != nil {
		return nil, err
	}
	answer := &councilv1.ListCouncilsResponse{}
	for _, preset := range s.manager.Presets() {
		if preset.Name <= after {
			continue
		}
		if len(answer.GetCouncils()) == p.size {
			var err error
			answer.NextPageToken, err = pagetoken.Write(p.list, wire.ID(answer.GetCouncils()[p.size-1].GetName()))
			return answer, err
		}
		answer.Councils = append(answer.Councils, wire.Preset(preset))
	}
	return answer, nil
}
