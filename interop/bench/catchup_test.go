package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAbsencesAreMeasured is the measurement's own test: replicas come back to little. Targets are for a machine that does nothing else.
func TestAbsencesAreMeasured(t *testing.T) {
	s := &settings{window: 100, missed: 2_000_000, usual: 300 * time.Millisecond}
	file := filepath.Join(t.TempDir(), "performance.md")
	if err := catchUp(s, file); err != nil {
		t.Log(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"| back after a while | ", "| blank: its directory is new | "} {
		if !strings.Contains(string(text), part) {
			t.Errorf("there is no %q in:\n%s", part, text)
		}
	}
}
