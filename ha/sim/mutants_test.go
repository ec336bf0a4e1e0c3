package sim

import (
	"flag"
	"strings"
	"testing"
)

var (
	mutantRuns = flag.Int("mutants", 3000, "how many runs may pass before a mutant is noticed")
	mutantOnly = flag.String("mutant", "", "leave out this alone")
)

// mutant leaves rules out: one, or two of which either covers the other.
type mutant struct {
	rules  string
	breaks string // is said then; "": anything
	unseen string // the check that notices it sooner is not looked at
}

var mutants = []mutant{
	// Elections.
	{rules: "quorum"}, {rules: "longest"}, {rules: "position"}, {rules: "votes"}, {rules: "blank-votes"}, {rules: "promise"}, {rules: "promise-first"},
	{rules: "check-mandate"}, {rules: "check-voters+check-config"}, {rules: "one-row+drop-rows"},
	// Commits.
	{rules: "initialized"}, {rules: "begun"}, {rules: "barrier"}, {rules: "voters"}, {rules: "incoming"}, {rules: "settled"}, {rules: "generation"}, {rules: "synced"},
	// Following.
	{rules: "cut-point"}, {rules: "end"}, {rules: "written"}, {rules: "switch"},
	{rules: "longest+truncate-committed", breaks: "cuts its log", unseen: "I4"},
	// Serving.
	{rules: "applied"}, {rules: "round"}, {rules: "announce"}, {rules: "lease"},
	// Seats.
	{rules: "claim"}, {rules: "moved"}, {rules: "own-takeover"},
	// The log and its index.
	{rules: "index-kept+index-place"}, {rules: "trim-flushed+index-place"}, {rules: "trim-committed"}, {rules: "start-first"}, {rules: "relocate-state"},
	{rules: "relocate-tail"}, {rules: "damage"}, {rules: "unclean"}, {rules: "caught-up"},
}

// noticed says in which run, and by what, a mutant is noticed that the rules would have kept from it.
func (m *mutant) noticed(runs uint64) (seed uint64, why string) {
	for s := uint64(1); s <= runs; s++ {
		w := New(s, size(s), strings.Split(m.rules, "+")...)
		w.unseen = m.unseen
		if _, err := w.run(); err == nil || !strings.Contains(err.Error(), m.breaks) {
			continue
		} else if _, well := run(s, size(s)); well == nil {
			return s, err.Error()
		}
	}
	return 0, ""
}

// TestMutants leaves rules out: some run must notice that what was confirmed is lost, or worse. With -short it leaves out the first alone.
func TestMutants(t *testing.T) {
	for i, m := range mutants {
		if testing.Short() && i > 0 {
			break
		}
		if *mutantOnly != "" && m.rules != *mutantOnly {
			continue
		}
		t.Run(m.rules, func(t *testing.T) {
			t.Parallel()
			if s, why := m.noticed(uint64(*mutantRuns)); s > 0 {
				t.Logf("seed %d: %.200s", s, why)
			} else {
				t.Errorf("nobody noticed in %d runs", *mutantRuns)
			}
		})
	}
}
