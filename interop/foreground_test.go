package interop

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/havenmq/havenmq/interop/broker"
)

// What `make cluster` runs starts a cluster that takes and gives messages, says so, and leaves nothing behind at Ctrl-C.
func TestMakeCluster(t *testing.T) {
	bin, err := broker.Binary()
	if err != nil {
		t.Fatal(err)
	}
	net := fmt.Sprintf("127.%d.%d", 10+rand.IntN(200), rand.IntN(256)) // the standard ports, where nobody else has them
	data := t.TempDir()
	cmd := exec.Command("../docs/cluster/run")
	cmd.Env = append(os.Environ(), "CLUSTER_NET="+net, "CLUSTER_DATA="+data)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	interrupt := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) } // as a terminal does: to all of the group
	defer interrupt()
	said := awaitLine(t, lines, "Ctrl-C stops", &stderr)
	if strings.Count(said, ": master in epoch 1 (") != 1 || strings.Count(said, ": replica in epoch 1 (") < 2 {
		t.Errorf("it says:\n%s", said)
	}
	url := fmt.Sprintf("failover:(amqp://%s.1,amqp://%s.2,amqp://%s.3)", net, net, net)
	for _, args := range [][]string{{"send", "orders", "hello", "--url", url}, {"receive", "orders", "--url", url}} {
		if text, err := exec.Command(bin, args...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", args, err, text)
		}
	}
	interrupt()
	said = awaitLine(t, lines, "has stopped", &stderr)
	for range lines {
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("at Ctrl-C: %v\n%s%s", err, said, stderr.Bytes())
	}
	if left := processesOf(t, data); left != "" {
		t.Errorf("it left running:\n%s", left)
	}
}

// awaitLine collects lines until one holds what is waited for.
func awaitLine(t *testing.T, lines <-chan string, end string, stderr *bytes.Buffer) string {
	t.Helper()
	var said strings.Builder
	for late := time.After(time.Minute); ; {
		select {
		case line, more := <-lines:
			fmt.Fprintln(&said, line)
			if strings.Contains(line, end) {
				return said.String()
			}
			if more {
				continue
			}
		case <-late:
		}
		t.Fatalf("%q never came:\n%s%s", end, said.String(), stderr.Bytes())
	}
}

// processesOf lists the processes that have a directory in their command line.
func processesOf(t *testing.T, dir string) (list string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		line, err := os.ReadFile(name)
		if err == nil && bytes.Contains(line, []byte(dir)) {
			list += string(bytes.ReplaceAll(line, []byte{0}, []byte(" "))) + "\n"
		}
	}
	return list
}
