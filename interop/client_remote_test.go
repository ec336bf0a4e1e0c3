package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// drivers are the processes that run the clients of other languages: one a language, started on first use.
type drivers struct {
	t       testing.TB
	running map[string]*driver
}

// driverCommands start the processes. interop/setup has installed what they need.
var driverCommands = map[string][]string{
	"python": {"../.venv/bin/python", "drivers/driver.py"},
	"node":   {"node", "drivers/driver.js"},
}

func newDrivers(t testing.TB) *drivers {
	d := &drivers{t: t, running: map[string]*driver{}}
	t.Cleanup(func() {
		for _, p := range d.running {
			p.stop(t)
		}
	})
	return d
}

func (d *drivers) open(_ context.Context, process, lib string, port int, id string) (client, error) {
	p := d.running[process]
	if p == nil {
		var err error
		if p, err = startDriver(driverCommands[process]); err != nil {
			return nil, err
		}
		d.running[process] = p
	}
	a, err := p.do(job{Op: "open", Lib: lib, Port: port, Name: id})
	return &remoteClient{p, a.Conn}, err
}

// driver is one such process. It does one job at a time.
type driver struct {
	name    string
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan answer
	stderr  bytes.Buffer // read once the process has ended
	last    int
}

func startDriver(command []string) (*driver, error) {
	cmd := exec.Command(command[0], command[1:]...)
	d := &driver{name: filepath.Base(command[1]), cmd: cmd, answers: make(chan answer)}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.in, cmd.Stderr = in, &d.stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: run 'make -C interop setup' first", err)
	}
	go d.read(out)
	return d, nil
}

func (d *driver) read(out io.Reader) {
	defer close(d.answers)
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var a answer
		if err := json.Unmarshal(line, &a); err != nil {
			a.Error = fmt.Sprintf("%v in %q", err, line)
		}
		d.answers <- a
	}
}

func (d *driver) do(j job) (answer, error) {
	d.last++
	j.ID = d.last
	if _, err := fmt.Fprintln(d.in, j); err != nil {
		return answer{}, err
	}
	timeout := time.NewTimer(2*answerTimeout + time.Duration(j.TimeoutMs)*time.Millisecond)
	defer timeout.Stop()
	for {
		select {
		case a, ok := <-d.answers:
			switch {
			case !ok:
				return a, fmt.Errorf("%s ended: %s", d.name, d.stderr.String())
			case a.ID != 0 && a.ID < j.ID:
				continue // the answer to a job that was given up
			case a.Error != "":
				return a, fmt.Errorf("%s: %s", j.Op, a.Error)
			}
			return a, nil
		case <-timeout.C:
			return answer{}, fmt.Errorf("%s does not answer %s", d.name, j)
		}
	}
}

func (d *driver) stop(t testing.TB) {
	if err := d.in.Close(); err != nil {
		t.Errorf("%s: %v", d.name, err)
	}
	timer := time.AfterFunc(answerTimeout, func() { _ = d.cmd.Process.Kill() }) // Wait reports it
	defer timer.Stop()
	for range d.answers {
	}
	err := d.cmd.Wait()
	if d.stderr.Len() > 0 {
		t.Logf("%s printed: %s", d.name, d.stderr.String())
	}
	if err != nil {
		t.Errorf("%s: %v", d.name, err)
	}
}

type remoteClient struct {
	d    *driver
	conn int
}

func (c *remoteClient) subscribe(_ context.Context, address string) (subscription, error) {
	a, err := c.d.do(job{Op: "subscribe", Conn: c.conn, Address: address})
	return &remoteSubscription{c.d, a.Sub}, err
}

func (c *remoteClient) send(_ context.Context, address string, m message) error {
	_, err := c.d.do(job{Op: "send", Conn: c.conn, Address: address, Message: &m})
	return err
}

func (c *remoteClient) close(context.Context) error {
	_, err := c.d.do(job{Op: "close", Conn: c.conn})
	return err
}

type remoteSubscription struct {
	d   *driver
	sub int
}

func (s *remoteSubscription) receive(ctx context.Context) (message, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return message{}, errors.New("receive needs a deadline")
	}
	a, err := s.d.do(job{Op: "receive", Sub: s.sub, TimeoutMs: max(1, int(time.Until(deadline).Milliseconds()))})
	return a.Message, err
}

func (s *remoteSubscription) close(context.Context) error {
	_, err := s.d.do(job{Op: "unsubscribe", Sub: s.sub})
	return err
}
