// Package githubtest is a simulated GitHub for tests and for trying Witan without an account.
package githubtest
