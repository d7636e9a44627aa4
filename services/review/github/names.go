package github

import (
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"witan.dev/services/review"
)

const (
	maxOwner  = 100
	maxName   = 100
	maxLogin  = 100
	maxBranch = 512
	maxPath   = 4096
)

// word reports whether s consists of letters, digits and the further characters. What passes needs no escaping in a path.
func word(s, further string, limit int) bool {
	if s == "" || len(s) > limit || s == "." || s == ".." {
		return false
	}
	for _, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && !strings.ContainsRune(further, r) {
			return false
		}
	}
	return true
}

// validRepo reports whether the names can be GitHub's. Without that check they could lead a request to another endpoint:
// the library puts them into the path as they are.
func validRepo(r review.Repo) bool {
	return word(r.Owner, "-_", maxOwner) && word(r.Name, "-_.", maxName)
}

func validLogin(s string) bool {
	return word(strings.TrimSuffix(s, "[bot]"), "-_", maxLogin)
}

// escapeRef escapes a branch for the path of a request; false where it can be none.
func escapeRef(branch string) (string, bool) {
	if len(branch) > maxBranch || strings.ContainsAny(branch, "\x00\n\r ~^:?*[\\") {
		return "", false
	}
	return escapePath(branch)
}

// escapePath escapes a relative path of a repository; false where it is none.
func escapePath(p string) (string, bool) {
	if p == "" || len(p) > maxPath || path.Clean(p) != p || p[0] == '/' || p == ".." || strings.HasPrefix(p, "../") || p == "." {
		return "", false
	}
	segments := strings.Split(p, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return strings.Join(segments, "/"), true
}

// line makes a text of at most limit bytes that stands on one line out of a hostile one.
func line(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return cut(s, limit)
}

// cut shortens a text to at most limit bytes, at a character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
