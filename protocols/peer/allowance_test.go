package peer

import (
	"io"
	"strings"
	"testing"
	"time"
)

// gatheringMachine keeps what "keep" brings until "forget".
type gatheringMachine struct {
	*lineMachine
	kept int
}

func (m *gatheringMachine) HeldBytes() (in, out int) { return m.kept, 0 }

func (m *gatheringMachine) Receive(f line, now time.Time, out *Out[line]) {
	switch verb, rest, _ := strings.Cut(string(f), " "); verb {
	case "keep":
		m.kept += len(rest)
	case "forget":
		m.kept = 0
	}
	m.lineMachine.Receive(f, now, out)
}

type gatheringProtocol struct{ lineProtocol }

func (p gatheringProtocol) New(l Limits, remote string, now time.Time) (Codec[line], Machine[line]) {
	c, m := p.lineProtocol.New(l, remote, now)
	return c, &gatheringMachine{lineMachine: m.(*lineMachine)}
}

func connectWith(t *testing.T, kind string, p Protocol[line], a *Allowance) *wire {
	t.Helper()
	return connect(t, kind, p, Limits{MaxFrameBytes: 4 << 20}, func(o *Options) { o.Allowance = a })
}

const refusedForOthers = "malformed: messages under way: there are too many large ones on all connections together: try again later, or raise memoryUsage"

// Half of a large frame each: the one that is too much is refused, the others go on, and what ended is free again.
func TestAllowanceOfInput(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			a := NewAllowance(3 << 20)
			half := "#2000000\n" + strings.Repeat("x", 1_000_000)
			first, second, small := connectWith(t, kind, lineProtocol{}, a), connectWith(t, kind, lineProtocol{}, a), connectWith(t, kind, lineProtocol{}, a)
			first.say(half)
			settled(t, func() bool { return a.HeldBytes() >= 1_000_000 })
			before := a.HeldBytes()
			for range 2 { // what the refused one held is free for the next
				third := connectWith(t, kind, lineProtocol{}, a)
				go func() { _, _ = io.WriteString(third.Conn, "#3000000\n"+strings.Repeat("x", 2_900_000)) }() // it may be cut off
				third.hear(refusedForOthers)
				settled(t, func() bool { return a.HeldBytes() == before })
			}
			small.say("echo hello\n")
			small.hear("hello")
			first.say(strings.Repeat("x", 1_000_000) + "echo mine\n")
			first.hear("mine")
			first.say("echo again\n")
			first.hear("again")
			settled(t, func() bool { return a.HeldBytes() == 0 })
			second.say(half)
			settled(t, func() bool { return a.HeldBytes() >= 1_000_000 })
			_ = second.Close() // the test's own end
			settled(t, func() bool { return a.HeldBytes() == 0 })
		})
	}
}

func TestAllowanceOfMachine(t *testing.T) {
	a := NewAllowance(100)
	first, second := connectWith(t, "tcp", gatheringProtocol{}, a), connectWith(t, "tcp", gatheringProtocol{}, a)
	first.say("keep " + strings.Repeat("x", 70) + "\necho kept\n")
	first.hear("kept")
	second.say("keep " + strings.Repeat("x", 31) + "\n")
	second.hear(refusedForOthers)
	if got := a.HeldBytes(); got != 70 {
		t.Errorf("%d bytes are held, want 70", got)
	}
	first.say("forget\necho free\n")
	first.hear("free")
	settled(t, func() bool { return a.HeldBytes() == 0 })
}

// settled waits until ok, ten seconds at most.
func settled(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come about")
		}
	}
}
