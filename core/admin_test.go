package core

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPageIsWhatSortingAllWouldGive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type thing struct {
			name string
			kind Kind
		}
		things := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) thing {
			return thing{rapid.StringMatching("[ab]{1,4}").Draw(t, "name"), Kind(rapid.IntRange(1, 2).Draw(t, "kind"))}
		}), 0, 80).Draw(t, "things")
		filter, most := rapid.SampledFrom([]string{"", "a", "ab"}).Draw(t, "filter"), rapid.IntRange(1, 5).Draw(t, "max")
		var want, got []thing
		for _, x := range things {
			if strings.Contains(x.name, filter) && !slices.Contains(want, x) {
				want = append(want, x)
			}
		}
		slices.SortFunc(want, func(a, b thing) int {
			if c := strings.Compare(a.name, b.name); c != 0 {
				return c
			}
			return int(a.kind) - int(b.kind)
		})
		for after := ""; ; {
			p := newPage[int](after, filter, most)
			for _, x := range things {
				p.offer(x.name, x.kind, 0)
			}
			list, next := p.cut()
			if len(list) > most+1 || next != "" && len(list) < most {
				t.Fatalf("a page of %d", len(list))
			}
			for _, x := range list {
				got = append(got, thing{x.name, x.kind})
			}
			if after = next; after == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func TestQueuesAreListed(t *testing.T) {
	r := newRig(t)
	p := r.connect("a")
	for i := range 25 {
		p.must(Op{Kind: OpDeclare, Dest: queueOf(fmt.Sprintf("q%02d", i))})
	}
	p.must(Op{Kind: OpDeclare, Dest: Destination{TempQueue, "q03"}})
	var names []string
	for after := ""; ; {
		list, next := r.b.Queues(after, "q", 4)
		for _, i := range list {
			names = append(names, i.Kind+" "+i.Name)
		}
		if after = next; after == "" {
			break
		}
	}
	if len(names) != 26 || names[3] != "queue q03" || names[4] != "temp-queue q03" || names[25] != "queue q24" {
		t.Errorf("%q", names)
	}
	if list, next := r.b.Queues("", "4", 0); len(list) != 3 || next != "" {
		t.Errorf("%v %q", list, next)
	}
}

func TestTopicsAndSubscriptionsAreListed(t *testing.T) {
	r := newRig(t)
	p := r.connect("a")
	p.consume(1, topicOf("x.*"), 0)
	p.consume(2, topicOf("x.y"), 0, lasting("d"))
	p.publish(topicOf("x.y"), "1")
	p.publish(topicOf("z"), "2")
	m, _ := r.mqtt("m", true, 60)
	m.filter("x.y", 1)
	m.filter("x.>", 1)
	topics, next := r.b.Topics("", "", 0)
	if fmt.Sprint(topics) != "[{x.* 2 0 0} {x.y 3 1 2} {z 0 1 0}]" || next != "" {
		t.Errorf("%+v %q", topics, next)
	}
	subs, _ := r.b.Subscriptions("", "", 0)
	var lines []string
	for _, s := range subs {
		lines = append(lines, fmt.Sprint(s.ClientID, " ", s.Name, " ", s.Kind, " ", s.Topics, " ", s.Active, " ", s.Queue.Depth))
	}
	want := "a d durable [x.y] true 1|a  live [x.*] true 1|m  inbox [x.> x.y] true 0"
	if got := strings.Join(lines, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if s := r.b.Stats(); s.Topics != 2 || s.Subscriptions != 1 || s.Inboxes != 1 || s.Clients != 2 || s.Protocols["mqtt"].Clients != 1 {
		t.Errorf("%+v", s)
	}
}

func TestClientsAreListed(t *testing.T) {
	r := newRig(t)
	for i := range 5 {
		r.connect(fmt.Sprint("c", i))
	}
	r.attach() // not connected: nobody yet
	first, next := r.b.Clients(0, "", 3)
	rest, end := r.b.Clients(next, "c", 3)
	if len(first) != 3 || len(rest) != 2 || end != 0 || first[2].ClientID != "c2" || rest[0].ClientID != "c3" {
		t.Errorf("%+v %+v", first, rest)
	}
}

func TestQueuesAreMadeDeletedAndPaused(t *testing.T) {
	r := newRig(t)
	b, p := r.b, r.connect("")
	if err := b.CreateQueue(queueOf("q")); err != nil {
		t.Fatal(err)
	}
	for _, d := range []Destination{topicOf("t"), queueOf("a.*"), {}} {
		if err := b.CreateQueue(d); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %v", d, err)
		}
	}
	p.consume(1, queueOf("q"), 10)
	if err := b.DeleteQueue(queueOf("q")); !errors.Is(err, ErrInUse) {
		t.Error(err)
	}
	if err := b.Pause(queueOf("q")); err != nil {
		t.Fatal(err)
	}
	p.publish(queueOf("q"), "1")
	p.want("")
	r.stop()
	b, p = r.b, r.connect("")
	p.consume(1, queueOf("q"), 10)
	p.want("")
	if i := r.queue("q"); !i.Paused || i.Depth != 1 {
		t.Errorf("%+v", i)
	}
	if err := b.Resume(queueOf("q")); err != nil {
		t.Fatal(err)
	}
	p.settleAs(Accepted, p.want("1")...)
	p.must(Op{Kind: OpUnsubscribe, Sub: 1})
	p.publish(queueOf("q"), "2")
	if err := b.Pause(queueOf("q")); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteQueue(queueOf("q")); err != nil {
		t.Error(err)
	}
	for _, err := range []error{b.DeleteQueue(queueOf("q")), b.Pause(queueOf("q")), b.Resume(queueOf("q"))} {
		if !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
	if _, err := b.Browse(queueOf("q"), "", 0); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	r.stop()
	if _, err := r.b.Queue(queueOf("q")); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	p = r.connect("")
	p.publish(queueOf("q"), "3") // another queue of that name, with another id
	if i := r.queue("q"); i.Depth != 1 || i.Paused || i.ID == 1 {
		t.Errorf("%+v", i)
	}
}

func TestPublishToAQueueThatWasDeleted(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.publish(queueOf("q"), "1")
	if err := r.b.DeleteQueue(queueOf("q")); err != nil {
		t.Fatal(err)
	}
	p.publish(queueOf("q"), "2")
	p.consume(1, queueOf("q"), 10)
	p.want("2")
}

func TestSubscriptionsAreDeleted(t *testing.T) {
	r := newRig(t)
	p := r.connect("a")
	p.consume(1, topicOf("t"), 0, lasting("d"))
	m, _ := r.mqtt("m", true, 60)
	for _, err := range []error{r.b.DeleteSubscription("a", "d"), r.b.DeleteSubscription("m", "")} {
		if !errors.Is(err, ErrInUse) {
			t.Error(err)
		}
	}
	p.close()
	m.close()
	for _, err := range []error{r.b.DeleteSubscription("a", "d"), r.b.DeleteSubscription("m", "")} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, err := range []error{r.b.DeleteSubscription("a", "d"), r.b.DeleteSubscription("m", "")} {
		if !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
	r.stop()
	if s := r.b.Stats(); s.Subscriptions+s.Inboxes != 0 {
		t.Errorf("%+v", s)
	}
}

func TestOldestMessage(t *testing.T) {
	r := newRig(t)
	p := r.connect("")
	p.publish(queueOf("q"), "1", func(m *Message) { m.TimestampMs = r.now })
	r.sleep(5000)
	p.publish(queueOf("q"), "2", func(m *Message) { m.TimestampMs = r.now })
	if i := r.queue("q"); i.OldestMs != 5000 {
		t.Errorf("%+v", i)
	}
}
