package finding

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
)

// fingerprintBytes is 128 bits of the hash: enough that two of a subject's findings never meet by chance.
const fingerprintBytes = 16

// Key is what a fingerprint is made from. Line numbers, wording, severity and source are no part of it.
type Key struct {
	// Path is the new path, the old one for a finding on the Left of a deleted file.
	Path string
	// Symbol is the qualified name with its kind; empty means code outside definitions, which takes the file as symbol.
	Symbol   string
	Category Category
	// Code is the quoted lines as they stand in the file. Comments and blanks do not matter.
	Code string
}

// Fingerprint returns "v1:" and 32 hex digits over the key's path, symbol, category and code tokens. Code that holds
// nothing but comments counts with its comments, so that two such findings differ.
func Fingerprint(k Key) string {
	h := sha256.New()
	write := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	write("witan/v1")
	write(k.Path)
	write(k.Symbol)
	write(string(k.Category))
	for _, token := range fingerprintTokens(k.Path, k.Code) {
		write(token)
	}
	return "v1:" + hex.EncodeToString(h.Sum(nil)[:fingerprintBytes])
}

func fingerprintTokens(path, code string) []string {
	syntax := SyntaxOf(path)
	if tokens := syntax.Tokens(code); len(tokens) > 0 {
		return tokens
	}
	return Syntax{}.Tokens(code)
}

// Number tells apart findings that have one fingerprint but stand at different places: from the second place on, by
// side and line, the fingerprint gets an ordinal ("v1:….2"). Findings at one place keep one fingerprint: they are the
// same finding and the caller merges them. The slice keeps its order.
func Number(findings []Finding) {
	groups := make(map[string][]int)
	for i := range findings {
		groups[findings[i].Fingerprint] = append(groups[findings[i].Fingerprint], i)
	}
	for _, group := range groups {
		slices.SortStableFunc(group, func(a, b int) int { return comparePlaces(&findings[a], &findings[b]) })
		ordinal := 1
		for at := 1; at < len(group); at++ {
			if comparePlaces(&findings[group[at-1]], &findings[group[at]]) != 0 {
				ordinal++
			}
			if ordinal > 1 {
				findings[group[at]].Fingerprint += "." + strconv.Itoa(ordinal)
			}
		}
	}
}

func comparePlaces(a, b *Finding) int {
	return cmp.Or(
		cmp.Compare(a.Location.Path, b.Location.Path),
		cmp.Compare(b.Location.Side, a.Location.Side),
		cmp.Compare(a.Location.StartLine, b.Location.StartLine),
	)
}
