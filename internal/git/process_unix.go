//go:build unix

package git

import (
	"os/exec"
	"syscall"
)

// ownProcessGroup makes the command and whatever it starts one group, which is killed as a whole when the context ends.
func ownProcessGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
