// Package lifecycle decides what becomes of a subject's findings from one review to the next: which of a review's findings
// is one that is known, what is fixed, what is back, and what stays as it is because nothing says otherwise. It is pure:
// the same input gives the same result, and applying a review to what it made of the ledger changes nothing.
package lifecycle
