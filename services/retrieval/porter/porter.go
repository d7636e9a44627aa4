// Package porter cuts the endings of English words: the algorithm of M. F. Porter, An algorithm for suffix stripping
// (Program 14, 1980), with the departures of the tokenizer "porter" of SQLite's FTS5, so that an index that is filled by
// Go finds what one of SQLite finds.
package porter

import "slices"

// maxWord is the longest word that has an ending, as in FTS5; longer ones, and those of less than three bytes, stay as
// they are.
const maxWord = 64

// Stem returns the stem of a word in lower case. Bytes other than a to z count as consonants.
func Stem(word string) string {
	if len(word) < 3 || len(word) > maxWord {
		return word
	}
	w := stemmer(word)
	w.plural()
	w.past()
	if w.ends("y") && w[:len(w)-1].hasVowel() {
		w[len(w)-1] = 'i'
	}
	w.replace(doubles(), 0)
	w.replace(singles(), 0)
	w.drop()
	w.lastE()
	return string(w)
}

type stemmer []byte

// suffix is an ending and what takes its place.
type suffix struct{ from, to string }

// vowel reports whether the letter at i is a vowel: a y is one after a consonant.
func (w stemmer) vowel(i int) bool {
	switch w[i] {
	case 'a', 'e', 'i', 'o', 'u':
		return true
	case 'y':
		return i > 0 && !w.vowel(i-1)
	}
	return false
}

func (w stemmer) hasVowel() bool {
	for i := range w {
		if w.vowel(i) {
			return true
		}
	}
	return false
}

// measure counts the sequences of vowels that a consonant follows.
func (w stemmer) measure() int {
	n, after := 0, false
	for i := range w {
		v := w.vowel(i)
		if after && !v {
			n++
		}
		after = v
	}
	return n
}

func (w stemmer) ends(suffix string) bool {
	return len(w) > len(suffix) && string(w[len(w)-len(suffix):]) == suffix
}

// doubled reports whether the word ends with two of the same consonant.
func (w stemmer) doubled() bool {
	n := len(w)
	return n >= 2 && w[n-1] == w[n-2] && !w.vowel(n-1)
}

// short reports whether the word ends with consonant, vowel, consonant, the last not w, x or y.
func (w stemmer) short() bool {
	n := len(w)
	if n < 3 {
		return false
	}
	last := w[n-1]
	return !w.vowel(n-3) && w.vowel(n-2) && !w.vowel(n-1) && last != 'w' && last != 'x' && last != 'y'
}

// plural is step 1a.
func (w *stemmer) plural() {
	switch {
	case w.ends("sses"), w.ends("ies"):
		*w = (*w)[:len(*w)-2]
	case w.ends("s") && !w.ends("ss"):
		*w = (*w)[:len(*w)-1]
	}
}

// past is step 1b.
func (w *stemmer) past() {
	if w.ends("eed") {
		if stem := (*w)[:len(*w)-3]; stem.measure() > 0 {
			*w = append(stem, "ee"...)
		}
		return
	}
	var stem stemmer
	switch {
	case w.ends("ed"):
		stem = (*w)[:len(*w)-2]
	case w.ends("ing"):
		stem = (*w)[:len(*w)-3]
	default:
		return
	}
	if !stem.hasVowel() {
		return
	}
	*w = stem
	switch {
	case w.ends("at"), w.ends("bl"), w.ends("iz"):
		*w = append(*w, 'e')
	case w.doubled() && !w.endsIn('l', 's', 'z'):
		*w = (*w)[:len(*w)-1]
	case w.measure() == 1 && w.short():
		*w = append(*w, 'e')
	}
}

func (w stemmer) endsIn(letters ...byte) bool {
	return slices.Contains(letters, w[len(w)-1])
}

// replace exchanges the first of the endings that the word has, where its stem measures more than least.
func (w *stemmer) replace(suffixes []suffix, least int) {
	for _, s := range suffixes {
		if !w.ends(s.from) {
			continue
		}
		if stem := (*w)[:len(*w)-len(s.from)]; stem.measure() > least {
			*w = append(stem, s.to...)
		}
		return
	}
}

// doubles are the endings of step 2.
func doubles() []suffix {
	return []suffix{
		{"ational", "ate"},
		{"tional", "tion"},
		{"enci", "ence"},
		{"anci", "ance"},
		{"izer", "ize"},
		{"logi", "log"},
		{"bli", "ble"},
		{"alli", "al"},
		{"entli", "ent"},
		{"eli", "e"},
		{"ousli", "ous"},
		{"ization", "ize"},
		{"ation", "ate"},
		{"ator", "ate"},
		{"alism", "al"},
		{"iveness", "ive"},
		{"fulness", "ful"},
		{"ousness", "ous"},
		{"aliti", "al"},
		{"iviti", "ive"},
		{"biliti", "ble"},
	}
}

// singles are the endings of step 3.
func singles() []suffix {
	return []suffix{
		{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"}, {"ical", "ic"}, {"ful", ""}, {"ness", ""},
	}
}

// drop is step 4.
func (w *stemmer) drop() {
	if w.ends("ion") {
		if stem := (*w)[:len(*w)-3]; stem.endsIn('s', 't') && stem.measure() > 1 {
			*w = stem
		}
		return
	}
	w.replace([]suffix{
		{from: "al"},
		{from: "ance"},
		{from: "ence"},
		{from: "er"},
		{from: "ic"},
		{from: "able"},
		{from: "ible"},
		{from: "ant"},
		{from: "ement"},
		{from: "ment"},
		{from: "ent"},
		{from: "ou"},
		{from: "ism"},
		{from: "ate"},
		{from: "iti"},
		{from: "ous"},
		{from: "ive"},
		{from: "ize"},
	}, 1)
}

// lastE is step 5.
func (w *stemmer) lastE() {
	if w.ends("e") {
		stem := (*w)[:len(*w)-1]
		if m := stem.measure(); m > 1 || m == 1 && !stem.short() {
			*w = stem
		}
	}
	if n := len(*w); n > 2 && (*w)[n-1] == 'l' && (*w)[n-2] == 'l' && (*w)[:n-1].measure() > 1 {
		*w = (*w)[:n-1]
	}
}
