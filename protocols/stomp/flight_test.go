package stomp

import (
	"cmp"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/havenmq/havenmq/core"
)

// TestFlightsAreBounded: a client that keeps one message and acknowledges all others costs no more and more memory.
func TestFlightsAreBounded(t *testing.T) {
	var q flights
	var tags []core.Tag
	tag := newTag()
	q.push(flight{seq: 1, tag: tag, id: "1"})
	for seq := uint64(2); seq < 100_000; seq++ {
		q.push(flight{seq: seq, tag: tag, id: strconv.FormatUint(seq, 10)})
		if !q.take(seq, false, &tags, nil) {
			t.Fatal(seq)
		}
		tags = tags[:0]
	}
	if len(q.list) > 16 || len(q.byID) != 1 || q.open != 1 {
		t.Errorf("%d places, %d ids for %d deliveries", len(q.list), len(q.byID), q.open)
	}
}

// modelFlights is what flights are, plainly: what waits, in order.
type modelFlights []flight

// take returns the tags that an acknowledgement covers, and whether seq waits.
func (m *modelFlights) take(seq uint64, all bool) (tags []core.Tag, ok bool) {
	ok = slices.ContainsFunc(*m, func(f flight) bool { return f.seq == seq })
	var rest modelFlights
	for _, f := range *m {
		if ok && (f.seq == seq || all && f.seq < seq) {
			tags = append(tags, f.tag)
		} else {
			rest = append(rest, f)
		}
	}
	*m = rest
	return tags, ok
}

func (m *modelFlights) add(list ...flight) {
	*m = append(*m, list...)
	slices.SortFunc(*m, func(a, b flight) int { return cmp.Compare(a.seq, b.seq) })
}

func (m *modelFlights) find(id string) uint64 {
	for _, f := range *m {
		if f.id == id {
			return f.seq
		}
	}
	return 0
}

// TestFlightsModel compares flights with the model.
func TestFlightsModel(t *testing.T) {
	ids := []string{"a", "b", "c"}
	rapid.Check(t, func(t *rapid.T) {
		var q flights
		var m modelFlights
		var kept []flight
		var last uint64
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1:
				last++
				f := flight{seq: last, tag: newTag(), id: rapid.SampledFrom(ids).Draw(t, "id")}
				q.push(f)
				m.add(f)
			case 2, 3:
				seq, all := rapid.Uint64Range(1, last+1).Draw(t, "seq"), rapid.Bool().Draw(t, "all")
				want, ok := m.take(seq, all)
				var tags []core.Tag
				if got := q.take(seq, all, &tags, &kept); got != ok || !slices.Equal(tags, want) {
					t.Fatalf("take %d: %v, want %v", seq, got, ok)
				}
			case 4:
				q.restore(kept)
				m.add(kept...)
				kept = nil
			}
			for _, id := range ids {
				if got, want := q.find([]byte(id)), m.find(id); got != want || q.open != len(m) {
					t.Fatalf("%s is %d, want %d; %d open of %d", id, got, want, q.open, len(m))
				}
			}
		}
	})
}
