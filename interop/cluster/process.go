package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is a program that can be started again. One goroutine uses it.
type process struct {
	log    string // file that gets what it prints
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // how it ended, once exited is closed
}

func (p *process) start(args ...string) error {
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // the process has its own
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	p.cmd, p.exited = cmd, exited
	go func() {
		p.err = cmd.Wait()
		close(exited)
	}()
	return nil
}

// PID is the process id, 0 when it was never started.
func (p *process) PID() int {
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Running says whether the process lives.
func (p *process) Running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the process, if it runs.
func (p *process) Signal(sig syscall.Signal) {
	if p.Running() {
		_ = p.cmd.Process.Signal(sig) // it may end at this moment
	}
}

// Kill ends the process as a crash would and returns when it is gone. It is no error when none runs.
func (p *process) Kill() {
	if p.Running() {
		p.Signal(syscall.SIGKILL)
		<-p.exited
	}
}

// Ended waits for the end of the process, and returns how it ended.
func (p *process) Ended(limit time.Duration) error {
	if p.cmd == nil {
		return nil
	}
	select {
	case <-p.exited:
		return p.err
	case <-time.After(limit):
		return fmt.Errorf("process %d (%s) still runs after %s", p.cmd.Process.Pid, p.log, limit)
	}
}

// Until asks a condition, again and again: what it asks about has no way to tell.
func Until(limit time.Duration, what string, holds func() bool) error {
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s: %s", limit, what)
		}
	}
	return nil
}
