package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReplicationIsCompared is the comparison's own test: few messages, every figure there. Targets are for a machine that does nothing else.
func TestReplicationIsCompared(t *testing.T) {
	s := &settings{count: 2000, warmUp: 500, size: 100, window: 100, credit: 200, rounds: 2, paced: 200 * time.Millisecond, slow: 100 * time.Millisecond}
	file := filepath.Join(t.TempDir(), "performance.md")
	if err := compareReplication(s, file); err != nil {
		t.Log(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"# What things cost\n", "| three nodes, `quorum_disk` | ", "| three nodes, `quorum_mem` | ", "At 5000 messages a second:"} {
		if !strings.Contains(string(text), part) {
			t.Errorf("there is no %q in:\n%s", part, text)
		}
	}
	for _, word := range []string{"NaN", "Inf", "%!"} {
		if strings.Contains(string(text), word) {
			t.Errorf("%s in:\n%s", word, text)
		}
	}
}

func TestASectionIsReplacedWhereItStands(t *testing.T) {
	d := withSection(documentHead, "a", "old\n")
	d = withSection(d, "b", "other\n")
	d = withSection(d, "a", "new\n")
	want := documentHead + "\n<!-- a -->\nnew\n<!-- end of a -->\n\n<!-- b -->\nother\n<!-- end of b -->\n"
	if d != want {
		t.Errorf("%s", d)
	}
}
