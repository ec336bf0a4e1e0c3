// Package broker runs the havenmq binary for tests and benchmarks: on free ports of the loopback, stopped by its process
// id, looked at from outside (admin API, metrics, /proc).
package broker

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Options say how to run the binary.
type Options struct {
	Binary      string // the program; "" is bin/havenmq at the root of the project
	Dir         string // for the data directory, the configuration and the log; must exist
	Config      string // YAML of the configuration file; "" has none
	Connections int    // maximumConnections of each connector; 0 leaves the default
	MaxFrame    int    // wireFormat.maxFrameSize of each connector, bytes; 0 leaves the default
}

// Broker is one process of havenmq, or, between Kill and Start, the place where one ran. One goroutine uses it.
type Broker struct {
	o      Options
	ports  map[string]int
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // how the process ended; good once exited is closed

	served   bool // since then its ports stay
	repicked int  // how often others were picked
}

// Schemes are the transports that a broker of this package listens on.
var Schemes = []string{"amqp", "mqtt", "stomp"}

// Limits of waiting for the process.
const (
	startTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
	pollInterval = 5 * time.Millisecond
)

// New picks ports for a broker and does not start it.
func New(o Options) (*Broker, error) {
	if o.Binary == "" {
		bin, err := Binary()
		if err != nil {
			return nil, err
		}
		o.Binary = bin
	}
	b := &Broker{o: o}
	return b, b.pickPorts()
}

// Binary finds bin/havenmq above the working directory.
func Binary() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		} else if dir == "/" {
			return "", errors.New("no go.mod above the working directory: run this within the project")
		}
	}
	bin := filepath.Join(dir, "bin", "havenmq")
	if _, err := os.Stat(bin); err != nil {
		return "", fmt.Errorf("%w: run 'make build' first", err)
	}
	return bin, nil
}

// firstPort and lastPort lie below the range that the kernel hands out for outgoing connections.
const firstPort, lastPort = 20000, 32000

var nextPort = firstPort + os.Getpid()*37%(lastPort-firstPort)

func (b *Broker) pickPorts() error {
	b.ports = map[string]int{}
	for _, scheme := range append([]string{"admin"}, Schemes...) {
		p, err := freePort()
		if err != nil {
			return err
		}
		b.ports[scheme] = p
	}
	return nil
}

func freePort() (int, error) {
	for range lastPort - firstPort {
		if nextPort++; nextPort >= lastPort {
			nextPort = firstPort
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", nextPort))
		if err != nil {
			continue
		}
		return nextPort, l.Close()
	}
	return 0, errors.New("no free port")
}

// Addr is host:port of a transport, or of "admin".
func (b *Broker) Addr(scheme string) string { return "127.0.0.1:" + strconv.Itoa(b.ports[scheme]) }

// Port is the port of a transport, or of "admin".
func (b *Broker) Port(scheme string) int { return b.ports[scheme] }

// URL is what a client of a transport dials.
func (b *Broker) URL(scheme string) string { return scheme + "://" + b.Addr(scheme) }

// DataDir is the data directory.
func (b *Broker) DataDir() string { return filepath.Join(b.o.Dir, "data") }

// LogFile holds what the processes have printed.
func (b *Broker) LogFile() string { return filepath.Join(b.o.Dir, "havenmq.log") }

// PID is the process id, 0 when none runs.
func (b *Broker) PID() int {
	if b.cmd == nil {
		return 0
	}
	return b.cmd.Process.Pid
}

// Start runs the program and waits until it is ready to serve. If another program took one of the ports before it ever
// ran, it gets others.
func (b *Broker) Start() error {
	for {
		if err := b.Spawn(); err != nil {
			return err
		}
		err := b.waitReady()
		if err == nil {
			b.served = true
			return nil
		}
		if b.served || b.repicked >= 3 || !bytes.Contains(b.Tail(4096), []byte("address already in use")) {
			return err
		}
		b.repicked++
		if err := b.pickPorts(); err != nil {
			return err
		}
	}
}

// Spawn runs the program and does not wait.
func (b *Broker) Spawn() error {
	out, err := os.OpenFile(b.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // the process has its own copy
	args, err := b.args()
	if err != nil {
		return err
	}
	cmd := exec.Command(b.o.Binary, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Dir = b.o.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	b.cmd, b.exited = cmd, make(chan struct{})
	go func() {
		b.err = cmd.Wait()
		close(b.exited)
	}()
	return nil
}

func (b *Broker) args() ([]string, error) {
	args := []string{"serve", "--data", b.DataDir(), "--admin", b.Addr("admin")}
	for _, scheme := range Schemes {
		args = append(args, "--transport", b.URL(scheme)+b.query())
	}
	if b.o.Config == "" {
		return args, nil
	}
	file := filepath.Join(b.o.Dir, "havenmq.yaml")
	return append(args, "--config", file), os.WriteFile(file, []byte(b.o.Config), 0o644)
}

func (b *Broker) query() string {
	q := ""
	if b.o.Connections > 0 {
		q += "&maximumConnections=" + strconv.Itoa(b.o.Connections)
	}
	if b.o.MaxFrame > 0 {
		q += "&wireFormat.maxFrameSize=" + strconv.Itoa(b.o.MaxFrame)
	}
	if q != "" {
		q = "?" + q[1:]
	}
	return q
}

// waitReady asks /readyz until it says yes: from outside there is nothing to wait on.
func (b *Broker) waitReady() error {
	deadline := time.Now().Add(startTimeout)
	for time.Now().Before(deadline) {
		if resp, err := client.Get("http://" + b.Addr("admin") + "/readyz"); err == nil {
			_ = resp.Body.Close() // nothing of it is used
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-b.exited:
			b.cmd = nil
			return fmt.Errorf("havenmq ended before it was ready (%v); it printed:\n%s", b.err, b.Tail(4096))
		case <-time.After(pollInterval):
		}
	}
	return fmt.Errorf("havenmq was not ready within %s; it printed:\n%s", startTimeout, b.Tail(4096))
}

// Kill ends the process as a power cut would, without a word. It is no error when none runs.
func (b *Broker) Kill() { _ = b.end(syscall.SIGKILL) }

// Stop asks the process to end, and waits for it. It is no error when none runs.
func (b *Broker) Stop() error { return b.end(syscall.SIGTERM) }

func (b *Broker) end(sig syscall.Signal) error {
	if b.cmd == nil {
		return nil
	}
	if err := b.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-b.exited:
	case <-time.After(stopTimeout):
		_ = b.cmd.Process.Kill() // it did not hear; the error below says so
		<-b.exited
		b.cmd = nil
		return fmt.Errorf("havenmq did not end within %s of %s", stopTimeout, sig)
	}
	b.cmd = nil
	if sig == syscall.SIGTERM && b.err != nil {
		return fmt.Errorf("havenmq ended with %w; it printed:\n%s", b.err, b.Tail(4096))
	}
	return nil
}

// Running says whether the process lives.
func (b *Broker) Running() bool {
	if b.cmd == nil {
		return false
	}
	select {
	case <-b.exited:
		return false
	default:
		return true
	}
}

// Tail is the end of what the processes have printed, at most n bytes.
func (b *Broker) Tail(n int) []byte {
	text, err := os.ReadFile(b.LogFile())
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(text[max(0, len(text)-n):])
}
