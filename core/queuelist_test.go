package core

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestQueueList compares pages of queues with a sorted list, while queues come and go.
func TestQueueList(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t)
		p := r.connect("c")
		there := map[Destination]bool{}
		name := rapid.Custom(func(t *rapid.T) Destination {
			return Destination{rapid.SampledFrom([]Kind{Queue, TempQueue}).Draw(t, "kind"), fmt.Sprintf("q%02d", rapid.IntRange(0, 40).Draw(t, "n"))}
		})
		rt.Repeat(map[string]func(*rapid.T){
			"declare": func(t *rapid.T) {
				d := name.Draw(t, "queue")
				p.must(Op{Kind: OpDeclare, Dest: d})
				there[d] = true
			},
			"remove": func(t *rapid.T) {
				d := name.Draw(t, "queue")
				if d.Kind == TempQueue {
					p.ask(Op{Kind: OpUndeclare, Dest: d})
				} else if err := r.b.DeleteQueue(d); (err == nil) != there[d] {
					t.Fatalf("%v: %v", d, err)
				}
				delete(there, d)
			},
			"list": func(t *rapid.T) {
				filter := rapid.SampledFrom([]string{"", "1", "q3", "x"}).Draw(t, "filter")
				max := rapid.IntRange(1, 20).Draw(t, "max")
				var want, got []string
				for d := range there {
					if strings.Contains(d.Name, filter) {
						want = append(want, d.Name+d.Kind.String())
					}
				}
				slices.Sort(want)
				for after, more := "", true; more; more = after != "" {
					var page []QueueInfo
					page, after = r.b.Queues(after, filter, max)
					for _, i := range page {
						got = append(got, i.Name+i.Kind)
					}
					if len(page) > max+1 || after != "" && len(page) < max {
						t.Fatalf("a page of %d, at most %d, before %q", len(page), max, after)
					}
				}
				if !slices.Equal(got, want) {
					t.Fatalf("%q, not %q", got, want)
				}
			},
		})
	})
}

// Queues that come and go while nobody lists them are not kept.
func TestQueueListForgets(t *testing.T) {
	r := newRig(t)
	p := r.connect("c")
	for range 5000 {
		p.must(Op{Kind: OpUndeclare, Dest: p.must(Op{Kind: OpDeclare, Dest: Destination{Kind: TempQueue}}).Dest})
	}
	if l := &r.b.list; len(l.sorted)+len(l.added) > 200 {
		t.Errorf("%d + %d are kept", len(l.sorted), len(l.added))
	}
}

func BenchmarkQueuePage(b *testing.B) {
	r := newRig(b)
	p := r.connect("c")
	for i := range 100_000 {
		p.ask(Op{Kind: OpDeclare, Dest: queueOf(fmt.Sprintf("many.%06d", i))})
	}
	r.b.Queues("", "", 1)
	b.ResetTimer()
	for i := range b.N {
		if list, _ := r.b.Queues(fmt.Sprintf("many.%06d", i*1000%99_000), "", 100); len(list) != 100 {
			b.Fatal(len(list))
		}
	}
}
