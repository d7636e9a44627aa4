package retrieval_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/retrieval"
)

// oracleModules are modules of our own go.mod whose packages import each other, and a part of this one.
func oracleModules() []string {
	return []string{
		"github.com/pressly/goose/v3/...", "github.com/spf13/cobra", "github.com/knadh/koanf/...", "github.com/tmaxmax/go-sse/...",
		"github.com/bluekeyes/go-gitdiff/...", "github.com/go-enry/go-enry/v2/...", "witan.dev/services/retrieval/...", "witan.dev/internal/job/...",
	}
}

// listed is a package as the go command describes it.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool
	Module                  *struct{ Path, Dir string }
	Error                   *struct{ Err string }
}

// place is a line of a file of the repository under test.
type place struct {
	path string
	line int
}

// use is a name on a line.
type use struct {
	place

	name string
}

// TestEdgesAgreeWithGoTypes compares the edges of real modules with what the type checker says. Goal: at least 95 % of
// the edges of each grade that findings rest on are right.
func TestEdgesAgreeWithGoTypes(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	s := setup(t)
	dir := repository(t, o.files)
	index := s.index(t, dir, head(t, dir))
	files, err := s.store.Files(t.Context(), retrieval.ID(strings.TrimPrefix(index.GetName(), "indexes/")))
	require.NoError(t, err)

	right, wrong := map[retrieval.Grade]int{}, map[retrieval.Grade]int{}
	byID := map[int64]retrieval.File{}
	definitions := map[int64][]retrieval.Definition{}
	for _, f := range files {
		byID[f.ID] = f
		definitions[f.ID], err = s.store.Definitions(t.Context(), f.Parse)
		require.NoError(t, err)
	}
	found := map[use]bool{}
	for _, f := range files {
		if f.Language != "go" {
			continue
		}
		references, err := s.store.References(t.Context(), f.Parse)
		require.NoError(t, err)
		edges, err := s.store.Edges(t.Context(), retrieval.ID(strings.TrimPrefix(index.GetName(), "indexes/")), f.ID)
		require.NoError(t, err)
		for _, e := range edges.Outgoing {
			r, d := references[e.From], definitions[e.File][e.To]
			at := use{place{f.Path, r.Line}, r.Name}
			target := place{byID[e.File].Path, d.NameLine}
			if o.uses[at][target] {
				right[e.Grade]++
				if e.Grade > retrieval.GradeAmbiguous {
					found[at] = true
				}
				continue
			}
			wrong[e.Grade]++
			if e.Grade > retrieval.GradeAmbiguous && wrong[e.Grade] <= 20 {
				t.Logf("%s %s:%d %s.%s (%v, local %t) is not %s:%d", e.Grade, f.Path, r.Line, r.Qualifier, r.Name, r.Usage, r.QualifierLocal, target.path, target.line)
			}
		}
	}
	all := 0
	for _, g := range []retrieval.Grade{retrieval.GradeSameFile, retrieval.GradeImported, retrieval.GradeUnique} {
		precision := float64(right[g]) / float64(right[g]+wrong[g])
		t.Logf("%s: %d right, %d wrong: precision %.4f", g, right[g], wrong[g], precision)
		require.Greater(t, precision, 0.95, g.String())
		all += right[g] + wrong[g]
	}
	t.Logf("ambiguous: %d right of %d", right[retrieval.GradeAmbiguous], right[retrieval.GradeAmbiguous]+wrong[retrieval.GradeAmbiguous])
	t.Logf("recall of graded edges: %.4f of %d uses", float64(len(found))/float64(len(o.uses)), len(o.uses))
	require.Greater(t, all, 5000)
}

// oracle is what the type checker says.
type oracle struct {
	files map[string]string
	// uses: which definitions a name on a line means.
	uses map[use]map[place]bool

	fset    *token.FileSet
	exports map[string]string
	paths   map[string]string // file on disk to path in the repository
}

func newOracle(t *testing.T) *oracle {
	t.Helper()
	o := &oracle{
		files: map[string]string{}, uses: map[use]map[place]bool{}, fset: token.NewFileSet(),
		exports: map[string]string{}, paths: map[string]string{},
	}
	var packages []listed
	for _, p := range o.list(t) {
		o.exports[p.ImportPath] = p.Export
		if !p.DepOnly && p.Error == nil && len(p.GoFiles) > 0 {
			packages = append(packages, p)
			o.copy(t, p)
		}
	}
	require.NotEmpty(t, packages)
	for _, p := range packages {
		o.check(t, p)
	}
	return o
}

func (o *oracle) list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-e", "-trimpath=false", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,DepOnly,Module,Error"}, oracleModules()...)...) //nolint:gosec // fixed arguments
	cmd.Dir = own(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else {
			require.NoError(t, err)
		}
		packages = append(packages, p)
	}
}

// copy puts a package into the repository, below a folder named for its module.
func (o *oracle) copy(t *testing.T, p listed) {
	t.Helper()
	folder := strings.ReplaceAll(p.Module.Path, "/", "_")
	o.files[folder+"/go.mod"] = "module " + p.Module.Path + "\n"
	for _, name := range p.GoFiles {
		disk := filepath.Join(p.Dir, name)
		relative, err := filepath.Rel(p.Module.Dir, disk)
		require.NoError(t, err)
		content, err := os.ReadFile(disk) //nolint:gosec // a source that the go command named
		require.NoError(t, err)
		if generated(content) {
			continue
		}
		in := folder + "/" + filepath.ToSlash(relative)
		o.paths[disk] = in
		o.files[in] = string(content)
	}
}

// generated files are left out of indexes.
func generated(content []byte) bool {
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "// Code generated ") || strings.HasPrefix(lines.Text(), "// CODE GENERATED") {
			return true
		}
	}
	return false
}

// check type-checks a package; what it cannot resolve has no uses.
func (o *oracle) check(t *testing.T, p listed) {
	t.Helper()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(o.fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, f)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	lookup := func(path string) (io.ReadCloser, error) {
		if o.exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(o.exports[path])
	}
	config := types.Config{Importer: importer.ForCompiler(o.fset, "gc", lookup), Error: func(error) {}}
	_, _ = config.Check(p.ImportPath, o.fset, files, info) // errors are in packages that are being changed; the rest holds
	for ident, object := range info.Uses {
		o.note(ident, object)
	}
}

func (o *oracle) note(ident *ast.Ident, object types.Object) {
	if v, isVar := object.(*types.Var); isVar {
		object = v.Origin()
	}
	if f, isFunc := object.(*types.Func); isFunc {
		object = f.Origin()
	}
	from, to := o.fset.Position(ident.Pos()), o.fset.Position(object.Pos())
	path, inside := o.paths[to.Filename]
	if !inside || local(object) {
		return
	}
	at := use{place{o.paths[from.Filename], from.Line}, ident.Name}
	if o.uses[at] == nil {
		o.uses[at] = map[place]bool{}
	}
	o.uses[at][place{path, to.Line}] = true
}

// local reports whether an object is bound inside of a function.
func local(object types.Object) bool {
	if v, isVar := object.(*types.Var); isVar && v.IsField() {
		return false
	}
	if f, isFunc := object.(*types.Func); isFunc && f.Signature().Recv() != nil {
		return false
	}
	if _, isPackage := object.(*types.PkgName); isPackage {
		return true
	}
	return object.Parent() == nil || object.Pkg() == nil || object.Parent() != object.Pkg().Scope()
}
