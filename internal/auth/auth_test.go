package auth_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/auth"
	"witan.dev/internal/secret"
)

const (
	folderWord  = "open"
	serviceWord = "0123456789abcdef0123456789abcdef"
)

func bearer(token string) auth.Credentials { return auth.Credentials{Authorization: "Bearer " + token} }

func as(owner string, c auth.Credentials) auth.Credentials {
	c.Owner = owner
	return c
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

func entry(t *testing.T, owner, text string) auth.Token {
	t.Helper()
	token, err := auth.NewToken(owner, secret.New(text))
	require.NoError(t, err)
	return token
}

// cluster is a process with all kinds of tokens, on a clock that the test moves.
type cluster struct {
	*auth.Authenticator

	now               time.Time
	log               bytes.Buffer
	tokens, shared    string
	serviceToken      *auth.ServiceToken
	ada, ben, folders auth.Credentials
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{
		now: time.Now(), tokens: filepath.Join(t.TempDir(), "tokens"), shared: filepath.Join(t.TempDir(), "shared"),
		ada: bearer("adas"), ben: bearer("bens"), folders: bearer(folderWord),
	}
	write(t, c.tokens, "# people\n"+entry(t, "ada", "adas").String()+" # since today\n\n")
	write(t, c.shared, serviceWord+"\n")
	logger := slog.New(slog.NewTextHandler(&c.log, nil))
	var err error
	c.serviceToken, err = auth.OpenServiceToken(c.shared, logger)
	require.NoError(t, err)
	c.Authenticator, err = auth.New(auth.Params{
		Folder: secret.New(folderWord), TokensFile: c.tokens, Tokens: []auth.Token{entry(t, "ben", "bens")},
		Service: c.serviceToken, Now: func() time.Time { return c.now }, Logger: logger,
	})
	require.NoError(t, err)
	return c
}

func TestFolderKnowsItsToken(t *testing.T) {
	t.Parallel()
	folder := auth.NewFolder(secret.New(folderWord))
	require.False(t, folder.Required())
	anonymous, err := folder.Authenticate(t.Context(), auth.Credentials{Owner: "ada"})
	require.NoError(t, err)
	require.Equal(t, auth.Principal{Owner: auth.LocalOwner, Open: true}, anonymous, "who shows nothing acts for nobody else")
	for _, header := range []string{"Bearer open", "bearer open"} {
		holder, err := folder.Authenticate(t.Context(), auth.Credentials{Authorization: header})
		require.NoError(t, err)
		require.Equal(t, auth.Principal{Owner: auth.LocalOwner, Trusted: true}, holder)
	}
	for _, header := range []string{"Bearer", "Bearer ", "Bearer ope", "Bearer openn", "Basic open", "open", "Bearer  open", " "} {
		_, err := folder.Authenticate(t.Context(), auth.Credentials{Authorization: header})
		require.ErrorIs(t, err, auth.ErrTokenInvalid, "%q", header)
	}
}

func TestWithoutATokenNobodyIsTrusted(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"Bearer ", "Bearer x"} {
		_, err := auth.NewFolder(secret.Text{}).Authenticate(t.Context(), auth.Credentials{Authorization: header})
		require.ErrorIs(t, err, auth.ErrTokenInvalid)
	}
}

func TestEachTokenStandsForItsOwner(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	require.True(t, c.Required())
	for name, want := range map[string]struct {
		shown     auth.Credentials
		principal auth.Principal
		err       error
	}{
		"a listed token":                      {c.ada, auth.Principal{Owner: "ada"}, nil},
		"a configured token":                  {c.ben, auth.Principal{Owner: "ben"}, nil},
		"a user who names another":            {as("ben", c.ada), auth.Principal{Owner: "ada"}, nil},
		"a user who names nonsense":           {as("../..", c.ada), auth.Principal{Owner: "ada"}, nil},
		"the folder's":                        {c.folders, auth.Principal{Owner: auth.LocalOwner, Trusted: true}, nil},
		"the folder's, for an owner":          {as("ada", c.folders), auth.Principal{Owner: "ada", Trusted: true}, nil},
		"the folder's, for nonsense":          {as("A", c.folders), auth.Principal{}, auth.ErrOwnerInvalid},
		"a service, for an owner":             {as("ada", bearer(serviceWord)), auth.Principal{Owner: "ada", Service: true}, nil},
		"a service, for nobody":               {bearer(serviceWord), auth.Principal{}, auth.ErrOwnerInvalid},
		"a service, for nonsense":             {as("a b", bearer(serviceWord)), auth.Principal{}, auth.ErrOwnerInvalid},
		"nothing":                             {auth.Credentials{}, auth.Principal{}, auth.ErrTokenMissing},
		"nothing, for an owner":               {as("ada", auth.Credentials{}), auth.Principal{}, auth.ErrTokenMissing},
		"an unknown token":                    {bearer("cyds"), auth.Principal{}, auth.ErrTokenInvalid},
		"an unknown token, for an owner":      {as("ada", bearer("cyds")), auth.Principal{}, auth.ErrTokenInvalid},
		"the hash itself":                     {bearer(strings.Fields(entry(t, "ada", "adas").String())[1]), auth.Principal{}, auth.ErrTokenInvalid},
		"another scheme":                      {auth.Credentials{Authorization: "Basic adas"}, auth.Principal{}, auth.ErrTokenInvalid},
		"a bare token":                        {auth.Credentials{Authorization: "adas"}, auth.Principal{}, auth.ErrTokenInvalid},
		"a token with something behind it":    {bearer("adas "), auth.Principal{}, auth.ErrTokenInvalid},
		"a token with something in front":     {bearer(" adas"), auth.Principal{}, auth.ErrTokenInvalid},
		"an empty token":                      {bearer(""), auth.Principal{}, auth.ErrTokenInvalid},
		"a service's token with another case": {as("ada", bearer(strings.ToUpper(serviceWord))), auth.Principal{}, auth.ErrTokenInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			principal, err := c.Authenticate(t.Context(), want.shown)
			require.ErrorIs(t, err, want.err)
			require.Equal(t, want.principal, principal)
		})
	}
}

func TestTokensAreExchangedWithoutARestart(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	known := func(shown auth.Credentials) bool {
		c.now = c.now.Add(time.Second)
		_, err := c.Authenticate(t.Context(), shown)
		if err != nil {
			require.ErrorIs(t, err, auth.ErrTokenInvalid)
		}
		return err == nil
	}
	require.True(t, known(c.ada))
	write(t, c.tokens, entry(t, "ada", "adas").String()+"\n"+entry(t, "ada", "adas-next").String()+"\n")
	require.True(t, known(c.ada))
	require.True(t, known(bearer("adas-next")))
	write(t, c.tokens, entry(t, "ada", "adas-next").String()+"\n")
	require.False(t, known(c.ada))
	require.True(t, known(bearer("adas-next")))
	require.True(t, known(c.ben), "those of the configuration stay")

	write(t, c.tokens, "ada not-a-hash\n")
	require.True(t, known(bearer("adas-next")), "a broken file leaves the earlier tokens")
	require.Contains(t, c.log.String(), "line 1")
	require.NoError(t, os.Remove(c.tokens))
	require.True(t, known(bearer("adas-next")))
	write(t, c.tokens, "")
	require.False(t, known(bearer("adas-next")))
	_, err := c.Authenticate(t.Context(), auth.Credentials{})
	require.ErrorIs(t, err, auth.ErrTokenMissing, "an empty list does not open the door")
}

func TestTheServiceTokenIsExchangedWithItsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shared")
	for _, text := range []string{"", "# only words\n", "short\n", strings.Repeat(serviceWord+"\n", 9)} {
		write(t, path, text)
		_, err := auth.OpenServiceToken(path, slog.New(slog.DiscardHandler))
		require.Error(t, err, "%q", text)
	}
	next := strings.Repeat("n", 32)
	write(t, path, next+" # from now on\n"+serviceWord+"\n")
	service, err := auth.OpenServiceToken(path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Equal(t, next, service.Current(t.Context()).Reveal())
	a, err := auth.New(auth.Params{Service: service})
	require.NoError(t, err)
	for _, word := range []string{next, serviceWord} {
		_, err := a.Authenticate(t.Context(), as("ada", bearer(word)))
		require.NoError(t, err)
	}
}

func TestListsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("ab", 32)
	for name, list := range map[string]string{
		"one word":             "ada\n",
		"three words":          "ada " + hash + " x\n",
		"a plain token":        "ada sesame\n",
		"a short hash":         "ada abcd\n",
		"a foreign owner":      "Ada " + hash + "\n",
		"two owners, one hash": "ada " + hash + "\nben " + hash + "\n",
		"too many":             strings.Repeat("ada "+hash+"\n", 10_001),
		"an endless line":      strings.Repeat("x", 1<<17),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := auth.ParseTokens([]byte(list))
			require.Error(t, err)
			require.NotContains(t, err.Error(), "sesame", "what may be a token is not repeated")
		})
	}
	tokens, err := auth.ParseTokens([]byte("\t# nothing\r\nada " + strings.ToUpper(hash) + "\r\nada " + strings.Repeat("cd", 32)))
	require.NoError(t, err)
	require.Len(t, tokens, 2)
	_, err = auth.New(auth.Params{TokensFile: filepath.Join(t.TempDir(), "none"), Logger: slog.New(slog.DiscardHandler)})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestNewTokensAreLongAndNeverShow(t *testing.T) {
	t.Parallel()
	first, second := auth.NewSecret(), auth.NewSecret()
	require.NotEqual(t, first.Reveal(), second.Reveal())
	require.GreaterOrEqual(t, len(first.Reveal()), 52)
	made, err := auth.NewToken("ada", first)
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", made, made, first), first.Reveal())
	read, err := auth.ParseTokens([]byte(made.String()))
	require.NoError(t, err)
	require.Equal(t, []auth.Token{made}, read)
	_, err = auth.NewToken("Ada", first)
	require.Error(t, err)
}

func TestOwners(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "0", "ada.b-c_9", strings.Repeat("a", 64), auth.LocalOwner} {
		require.True(t, auth.IsOwner(name), name)
	}
	for _, name := range []string{"", ".", "-a", "_a", "A", "a b", "a/b", "ä", "a\x00", "a\n", "?", strings.Repeat("a", 65)} {
		require.False(t, auth.IsOwner(name), "%q", name)
	}
}

func TestPathsNeedTrust(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, auth.RequireTrusted(t.Context()), auth.ErrLocalSourceRefused)
	require.Empty(t, auth.Owner(t.Context()))
	ctx := auth.With(t.Context(), auth.Principal{Owner: "a", Service: true})
	require.ErrorIs(t, auth.RequireTrusted(ctx), auth.ErrLocalSourceRefused)
	require.Equal(t, "a", auth.Owner(ctx))
	require.NoError(t, auth.RequireTrusted(auth.With(ctx, auth.Principal{Owner: "a", Trusted: true})))
}

func FuzzParseTokens(f *testing.F) {
	f.Add("ada " + strings.Repeat("ab", 32))
	f.Add("# x\n\n")
	f.Fuzz(func(t *testing.T, list string) {
		tokens, err := auth.ParseTokens([]byte(list))
		if err != nil {
			return
		}
		var again strings.Builder
		for _, token := range tokens {
			again.WriteString(token.String() + "\n")
		}
		read, err := auth.ParseTokens([]byte(again.String()))
		require.NoError(t, err)
		require.Equal(t, tokens, read)
	})
}
