//go:build !unix

package git

import "os/exec"

// ownProcessGroup does nothing where process groups are not known: the context ends the command itself.
func ownProcessGroup(*exec.Cmd) {}
