package pidfile

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestTakenAndReleased(t *testing.T) {
	dir := t.TempDir()
	if _, ok, err := Running(dir); ok || err != nil {
		t.Fatalf("an empty directory is served: %v, %v", ok, err)
	}
	f, err := Take(dir)
	if err != nil {
		t.Fatal(err)
	}
	if pid, ok, err := Running(dir); pid != os.Getpid() || !ok || err != nil {
		t.Fatalf("running: %d, %v, %v", pid, ok, err)
	}
	if _, err := Take(dir); err == nil || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Fatalf("taken twice: %v", err)
	}
	if err := f.Release(); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := Running(dir); ok || err != nil {
		t.Fatalf("after release: %v, %v", ok, err)
	}
}

// A number that a crash left behind is no process, whoever has it now.
func TestLeftBehind(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, Name), []byte(strconv.Itoa(os.Getppid())+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := Running(dir); ok || err != nil {
		t.Fatalf("left behind: %v, %v", ok, err)
	}
	f, err := Take(dir)
	if err != nil {
		t.Fatal(err)
	}
	if pid, ok, err := Running(dir); pid != os.Getpid() || !ok || err != nil {
		t.Fatalf("running: %d, %v, %v", pid, ok, err)
	}
	if err := f.Release(); err != nil {
		t.Fatal(err)
	}
}
