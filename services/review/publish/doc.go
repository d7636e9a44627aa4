// Package publish shows a review at a forge, once. A plan is computed from the findings, their statuses and the
// repository's settings, stored, and then carried out: whatever is created carries a hidden marker, and is looked for
// before it is created. What a forge has to offer for that is the port Forge; its adapter holds the only token that may
// write.
package publish
