package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// insideEnv marks the process that has its own namespaces already.
const insideEnv = "HAVENMQ_FAULTS_INSIDE"

// settings are what the command line says.
type settings struct {
	short bool
	only  map[int]bool // nil: all
	out   string       // the table goes here; "" prints it alone
	keep  string       // directory for data and logs; "" is a temporary one, removed when all went well
}

func main() {
	s, err := parseFlags()
	if err == nil {
		if os.Getenv(insideEnv) == "" {
			err = outside()
		} else {
			err = inside(s)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func parseFlags() (settings, error) {
	var s settings
	only := flag.String("only", "", "numbers of scenarios, with commas; all if empty")
	flag.BoolVar(&s.short, "short", false, "the shorter half, with shorter waits")
	flag.StringVar(&s.out, "out", "", "file that gets the table")
	flag.StringVar(&s.keep, "keep", "", "directory that keeps data and logs")
	flag.Parse()
	if *only == "" {
		return s, nil
	}
	s.only = map[int]bool{}
	for _, f := range strings.Split(*only, ",") {
		n, err := strconv.Atoi(f)
		if err != nil {
			return s, fmt.Errorf("-only: %q is no number of a scenario", f)
		}
		s.only[n] = true
	}
	return s, nil
}

// outside checks the machine and runs this program again in namespaces of its own, so that nothing outlives it: no process,
// no mount, no network.
func outside() error {
	if err := missing(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := append([]string{"--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", self}, os.Args[1:]...)
	cmd := exec.Command("unshare", args...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		_ = cmd.Process.Kill() // its children go with it: --kill-child
		<-done
		return errors.New("interrupted")
	}
}

// missing says what this machine lacks. There is no quiet way out: a run that tests nothing must not look like one that passed.
func missing() error {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root: run it with sudo")
	}
	var lacks []string
	for _, tool := range []string{"ip", "tc", "nft", "nsenter", "unshare", "mount", "umount", "strace", "mkfs.ext4", "java"} {
		if _, err := exec.LookPath(tool); err != nil {
			lacks = append(lacks, tool)
		}
	}
	for _, file := range []string{zookeeperJar, "/dev/net/tun", "/dev/loop-control", "/dev/fuse"} {
		if _, err := os.Stat(file); err != nil {
			lacks = append(lacks, file)
		}
	}
	if len(lacks) > 0 {
		return fmt.Errorf("this machine lacks %s: .ci/setup installs what Debian has", strings.Join(lacks, ", "))
	}
	if out, err := exec.Command("unshare", "--net", "--mount", "--pid", "--fork", "true").CombinedOutput(); err != nil {
		return fmt.Errorf("this machine allows no namespaces: unshare: %w: %s", err, out)
	}
	return nil
}

// inside runs the scenarios.
func inside(s settings) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	binary, err := findBinary()
	if err != nil {
		return err
	}
	dir := s.keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "havenmq-faults-"); err != nil {
			return err
		}
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	r := &runner{settings: s, dir: dir, binary: binary, began: time.Now()}
	err = r.all(ctx)
	if err == nil && s.keep == "" {
		err = os.RemoveAll(dir)
	} else {
		fmt.Println("Data and logs are in", dir)
	}
	return err
}

// findBinary finds bin/havenmq above the working directory.
func findBinary() (string, error) {
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
