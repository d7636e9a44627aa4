package auth_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/auth"
	"witan.dev/internal/secret"
)

func TestFolderKnowsItsToken(t *testing.T) {
	t.Parallel()
	folder := auth.NewFolder(secret.New("open"))
	anonymous, err := folder.Authenticate(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, auth.Principal{Owner: auth.LocalOwner}, anonymous)
	for _, header := range []string{"Bearer open", "bearer open"} {
		holder, err := folder.Authenticate(t.Context(), header)
		require.NoError(t, err)
		require.Equal(t, auth.Principal{Owner: auth.LocalOwner, Trusted: true}, holder)
	}
	for _, header := range []string{"Bearer", "Bearer ", "Bearer ope", "Bearer openn", "Basic open", "open", "Bearer  open", " "} {
		_, err := folder.Authenticate(t.Context(), header)
		require.ErrorIs(t, err, auth.ErrTokenInvalid, "%q", header)
	}
}

func TestWithoutATokenNobodyIsTrusted(t *testing.T) {
	t.Parallel()
	_, err := auth.NewFolder(secret.Text{}).Authenticate(t.Context(), "Bearer ")
	require.ErrorIs(t, err, auth.ErrTokenInvalid)
}

func TestPathsNeedTrust(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, auth.RequireTrusted(t.Context()), auth.ErrLocalSourceRefused)
	require.Empty(t, auth.Owner(t.Context()))
	ctx := auth.With(t.Context(), auth.Principal{Owner: "a"})
	require.ErrorIs(t, auth.RequireTrusted(ctx), auth.ErrLocalSourceRefused)
	require.Equal(t, "a", auth.Owner(ctx))
	require.NoError(t, auth.RequireTrusted(auth.With(ctx, auth.Principal{Owner: "a", Trusted: true})))
}
