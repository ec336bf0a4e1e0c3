package sim

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/havenmq/havenmq/ha"
)

// storageTally counts what happened to logs and seats.
type storageTally struct {
	rotations, trims, takeovers, blanks, resumes, switches, rotten, damaged, unclean, full, refused, fuses, fills, outages, hashes int
}

// totals are the counts of many runs, by name, in the order of names.
type totals struct {
	runs, voteless int
	names          []string
	counts         map[string]int
}

// add takes in a run that is over.
func (t *totals) add(w *World) {
	t.runs++
	if w.master() == nil {
		t.voteless++
	}
	t.count("masters", w.serves)
	t.count("confirmed", w.clients.confirmed)
	t.count("settled", w.clients.settled)
	t.count("delivered", w.clients.delivered)
	for _, v := range []reflect.Value{reflect.ValueOf(w.faults), reflect.ValueOf(w.storage)} {
		for i := range v.NumField() {
			t.count(v.Type().Field(i).Name, int(v.Field(i).Int()))
		}
	}
}

func (t *totals) count(name string, n int) {
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	if _, known := t.counts[name]; !known {
		t.names = append(t.names, name)
	}
	t.counts[name] += n
}

// String gives averages of a run.
func (t *totals) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d runs, %d ended without enough votes; of one:", t.runs, t.voteless)
	for _, name := range t.names {
		fmt.Fprintf(&b, " %s %.2f", name, float64(t.counts[name])/float64(t.runs))
	}
	return b.String()
}

// tooTame names what happens too seldom for the runs to prove anything: less than once in two.
func (t *totals) tooTame() (names []string) {
	for _, name := range []string{"elections", "truncations", "trims", "takeovers", "expiries"} {
		if 2*t.counts[name] < t.runs {
			names = append(names, name)
		}
	}
	return names
}

// takeovers is how many seats have another holder in a newer configuration.
func takeovers(before, now *ha.Config) (n int) {
	for i := range min(len(before.Seats), len(now.Seats)) {
		if now.Seats[i].Generation > before.Seats[i].Generation {
			n++
		}
	}
	return n
}
