package graphql_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review/github/githubtest/graphql"
)

// root has a leaf, an object and a list, the same again inside.
func root(depth int) *graphql.Object {
	o := &graphql.Object{Type: "Query", Fields: map[string]graphql.Resolver{
		"leaf": graphql.Value("x"), "none": graphql.Value(nil),
		"echo": func(a graphql.Arguments) (any, error) {
			n, _, err := a.Int("n")
			return n, err
		},
	}}
	if depth > 0 {
		inner := root(depth - 1)
		o.Fields["one"], o.Fields["many"] = graphql.Value(inner), graphql.Value([]*graphql.Object{inner, inner})
	}
	return o
}

func TestRun(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		`{ leaf }`: `{"leaf":"x"}`,
		`query Q($n: Int!) { again: echo(n: $n) one { __typename leaf } # a comment
		}`: `{"again":3,"one":{"__typename":"Query","leaf":"x"}}`,
		`{ many { none, ... on Query { leaf } ... on Other { leaf } } }`: `{"many":[{"leaf":"x","none":null},{"leaf":"x","none":null}]}`,
		`{ echo(n: -4) }`: `{"echo":-4}`,
	} {
		o, err := graphql.Parse(document)
		require.NoError(t, err, document)
		variables := map[string]any{}
		for _, v := range o.Variables {
			variables[v.Name] = json.Number("3")
		}
		got, err := o.Run(root(1), variables)
		require.NoError(t, err, document)
		encoded, err := json.Marshal(got)
		require.NoError(t, err)
		require.JSONEq(t, want, string(encoded), document)
	}
	o, err := graphql.Parse(`query($n: Int) { echo(n: $n) }`)
	require.NoError(t, err)
	for name, variables := range map[string]map[string]any{"undeclared": {"m": 1}, "another type": {"n": "three"}, "a fraction": {"n": json.Number("1.5")}} {
		_, err := o.Run(root(0), variables)
		require.Error(t, err, name)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{ leaf }`, `query Q($n: Int!, $l: [String!]!) { a: echo(n: $n) one { many { leaf } } }`, `mutation { x(input: {a: "b\"", c: true, d: null, e: E}) { ... on T { y } } }`,
		`{`, `{ a(`, `{ "`, `query($`, `{{{{{{{{`, `# c`, `{ a ... on }`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, document string) {
		if o, err := graphql.Parse(document); err == nil {
			_, _ = o.Run(root(3), nil)
		}
	})
}
