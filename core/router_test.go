package core

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// takesIn is the contract's rule, said as plainly as possible: '*' is one level, '>' the rest or nothing, and no wildcard
// takes in a first level that begins with '$'.
func takesIn(pattern, name []string) bool {
	for i, level := range pattern {
		switch {
		case level == ">" && i == len(pattern)-1:
			return len(name) == i || i > 0 || !strings.HasPrefix(name[0], "$")
		case i >= len(name):
			return false
		case level == "*" && i == 0 && strings.HasPrefix(name[0], "$"):
			return false
		case level != "*" && level != name[i]:
			return false
		}
	}
	return len(pattern) == len(name)
}

func TestWildcards(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"A.B", "A.B", true}, {"A.B", "A.b", false}, {"A.*", "A.B", true}, {"A.*", "A", false}, {"A.*", "A.B.C", false}, {"A.*", "A.", true},
		{"A.>", "A", true}, {"A.>", "A.B.C", true}, {"A.>", "AB", false}, {">", "A", true}, {">", "$SYS", false}, {">", "A.$x", true},
		{"*", "$SYS", false}, {"*.A", "$SYS.A", false}, {"$SYS.>", "$SYS.A", true}, {"$SYS.>", "$SYS", true}, {"$SYS.*", "$SYS.A", true},
		{"A.*.C", "A..C", true}, {".A", ".A", true}, {"*.A", ".A", true}, {"A", "A.", false}, {"A*", "AB", false}, {"A>", "A>", true}, {"*.>", "A", true},
	} {
		if got := topicOf(c.pattern).Matches(topicOf(c.name)); got != c.want {
			t.Errorf("%s takes in %s: %v", c.pattern, c.name, got)
		}
		if got := takesIn(strings.Split(c.pattern, "."), strings.Split(c.name, ".")); got != c.want {
			t.Errorf("the model: %s takes in %s: %v", c.pattern, c.name, got)
		}
	}
	if topicOf("A").Matches(queueOf("A")) {
		t.Error("kinds differ")
	}
}

func drawName(t *rapid.T, levels []string) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(levels), 1, 4).Draw(t, "levels"), ".")
}

func drawPattern(t *rapid.T) string {
	p := drawName(t, []string{"a", "b", "$a", "", "*", "a*"})
	if rapid.IntRange(0, 2).Draw(t, "rest") == 0 {
		p += ".>"
	}
	if rapid.IntRange(0, 9).Draw(t, "all") == 0 {
		p = ">"
	}
	return p
}

func TestRouterIsWhatMatchingEachWouldGive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r router
		type entry struct {
			pattern string
			c       *claim
		}
		var all []entry
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			if len(all) > 0 && rapid.IntRange(0, 3).Draw(t, "remove") == 0 {
				i := rapid.IntRange(0, len(all)-1).Draw(t, "which")
				r.remove(all[i].pattern, all[i].c)
				r.remove(all[i].pattern, &claim{}) // a stranger
				all = slices.Delete(all, i, i+1)
				continue
			}
			e := entry{drawPattern(t), &claim{q: &queue{rank: uint64(len(all))}}}
			r.add(e.pattern, e.c)
			all = append(all, e)
		}
		for range 10 {
			name := drawName(t, []string{"a", "b", "$a", "", "a*"})
			got := map[*claim]int{}
			for _, c := range r.match(name, nil) {
				got[c]++
			}
			for _, e := range all {
				want := takesIn(strings.Split(e.pattern, "."), strings.Split(name, "."))
				if (got[e.c] == 1) != want || got[e.c] > 1 {
					t.Fatalf("%q and %q: %d times, want %v", e.pattern, name, got[e.c], want)
				}
				if m := topicOf(e.pattern).Matches(topicOf(name)); m != want {
					t.Fatalf("Matches(%q, %q) = %v", e.pattern, name, m)
				}
				if want && !strings.HasPrefix(name, literalPrefix(e.pattern)) {
					t.Fatalf("%q takes in %q, which does not begin with %q", e.pattern, name, literalPrefix(e.pattern))
				}
			}
		}
		for _, e := range all {
			r.remove(e.pattern, e.c)
		}
		if r.n != 0 || r.bytes != 0 || !r.root.empty() {
			t.Fatalf("%d claims are left", r.n)
		}
	})
}

func TestDestinations(t *testing.T) {
	for _, d := range []Destination{queueOf("A.B"), topicOf("A"), {TempQueue, "x"}, {TempTopic, "x"}} {
		got, err := ParseDestination(d.String(), 0)
		if got != d || err != nil {
			t.Errorf("%v: %v %v", d, got, err)
		}
		if d.Kind.String() == "nowhere" || d.Kind.Temporary() != strings.HasPrefix(d.Kind.String(), "temp") {
			t.Errorf("%v: %v", d, d.Kind)
		}
	}
	if d, err := ParseDestination("A", Topic); d != topicOf("A") || err != nil {
		t.Error(d, err)
	}
	if _, err := ParseDestination("A", 0); err == nil {
		t.Error("no kind")
	}
	if (Destination{}).String() != "" || !(Destination{}).IsZero() || Kind(9).String() != "nowhere" {
		t.Error("the zero destination")
	}
	for _, c := range []struct {
		d              Destination
		valid, pattern bool
	}{
		{queueOf("A.B"), true, true}, {queueOf("A.*"), false, false}, {topicOf("A.*"), false, true}, {topicOf("A.>"), false, true},
		{topicOf("A.>.B"), false, false}, {topicOf("A>"), true, true}, {topicOf(""), false, false}, {topicOf("a\x00"), false, false},
		{topicOf(strings.Repeat("x", MaxNameBytes)), true, true}, {topicOf(strings.Repeat("x", MaxNameBytes+1)), false, false},
		{topicOf("."), true, true}, {Destination{Name: "A"}, false, false},
	} {
		if err := c.d.Validate(); (err == nil) != c.valid {
			t.Errorf("%v: %v", c.d.Kind, err)
		}
		if err := c.d.ValidatePattern(); (err == nil) != c.pattern {
			t.Errorf("pattern %v: %v", c.d.Kind, err)
		}
	}
}

func BenchmarkRoute(b *testing.B) {
	var r router
	for i := range 10_000 {
		r.add(fmt.Sprintf("site.%d.*.temp", i), &claim{q: &queue{rank: uint64(i)}})
	}
	r.add("site.>", &claim{q: &queue{rank: 20_000}})
	dst := make([]*claim, 0, 4)
	b.ReportAllocs()
	for b.Loop() {
		dst = r.match("site.77.room.temp", dst[:0])
	}
	if len(dst) != 2 {
		b.Fatal(len(dst))
	}
}
