package e2e_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	"witan.dev/services/review/github/githubtest"
)

// TestADefaultBranchIsIndexedOnceAndForgottenWithItsInstallation pushes to a repository that was reviewed, and to one that never
// was, has the next pull request reviewed on what was made of it, and takes one repository after the other away.
func TestADefaultBranchIsIndexedOnceAndForgottenWithItsInstallation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, agreeing)
	files := func(name string, n int) map[string]string {
		return map[string]string{name + ".go": fmt.Sprintf("package shop\n\nfunc %s() int { return %d }\n\nfunc use%s() int { return %s() }\n", name, n, name, name)}
	}
	h, shop := w.openForge(githubtest.RepositorySpec{Owner: "acme", Name: "shop", Files: files("Price", 1)}, settings{})
	idle, err := h.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "acme", Name: "idle", Files: files("Price", 1)})
	require.NoError(t, err)
	n := w.serve()
	indexes := func() []*retrievalv1.Index {
		t.Helper()
		list, err := retrievalv1.NewRetrievalServiceClient(n.conn).ListIndexes(bounded(t), &retrievalv1.ListIndexesRequest{PageSize: 100})
		require.NoError(t, err)
		return list.GetIndexes()
	}
	propose := func(repo *githubtest.Repository, branch string) {
		t.Helper()
		_, err := repo.Commit(t.Context(), githubtest.Commit{Branch: branch, Files: files("Added", 2), Message: "Add"})
		require.NoError(t, err)
		h.open(repo, githubtest.PullRequestSpec{Title: "Add", Head: branch})
		n.tell(h)
	}
	propose(shop, "one")
	require.Len(t, indexes(), 2)

	for i := range 3 {
		_, err := shop.Push(t.Context(), githubtest.Commit{Branch: "main", Files: files("Price", 2+i), Message: "Change"})
		require.NoError(t, err)
	}
	_, err = idle.Push(t.Context(), githubtest.Commit{Branch: "main", Files: files("Price", 2), Message: "Change"})
	require.NoError(t, err)
	n.tell(h)
	made := indexes()
	require.Len(t, made, 3, "of what the branch is after the pushes, and of no other repository")
	tip := made[0]
	require.NotNil(t, tip.GetActivateTime())
	require.EqualValues(t, 1, tip.GetCounts().GetFiles())

	propose(shop, "two")
	require.Len(t, indexes(), 4, "the tip was not indexed again")
	require.Equal(t, tip.GetName(), n.reviewed().GetBaseIndex())
	propose(idle, "one")
	require.Len(t, indexes(), 6)
	require.NoError(t, shop.NotifyInstalled(t.Context(), false))
	n.tell(h)
	left := indexes()
	require.Len(t, left, 2)
	require.False(t, slices.ContainsFunc(left, func(i *retrievalv1.Index) bool { return i.GetRepository() == tip.GetRepository() }))
	require.NoError(t, h.NotifyInstallation(t.Context(), "deleted"))
	n.tell(h)
	require.Empty(t, indexes())
}
