package sim

import (
	"flag"
	"strings"
	"testing"
)

var mutantSeeds = flag.Int("mutants", 3000, "how many runs may pass before a mutant is noticed")

// mutants are the rules that are left out, one at a time or two of which one covers the other, and how an invariant that then does not hold begins.
var mutants = []struct{ rules, breaks string }{
	{"quorum", ""},
	{"longest", ""},
	{"position", ""},
	{"initialized", ""},
	{"begun", ""},
	{"blank-votes", ""},
	{"votes", ""},
	{"promise", ""},
	{"promise-first", ""},
	{"barrier", ""},
	{"voters", ""},
	{"incoming", ""},
	{"settled", ""},
	{"switch", ""},
	{"cut-point", ""},
	{"end", ""},
	{"written", ""},
	{"applied", ""},
	{"round", ""},
	{"announce", ""},
	{"lease", ""},
	{"generation", ""},
	{"check-mandate", ""},
	{"check-voters+check-config", ""},
	{"one-row+drop-rows", ""},
	{"claim", ""},
}

// TestMutants leaves rules out: some run must notice that what was confirmed is lost, or worse.
func TestMutants(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.rules, func(t *testing.T) {
			t.Parallel()
			for s := uint64(1); s <= uint64(*mutantSeeds); s++ {
				_, err := run(s, []int{3, 3, 5}[s%3], strings.Split(m.rules, "+")...)
				if err == nil || !strings.Contains(err.Error(), m.breaks) {
					continue
				}
				if _, err := run(s, []int{3, 3, 5}[s%3]); err == nil {
					t.Logf("seed %d: %.200s", s, err)
					return
				}
			}
			t.Errorf("nobody noticed in %d runs that %q was left out", *mutantSeeds, m.rules)
		})
	}
}
