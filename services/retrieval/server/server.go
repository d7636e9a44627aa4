// Package server is the gRPC adapter of retrieval: it translates messages and calls.
package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/blob"
	"witan.dev/internal/job"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/messages"
)

// Jobs is what the server needs of job.Manager.
type Jobs interface {
	Create(ctx context.Context, c job.Creation) (j job.Job, reused bool, err error)
	Get(ctx context.Context, id job.ID, owner string) (job.Job, error)
	Delete(ctx context.Context, d job.Deletion) error
}

// Snapshots say what a snapshot is made of.
type Snapshots interface {
	// Packs are the blobs that a snapshot needs beside itself.
	Packs(ctx context.Context, source retrieval.Source) ([]blob.SHA256, error)
}

// Blobs is what the server needs of blob.Store.
type Blobs interface {
	ReferTx(ctx context.Context, tx blob.Tx, owner, resource string, sum blob.SHA256) error
}

// Params are the parts of a Server.
type Params struct {
	Catalog retrieval.Catalog
	Library *retrieval.Library
	Trees   retrieval.Trees
	// Snapshots and Blobs are those that Trees reads.
	Snapshots Snapshots
	Blobs     Blobs
	Parser    retrieval.Parser
	Jobs      Jobs
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Server implements witan.retrieval.v1.RetrievalService. Safe for concurrent use.
type Server struct {
	retrievalv1.UnimplementedRetrievalServiceServer

	p Params
}

var _ retrievalv1.RetrievalServiceServer = (*Server)(nil)

// New returns a server.
func New(p Params) *Server {
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Server{p: p}
}

// Register adds the service to a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { retrievalv1.RegisterRetrievalServiceServer(r, s) }

// CreateIndex starts a job, or returns the index that the owner has of the same tree. A request ID that was seen before
// decides first.
func (s *Server) CreateIndex(ctx context.Context, request *retrievalv1.CreateIndexRequest) (*retrievalv1.Index, error) {
	asked := request.GetIndex()
	if asked.GetSnapshotBlob() == "" { // a folder of this machine
		if err := auth.RequireTrusted(ctx); err != nil {
			return nil, err
		}
	}
	index, err := s.describe(ctx, asked)
	if err != nil {
		return nil, err
	}
	existing, err := s.same(ctx, index, parent(asked))
	if err != nil {
		return nil, err
	}
	blobs, err := s.blobs(ctx, index.Source)
	if err != nil {
		return nil, err
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(asked)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	j, _, err := s.p.Jobs.Create(ctx, job.Creation{
		ID: job.ID(index.ID), Kind: job.KindIndex, Owner: index.Owner, Parent: parent(asked), Method: "CreateIndex", RequestID: request.GetRequestId(),
		BodySHA256: sha256.Sum256(body), Resource: messages.Name(index.ID), Labels: index.Labels, Existing: job.ID(existing),
		Write: func(ctx context.Context, tx job.Tx) error {
			if err := s.keep(ctx, tx, index, blobs); err != nil {
				return err
			}
			return s.p.Catalog.Insert(ctx, tx, index)
		},
	})
	if err != nil {
		return nil, err
	}
	return s.get(ctx, retrieval.ID(j.ID))
}

// blobs are those that an index is made of.
func (s *Server) blobs(ctx context.Context, source retrieval.Source) ([]blob.SHA256, error) {
	if source.Snapshot == "" {
		return nil, nil
	}
	sum, err := blob.ParseSHA256(source.Snapshot)
	if err != nil {
		return nil, err
	}
	packs, err := s.p.Snapshots.Packs(ctx, source)
	return append(packs, sum), err
}

// keep notes that the index names its blobs, so that they stay until it is deleted.
func (s *Server) keep(ctx context.Context, tx job.Tx, index retrieval.Index, blobs []blob.SHA256) error {
	for _, sum := range blobs {
		if err := s.p.Blobs.ReferTx(ctx, tx, index.Owner, messages.Name(index.ID), sum); err != nil {
			return err
		}
	}
	return nil
}

func parent(asked *retrievalv1.Index) job.ID {
	return job.ID(strings.TrimPrefix(asked.GetParentJob(), "jobs/"))
}

// describe makes the index that a request asks for.
func (s *Server) describe(ctx context.Context, asked *retrievalv1.Index) (retrieval.Index, error) {
	tree := asked.GetGitTree()
	source := retrieval.Source{Dir: tree.GetDir(), ObjectDirs: tree.GetObjectDirs(), ObjectID: tree.GetObjectId()}
	if sum := asked.GetSnapshotBlob(); sum != "" {
		source = retrieval.Source{Snapshot: sum, Owner: auth.Owner(ctx)}
	}
	resolved, err := s.p.Trees.Resolve(ctx, source)
	if err != nil {
		return retrieval.Index{}, err
	}
	version, err := s.p.Parser.Version(ctx)
	if err != nil {
		return retrieval.Index{}, err
	}
	repository := asked.GetRepository()
	if repository == "" {
		repository = resolved.Repository
	}
	return retrieval.Index{
		ID: retrieval.ID(job.NewID()), Owner: auth.Owner(ctx), Repository: repository, Source: source, Tree: resolved.Tree,
		Base: messages.ID(asked.GetBaseIndex()), Version: retrieval.Version + "+" + version, State: retrieval.Building,
		Labels: asked.GetLabels(), CreatedAt: s.p.Now(),
	}, nil
}

// same finds an index of the same repository and tree that is ready, or that a job is building which nobody else can
// cancel; "" where there is none.
func (s *Server) same(ctx context.Context, index retrieval.Index, parent job.ID) (retrieval.ID, error) {
	all, err := s.p.Catalog.Same(ctx, index.Owner, index.Tree, index.Version)
	if err != nil {
		return "", fmt.Errorf("look for the same tree: %w", err)
	}
	for _, i := range all {
		if i.Repository != index.Repository {
			continue
		}
		if i.State == retrieval.Ready {
			return i.ID, nil
		}
		j, err := s.p.Jobs.Get(ctx, job.ID(i.ID), "")
		if errors.Is(err, job.ErrNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		if (j.State == job.StateQueued || j.State == job.StateRunning) && (j.Parent == "" || j.Parent == parent) {
			return i.ID, nil
		}
	}
	return "", nil
}

// GetIndex reads an index.
func (s *Server) GetIndex(ctx context.Context, request *retrievalv1.GetIndexRequest) (*retrievalv1.Index, error) {
	return s.get(ctx, messages.ID(request.GetName()))
}

func (s *Server) get(ctx context.Context, id retrieval.ID) (*retrievalv1.Index, error) {
	index, err := s.p.Library.Index(ctx, auth.Owner(ctx), id)
	if err != nil {
		return nil, err
	}
	return messages.Index(index), nil
}

// DeleteIndex deletes the index with its job. Contents that nothing else names are removed soon after.
func (s *Server) DeleteIndex(ctx context.Context, request *retrievalv1.DeleteIndexRequest) (*emptypb.Empty, error) {
	index, err := s.p.Library.Index(ctx, auth.Owner(ctx), messages.ID(request.GetName()))
	if err != nil {
		return nil, err
	}
	err = s.p.Jobs.Delete(ctx, job.Deletion{IDs: []job.ID{job.ID(index.ID)}, Owner: index.Owner})
	if errors.Is(err, job.ErrNotFound) {
		err = retrieval.ErrIndexNotFound // it was deleted meanwhile
	}
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}
