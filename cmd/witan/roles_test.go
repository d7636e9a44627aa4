package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/config"
	"witan.dev/internal/secret"
)

func TestAPartOfWitanNeedsADatabaseAndThePeersThatItCalls(t *testing.T) {
	t.Parallel()
	known := config.Config{Database: secret.New("postgres://x/y"), Services: map[string][]string{
		serviceParser: {"a:1"}, serviceRetrieval: {"a:2"}, serviceCouncil: {"a:3"}, serviceJobs: {"a:4"}, serviceReview: {"a:5"}, serviceIngest: {"a:6"},
	}}
	for name, c := range map[string]struct {
		roles   roles
		config  config.Config
		missing []string
	}{
		"everything embedded":       {everything(), config.Config{}, nil},
		"everything on a database":  {everything(), config.Config{Database: known.Database}, nil},
		"the parser alone":          {roles{services: []string{serviceParser}}, config.Config{}, nil},
		"the gateway alone":         {roles{services: []string{serviceGateway}}, known, nil},
		"the gateway without peers": {roles{services: []string{serviceGateway, serviceParser}}, config.Config{}, []string{"services.council", "services.jobs", "services.ingest", "services.review", "services.retrieval"}},
		"review without a database": {roles{services: []string{serviceReview}}, config.Config{Services: known.Services}, []string{"database:"}},
		"a worker for reviews":      {roles{queues: []string{"review"}}, known, nil},
		"a worker without peers":    {roles{queues: []string{"review", "index"}}, config.Config{Database: known.Database}, []string{"services.parser: needed by the queue review, the queue index", "services.council", "services.jobs", "services.retrieval"}},
		"a worker for councils":     {roles{queues: []string{"council"}}, config.Config{Database: known.Database}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.roles.check(c.config)
			if len(c.missing) == 0 {
				require.NoError(t, err)
				return
			}
			for _, m := range c.missing {
				require.ErrorContains(t, err, m)
			}
		})
	}
}

func TestListsOfFlagsAreReadInTheOrderOfTheWhole(t *testing.T) {
	t.Parallel()
	chosen, err := choose("queues", []string{"index", "review"}, queues())
	require.NoError(t, err)
	require.Equal(t, []string{"review", "index"}, chosen)
	chosen, err = choose("queues", nil, queues())
	require.NoError(t, err)
	require.Equal(t, queues(), chosen)
	_, err = choose("queues", []string{"intake"}, queues())
	require.ErrorContains(t, err, `"intake" is none of review, council, index`)
}
