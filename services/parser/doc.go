// Package parser knows source code: the definitions, references, imports and chunks of one file, in nine languages.
//
// It is stateless and talks to nobody; content always comes with the request. [Service] joins three parts: a [Detector]
// that names a file's language, an [Extractor] that reads its syntax tree, and the arithmetic of this package, which
// cuts the file into chunks and finds what encloses a range of lines. Input is hostile: every result is bounded by the
// limits of this package, and a file that cannot be parsed gets a [Status] and line chunks, never an error.
package parser
