package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/havenmq/havenmq/cmd/internal/pidfile"
)

const (
	readyWord = "ready " // begins the line; behind it stands why the node has not joined its cluster yet, if it has not
	logName   = "havenmq.log"
)

// startCommand is `havenmq start`.
type startCommand struct {
	serveFlags
	Timeout time.Duration `help:"How long to wait until the node serves." default:"60s"`
}

func (startCommand) Help() string {
	return "Returns when the node serves, or is a member of its cluster; it says so when it is none after three seconds. The node's log goes to havenmq.log in the data directory, its process id to havenmq.pid there.\n\n" +
		"Example: havenmq start --config /etc/havenmq.yaml"
}

func (c *startCommand) Run(ctx context.Context, s *streams) error {
	loaded, err := c.load(s)
	if err != nil {
		return err
	}
	dir := loaded.DataDirectory
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("dataDirectory: %w", err)
	}
	if pid, ok, err := pidfile.Running(dir); err != nil {
		return err
	} else if ok {
		return fmt.Errorf("%s is served by process %d already: `havenmq stop --data %s` stops it", dir, pid, dir)
	}
	path := filepath.Join(dir, logName)
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	defer log.Close()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return c.launch(ctx, s, log)
}

// launch starts a process of its own session that serves, and waits until it does.
func (c *startCommand) launch(ctx context.Context, s *streams, log *os.File) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	began, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	ready, tell, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	defer ready.Close()
	cmd := exec.Command(self, c.arguments()...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = s.environ, log, log, []*os.File{tell}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = tell.Close() // the child has its own
	if err != nil {
		return fmt.Errorf("starting %s: %w", self, err)
	}
	why, waited := waitReady(ctx, ready, c.Timeout)
	if waited == nil {
		_, err := fmt.Fprintf(s.out, "HavenMQ runs: process %d, log %s\n", cmd.Process.Pid, log.Name())
		if why != "" {
			fmt.Fprintf(s.err, "havenmq: the node has not joined its cluster yet, and tries on: %s\n", why)
		}
		return err
	}
	_ = cmd.Process.Kill() // it may have ended
	_ = cmd.Wait()         // its exit code says nothing that its log does not
	said := tailOf(log.Name(), began)
	if errors.Is(waited, io.EOF) {
		return fmt.Errorf("the node ended at once; its log, %s, says: %s", log.Name(), said[strings.LastIndexByte(said, '\n')+1:])
	}
	return fmt.Errorf("the node did not start within %v: its log, %s, says:\n%s", c.Timeout, log.Name(), said)
}

// arguments are those of the serve command that does the same.
func (c *startCommand) arguments() []string {
	args := []string{"serve", "--ready-fd=3", "--log-level=" + c.LogLevel}
	for name, value := range map[string]string{"config": c.Config, "data": c.Data} {
		if value != "" {
			args = append(args, "--"+name+"="+value)
		}
	}
	if c.Admin != nil {
		args = append(args, "--admin="+*c.Admin)
	}
	for _, t := range c.Transport {
		args = append(args, "--transport="+t)
	}
	return args
}

// waitReady waits for the ready line, and gives what it says. Its error is io.EOF when the node ended before, and os.ErrDeadlineExceeded when
// the timeout passed or ctx ended.
func waitReady(ctx context.Context, pipe *os.File, timeout time.Duration) (why string, err error) {
	if err := pipe.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return "", err
	}
	defer context.AfterFunc(ctx, func() { _ = pipe.SetReadDeadline(time.Now()) })()
	line, err := bufio.NewReader(pipe).ReadString('\n')
	return strings.TrimSpace(strings.TrimPrefix(line, readyWord)), err
}

const tailBytes = 4 << 10

// tailOf is what a file says behind a position, the end of it at most.
func tailOf(path string, from int64) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		from = max(from, end-tailBytes)
	}
	text, err := io.ReadAll(io.NewSectionReader(f, from, tailBytes))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}
