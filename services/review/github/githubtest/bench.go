package githubtest

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// BenchPullRequest is one pull request of the shared benchmark (aacr.jsonl), with the texts of its changed files.
type BenchPullRequest struct {
	ID       string      `json:"id"`
	Repo     string      `json:"repo"`
	Language string      `json:"language"`
	Title    string      `json:"title"`
	URL      string      `json:"pr_url"`
	Files    []BenchFile `json:"files"`
	Diff     string      `json:"diff"`
	Golden   []struct {
		Path      string `json:"path"`
		Line      int    `json:"line"`
		StartLine int    `json:"start_line"`
		Side      string `json:"side"`
		Comment   string `json:"comment"`
		InHunk    bool   `json:"in_diff_hunk"`
	} `json:"golden"`

	// Base and Head are the texts of the changed files by path.
	Base, Head map[string]string `json:"-"`
}

// BenchFile is a changed file of such a pull request.
type BenchFile struct {
	Path    string `json:"path"`
	OldPath string `json:"old_path"`
	Status  string `json:"status"`
	OldMode string `json:"old_mode"`
	NewMode string `json:"new_mode"`
}

// Number is the pull request's number at GitHub.
func (b *BenchPullRequest) Number() int {
	n, err := strconv.Atoi(b.URL[strings.LastIndexByte(b.URL, '/')+1:])
	if err != nil {
		return 0
	}
	return n
}

// LoadBench reads aacr.jsonl and aacr.files.jsonl.gz from the folder dir, in the order of repositories and numbers.
func LoadBench(dir string) ([]*BenchPullRequest, error) {
	var list []*BenchPullRequest
	byID := map[string]*BenchPullRequest{}
	err := rows(filepath.Join(dir, "aacr.jsonl"), func(d *json.Decoder) error {
		b := &BenchPullRequest{Base: map[string]string{}, Head: map[string]string{}}
		if err := d.Decode(b); err != nil {
			return err
		}
		if b.Number() == 0 || strings.Count(b.Repo, "/") != 1 {
			return fmt.Errorf("row %s names no pull request", b.ID)
		}
		list, byID[b.ID] = append(list, b), b
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = rows(filepath.Join(dir, "aacr.files.jsonl.gz"), func(d *json.Decoder) error {
		var f struct{ ID, Side, Path, Text string }
		if err := d.Decode(&f); err != nil {
			return err
		}
		b := byID[f.ID]
		switch {
		case b == nil:
			return fmt.Errorf("file %s belongs to no pull request: %s", f.Path, f.ID)
		case f.Side == "base":
			b.Base[f.Path] = f.Text
		default:
			b.Head[f.Path] = f.Text
		}
		return nil
	})
	slices.SortFunc(list, func(a, b *BenchPullRequest) int {
		return cmp.Or(strings.Compare(a.Repo, b.Repo), cmp.Compare(a.Number(), b.Number()))
	})
	return list, err
}

func rows(path string, row func(*json.Decoder) error) error {
	f, err := os.Open(path) //nolint:gosec // the caller's own folder
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	var r io.Reader = bufio.NewReader(f)
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(r); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	d := json.NewDecoder(r)
	for n := 1; ; n++ {
		if err := row(d); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: row %d: %w", path, n, err)
		}
	}
}

// AddBench adds repositories for pull requests of the benchmark and opens each under its own number. A repository has
// its changed files only; the base of each pull request is a commit of its main branch, the head a branch of its own.
// The diffs are those of the benchmark.
func (s *Server) AddBench(ctx context.Context, list []*BenchPullRequest) ([]*PullRequest, error) {
	repos := map[string]*Repository{}
	var opened []*PullRequest
	for _, b := range list {
		owner, name, _ := strings.Cut(b.Repo, "/")
		r := repos[b.Repo]
		if r == nil {
			var err error
			if r, err = s.AddRepository(ctx, RepositorySpec{Owner: owner, Name: name, Organization: true}); err != nil {
				return nil, err
			}
			repos[b.Repo] = r
		}
		p, err := r.addBench(ctx, b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.ID, err)
		}
		opened = append(opened, p)
	}
	return opened, nil
}

func (r *Repository) addBench(ctx context.Context, b *BenchPullRequest) (*PullRequest, error) {
	modes := map[string]string{}
	var absent, gone []string
	for _, f := range b.Files {
		modes[f.Path] = f.NewMode
		if f.OldMode != "000000" {
			modes[f.Path] = f.OldMode
		}
		if _, there := b.Base[f.Path]; !there {
			absent = append(absent, f.Path)
		}
		if _, there := b.Head[f.Path]; !there {
			gone = append(gone, f.Path)
		}
	}
	base := Commit{Branch: r.r.defaultBranch, Message: "Before #" + strconv.Itoa(b.Number()), Files: b.Base, Modes: modes, Delete: absent}
	if _, err := r.Commit(ctx, base); err != nil {
		return nil, err
	}
	for _, f := range b.Files {
		modes[f.Path] = f.NewMode
	}
	branch := "pr-" + strconv.Itoa(b.Number())
	if _, err := r.Commit(ctx, Commit{Branch: branch, Message: b.Title, Files: b.Head, Modes: modes, Delete: gone, Author: "contributor"}); err != nil {
		return nil, err
	}
	return r.OpenPullRequest(ctx, PullRequestSpec{Number: b.Number(), Title: b.Title, Author: "contributor", Head: branch})
}
