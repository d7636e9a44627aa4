package githubtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"witan.dev/services/review/github/githubtest/git"
)

type account struct {
	id    int64
	login string
	kind  string // User, Bot, Organization
}

type repository struct {
	id            int64
	owner         *account
	now           atomic.Pointer[string] // its name; Rename changes it under readers without the lock
	private       bool
	defaultBranch string
	parent        *repository
	git           *git.Repository
	roles         map[string]string // lower-case login → admin, maintain, write, triage, read
	pulls         map[int]*pull
	checks        []*checkRun
	created       time.Time
	pushed        time.Time
	clock         time.Time // of the commits that are made here, so that they have the same IDs in each run
}

func (r *repository) name() string { return *r.now.Load() }

func (r *repository) fullName() string { return r.owner.login + "/" + r.name() }

type pull struct {
	id               int64
	number           int
	repo             *repository
	title, body      string
	author           *account
	baseRef, baseSHA string
	headRef, headSHA string
	headOwner        *account
	headRepo         *repository // nil: it was deleted
	closed, merged   bool
	draft, locked    bool
	created, updated time.Time
	closedAt         time.Time
	labels           []string
	reviewers        []*account
	former           []string // earlier heads, oldest first
	staleFiles       bool
	lagging          int // reads that still show the head before the last push
	threads          []*thread
	reviews          []*reviewState
	comments         []*reviewComment
	talk             []*issueComment
}

// Repository is a handle on a repository of the server.
type Repository struct {
	s *Server
	r *repository
}

// RepositorySpec describes a repository to be added.
type RepositorySpec struct {
	Owner, Name string
	// Organization says that the owner is one; else it is a user.
	Organization bool
	// Public makes it readable for everybody; by default a repository is private, so that a forgotten token is noticed.
	Public bool
	// DefaultBranch is main where it is empty.
	DefaultBranch string
	// From is the folder of a real git repository whose branches are taken over. It is only read.
	From string
	// Files is the content of the first commit on the default branch, when From is empty. No files: the branch is unborn.
	Files map[string]string
	// NotInstalled keeps the repository out of the App's installation.
	NotInstalled bool
}

// AddRepository adds a repository. Its owner has the role admin; the App is installed on it.
func (s *Server) AddRepository(ctx context.Context, spec RepositorySpec) (*Repository, error) {
	if spec.DefaultBranch == "" {
		spec.DefaultBranch = "main"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.ToLower(spec.Owner + "/" + spec.Name)
	if _, taken := s.names[key]; taken || strings.Count(key, "/") != 1 || strings.Trim(key, "/") != key {
		return nil, fmt.Errorf("repository %s: the name is taken or none", key)
	}
	r, err := s.newRepository(ctx, spec)
	if err != nil {
		return nil, err
	}
	if spec.From != "" {
		if err := r.git.Import(ctx, spec.From); err != nil {
			return nil, err
		}
	}
	s.repos[r.id], s.names[key] = r, r.id
	if !spec.NotInstalled {
		s.install(r)
	}
	handle := &Repository{s, r}
	if spec.From == "" && len(spec.Files) > 0 {
		_, err = handle.commit(ctx, Commit{Branch: spec.DefaultBranch, Message: "Start", Files: spec.Files})
	}
	return handle, err
}

func (s *Server) newRepository(ctx context.Context, spec RepositorySpec) (*repository, error) {
	kind := "User"
	if spec.Organization {
		kind = "Organization"
	}
	owner := s.account(spec.Owner)
	owner.kind = kind
	id := s.next()
	bare, err := git.Init(ctx, filepath.Join(s.dir, strconv.FormatInt(id, 10)+".git"), spec.DefaultBranch)
	if err != nil {
		return nil, err
	}
	r := &repository{
		id: id, owner: owner, private: !spec.Public, defaultBranch: spec.DefaultBranch, git: bare,
		roles: map[string]string{strings.ToLower(spec.Owner): "admin"}, pulls: map[int]*pull{}, created: s.now(), pushed: s.now(),
		clock: time.Date(2024, 2, 1, 12, 0, 0, 0, time.UTC),
	}
	r.now.Store(&spec.Name)
	return r, nil
}

// account returns the account of a login and makes it where it is missing.
func (s *Server) account(login string) *account {
	key := strings.ToLower(login)
	a := s.accounts[key]
	if a == nil {
		a = &account{id: s.next(), login: login, kind: "User"}
		if strings.HasSuffix(key, "[bot]") {
			a.kind = "Bot"
		}
		s.accounts[key] = a
	}
	return a
}

// ID is the repository's ID, which stays through renames.
func (r *Repository) ID() int64 { return r.r.id }

// Name is the repository's present owner/name.
func (r *Repository) Name() string {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.r.fullName()
}

// CloneURL is where git fetches the repository; a token goes in as the password of the user x-access-token.
func (r *Repository) CloneURL() string { return r.s.URL + "/" + r.Name() + ".git" }

// GitDir is the folder of the bare repository: the truth behind the answers.
func (r *Repository) GitDir() string { return r.r.git.Dir }

// SetRole gives a user a role (admin, maintain, write, triage, read), or none by "".
func (r *Repository) SetRole(login, role string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.account(login)
	r.r.roles[strings.ToLower(login)] = role
	if role == "" {
		delete(r.r.roles, strings.ToLower(login))
	}
}

// Commit is a change to a branch.
type Commit struct {
	// Branch is moved to the new commit; none: the commit is on no branch.
	Branch string
	// Parent is a revision; by default the branch, or the default branch where that does not exist yet.
	Parent string
	// Files are written with their text; Delete are removed. Modes gives files a mode other than 100644.
	Files   map[string]string
	Delete  []string
	Modes   map[string]string
	Message string
	Author  string
}

// Commit makes a commit and returns its ID. No webhook is sent and no pull request follows: see PullRequest.Push.
func (r *Repository) Commit(ctx context.Context, c Commit) (string, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.commit(ctx, c)
}

func (r *Repository) commit(ctx context.Context, c Commit) (string, error) {
	made := git.Commit{Message: c.Message, Author: c.Author}
	if made.Author == "" {
		made.Author = r.r.owner.login
	}
	made.Email = made.Author + "@users.noreply.example"
	r.r.clock = r.r.clock.Add(time.Minute)
	made.When = r.r.clock
	parent, err := r.parent(ctx, c)
	if err != nil {
		return "", err
	}
	if parent != "" {
		made.Parents = []string{parent}
	}
	for _, path := range slices.Sorted(slices.Values(c.Delete)) {
		made.Files = append(made.Files, git.File{Path: path, Delete: true})
	}
	for _, path := range slices.Sorted(maps.Keys(c.Files)) {
		made.Files = append(made.Files, git.File{Path: path, Data: []byte(c.Files[path]), Mode: c.Modes[path]})
	}
	id, err := r.r.git.Commit(ctx, made)
	if err != nil || c.Branch == "" {
		return id, err
	}
	r.r.pushed = r.s.now()
	return id, r.r.git.SetRef(ctx, "refs/heads/"+c.Branch, id)
}

func (r *Repository) parent(ctx context.Context, c Commit) (string, error) {
	if c.Parent != "" {
		return r.r.git.Resolve(ctx, c.Parent)
	}
	branches, err := r.r.git.Branches(ctx)
	if err != nil {
		return "", err
	}
	if id := branches[c.Branch]; id != "" {
		return id, nil
	}
	return branches[r.r.defaultBranch], nil
}

// SetBranch points a branch at a commit; an empty commit deletes it. No pull request follows.
func (r *Repository) SetBranch(ctx context.Context, branch, commit string) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.r.pushed = r.s.now()
	return r.r.git.SetRef(ctx, "refs/heads/"+branch, commit)
}

// Rename gives the repository another name. The old one redirects, over REST and git, until another repository takes it.
func (r *Repository) Rename(name string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.r.now.Store(&name)
	r.s.names[strings.ToLower(r.r.fullName())] = r.r.id
}

// Fork copies the repository to another owner. Pull requests from it are opened with PullRequestSpec.Fork.
func (r *Repository) Fork(ctx context.Context, owner string) (*Repository, error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.ToLower(owner + "/" + r.r.name())
	if _, taken := s.names[key]; taken {
		return nil, fmt.Errorf("repository %s: the name is taken", key)
	}
	f, err := s.newRepository(ctx, RepositorySpec{Owner: owner, Name: r.r.name(), Public: !r.r.private, DefaultBranch: r.r.defaultBranch})
	if err != nil {
		return nil, err
	}
	f.parent, f.clock = r.r, r.r.clock
	if err := f.git.Import(ctx, r.r.git.Dir); err != nil {
		return nil, err
	}
	s.repos[f.id], s.names[key] = f, f.id
	return &Repository{s, f}, nil
}

// Delete removes the repository. Pull requests that came from it have a head repository of null from now on, and stay
// reachable by refs/pull/N/head of their own repository.
func (r *Repository) Delete() {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.repos, r.r.id)
	maps.DeleteFunc(s.names, func(_ string, id int64) bool { return id == r.r.id })
	for _, other := range s.repos {
		for _, p := range other.pulls {
			if p.headRepo == r.r {
				p.headRepo = nil
			}
		}
	}
	if s.app != nil {
		delete(s.app.installation.repos, r.r.id)
	}
}

// PullRequest is a handle on a pull request.
type PullRequest struct {
	s *Server
	p *pull
}

// PullRequestSpec describes a pull request to be opened.
type PullRequestSpec struct {
	// Number is the next free one where it is 0.
	Number      int
	Title, Body string
	// Author is the repository's owner where it is empty.
	Author string
	// Base is a branch, by default the default branch. Head is a branch of the repository, or of Fork.
	Base, Head string
	Fork       *Repository
	Draft      bool
	Labels     []string
}

// OpenPullRequest opens a pull request and sends the webhook pull_request.opened.
func (r *Repository) OpenPullRequest(ctx context.Context, spec PullRequestSpec) (*PullRequest, error) {
	p, err := r.open(ctx, spec)
	if err != nil {
		return nil, err
	}
	handle := &PullRequest{r.s, p}
	return handle, handle.notify(ctx, "opened", p.author.login, nil)
}

func (r *Repository) open(ctx context.Context, spec PullRequestSpec) (*pull, error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if spec.Base == "" {
		spec.Base = r.r.defaultBranch
	}
	head := r.r
	if spec.Fork != nil {
		head = spec.Fork.r
	}
	if spec.Author == "" {
		spec.Author = head.owner.login
	}
	baseSHA, err := r.r.git.Resolve(ctx, "refs/heads/"+spec.Base)
	if err != nil {
		return nil, err
	}
	headSHA, err := head.git.Resolve(ctx, "refs/heads/"+spec.Head)
	if err != nil {
		return nil, err
	}
	if spec.Number == 0 {
		for spec.Number = 1; r.r.pulls[spec.Number] != nil; {
			spec.Number++
		}
	}
	if r.r.pulls[spec.Number] != nil {
		return nil, fmt.Errorf("pull request %d of %s is there already", spec.Number, r.r.fullName())
	}
	p := &pull{
		id: s.next(), number: spec.Number, repo: r.r, title: spec.Title, body: spec.Body, author: s.account(spec.Author),
		baseRef: spec.Base, baseSHA: baseSHA, headRef: spec.Head, headSHA: headSHA, headRepo: head, headOwner: head.owner,
		draft: spec.Draft, created: s.now(), updated: s.now(), labels: spec.Labels,
	}
	if err := s.publishHead(ctx, p); err != nil {
		return nil, err
	}
	r.r.pulls[p.number] = p
	return p, nil
}

// publishHead makes the head reachable by refs/pull/N/head of the base repository.
func (s *Server) publishHead(ctx context.Context, p *pull) error {
	if p.headRepo != nil && p.headRepo != p.repo {
		if err := p.repo.git.Fetch(ctx, p.headRepo.git, "refs/heads/"+p.headRef); err != nil {
			return err
		}
	}
	return p.repo.git.SetRef(ctx, fmt.Sprintf("refs/pull/%d/head", p.number), p.headSHA)
}

// Number is the pull request's number.
func (p *PullRequest) Number() int { return p.p.number }

// Repository is the repository that it was opened against.
func (p *PullRequest) Repository() *Repository { return &Repository{p.s, p.p.repo} }

// Head is the commit that the pull request's head is at.
func (p *PullRequest) Head() string {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.p.headSHA
}

// MergeBase is the commit that the pull request's diff starts at.
func (p *PullRequest) MergeBase(ctx context.Context) (string, error) {
	v := p.s.view(p.p)
	return v.repo.MergeBase(ctx, v.base, v.head)
}

// Diff is git's diff from the merge base to the head, as the diff media type has it.
func (p *PullRequest) Diff(ctx context.Context) ([]byte, error) {
	d, err := p.s.view(p.p).diff(ctx)
	if err != nil {
		return nil, err
	}
	return d.Patch, nil
}

// view is what of a pull request decides its diff; it is taken under the lock and used outside of it.
type view struct {
	repo       *git.Repository
	base, head string
	baseRef    string
	closed     bool
}

func (s *Server) view(p *pull) view {
	s.mu.Lock()
	defer s.mu.Unlock()
	return view{p.repo.git, p.baseSHA, p.headSHA, p.baseRef, p.closed}
}

func (v view) diff(ctx context.Context) (*git.Diff, error) {
	start, err := v.repo.MergeBase(ctx, v.base, v.head)
	if err != nil {
		return nil, err
	}
	return v.repo.Diff(ctx, start, v.head)
}

// ErrNotFound says that there is no such repository, pull request or comment.
var ErrNotFound = errors.New("not found")

// Repository finds a repository by its owner/name.
func (s *Server) Repository(name string) (*Repository, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[s.names[strings.ToLower(name)]]
	if r == nil {
		return nil, fmt.Errorf("repository %s: %w", name, ErrNotFound)
	}
	return &Repository{s, r}, nil
}

// Repositories are all repositories, in the order of their addition.
func (s *Server) Repositories() []*Repository {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*Repository
	for _, id := range slices.Sorted(maps.Keys(s.repos)) {
		list = append(list, &Repository{s, s.repos[id]})
	}
	return list
}

// PullRequest finds a pull request of the repository.
func (r *Repository) PullRequest(number int) (*PullRequest, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	p := r.r.pulls[number]
	if p == nil {
		return nil, fmt.Errorf("pull request %d of %s: %w", number, r.r.fullName(), ErrNotFound)
	}
	return &PullRequest{r.s, p}, nil
}

// PullRequests are all pull requests of the repository, in the order of their numbers.
func (r *Repository) PullRequests() []*PullRequest {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	var list []*PullRequest
	for _, number := range slices.Sorted(maps.Keys(r.r.pulls)) {
		list = append(list, &PullRequest{r.s, r.r.pulls[number]})
	}
	return list
}
