package interop

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/havenmq/havenmq/interop/broker"
)

// TestConsoles: what documents show of commands on other hosts names commands and flags that there are. What they do is
// TestOperators' and TestWalkThrough's.
func TestConsoles(t *testing.T) {
	bin, err := broker.Binary()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range documents(t) {
		for _, k := range blocks(t, path) {
			if k.language != "console" {
				continue
			}
			for line := range strings.Lines(k.text) {
				seen++
				words := strings.Fields(line)
				last := 2 // of the words that name the command
				if words[1] == "cluster" || words[1] == "config" {
					last = 3
				}
				help, err := exec.Command(bin, append(append([]string{}, words[1:last]...), "--help")...).Output()
				if err != nil {
					t.Errorf("%s:%d: %s: %v", path, k.line, line, err)
				}
				for _, w := range words[last:] {
					if strings.HasPrefix(w, "--") && !strings.Contains(string(help), w) {
						t.Errorf("%s:%d: %s: there is no %s", path, k.line, line, w)
					}
				}
			}
		}
	}
	if seen == 0 {
		t.Error("no document shows any")
	}
}
