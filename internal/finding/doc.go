// Package finding is the model of what a review reports, shared by the services that make findings (council, review)
// and by everything that shows them: severities, categories, places, votes and coverage, the fingerprint by which a
// finding is recognised again, the search that turns quoted code into lines, the order in which findings are shown, and
// the encoders for text, markdown, SARIF 2.1.0 and rdjson. JSON is not here: it is protojson of the public message.
//
// Everything is plain data. Values are not safe for concurrent writing; all functions are pure and may be called from
// any goroutine.
package finding
