package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The cross-protocol matrix: what a client of one protocol sends, a client of another receives as the contract's mapping
// table says. Each cell is tried with every pair of libraries of the two protocols.

// address is how a protocol spells a destination.
func (p *protocol) address(kind, name string) string {
	switch p.scheme {
	case "amqp":
		return kind + "://" + name
	case "stomp":
		return "/" + kind + "/" + name
	}
	topic := strings.ReplaceAll(name, ".", "/")
	if kind == "queue" {
		return "$queue/" + topic
	}
	return topic
}

// bodyOnly says that the protocol carries a body and nothing beside it.
func (p *protocol) bodyOnly() bool { return p.name == "MQTT 3.1.1" }

// content is one column of the table: what is sent, and what must come out.
type content struct {
	name string
	make func(from *protocol, reply string) message
	want func(from, to *protocol, reply string) message
	// beside says that the content is more than a body, so that MQTT 3.1.1 cannot carry it.
	beside bool
	reply  bool // what is received is answered
}

// text holds characters of one to four bytes, and what STOMP and JSON would escape.
const text = "plain, grüße, 木, 🚀\t\"quoted\" \\ a:b\nnext line\x01"

var everyByte = func() []byte {
	b := make([]byte, 0, 512)
	for i := range 256 {
		b = append(b, byte(i), byte(255-i))
	}
	return b
}()

// bodyKind is how a body arrives: text stays text where both ends can say so.
func bodyKind(from, to *protocol) string {
	if from.bodyOnly() || to.bodyOnly() {
		return "bytes"
	}
	return "text"
}

func wantText(from, to *protocol, _ string) message {
	return message{Kind: bodyKind(from, to), Body: []byte(text)}
}

// typedProperties are AMQP's; the others' properties are strings. None has a control character: MQTT lets a peer refuse
// those in a string [MQTT-1.5.4].
var typedProperties = map[string]any{"colour": "grün 🚀", "number": int64(42), "yes": true, "escaped": `a:b\c "d"`}

func stringProperties() map[string]any {
	out := map[string]any{}
	for k, v := range typedProperties {
		out[k] = fmt.Sprint(v)
	}
	return out
}

func sentProperties(from *protocol) map[string]any {
	if from.scheme == "amqp" {
		return maps.Clone(typedProperties)
	}
	return stringProperties()
}

var contents = []content{
	{name: "text",
		make: func(*protocol, string) message { return textMessage(text) },
		want: wantText},
	{name: "binary",
		make: func(*protocol, string) message { return message{Bytes: everyByte} },
		want: func(_, _ *protocol, _ string) message { return message{Kind: "bytes", Body: everyByte} }},
	{name: "properties", beside: true,
		make: func(from *protocol, _ string) message {
			m := textMessage(text)
			m.Properties = sentProperties(from)
			return m
		},
		want: func(from, to *protocol, _ string) message {
			m := wantText(from, to, "")
			m.Properties = sentProperties(from)
			if to.scheme != "amqp" {
				m.Properties = stringProperties()
			}
			return m
		}},
	{name: "reply-to and correlation", beside: true, reply: true,
		make: func(_ *protocol, reply string) message {
			m := textMessage(text)
			m.ReplyTo, m.Correlation = reply, "question 1"
			return m
		},
		want: func(from, to *protocol, reply string) message {
			m := wantText(from, to, "")
			m.ReplyTo, m.Correlation = reply, "question 1"
			return m
		}},
}

// end is one library on one end of the matrix.
type end struct {
	*protocol
	library
	client
}

// exchange is one try: from one library's client to another's, over a destination of its own.
type exchange struct {
	kind, name string
	from, to   *end
	content    *content
}

func (x *exchange) String() string {
	return fmt.Sprintf("%s, %s from %s with %s to %s with %s", x.content.name, x.kind,
		x.from.protocol.name, x.from.library.name, x.to.protocol.name, x.to.library.name)
}

// run sends, receives and compares; for a question, it sends the answer back to where it was asked for.
func (x *exchange) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*answerTimeout)
	defer cancel()
	sub, err := x.to.subscribe(ctx, x.to.address(x.kind, x.name))
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	err = x.ask(ctx, sub)
	if closing := sub.close(ctx); err == nil && closing != nil {
		err = fmt.Errorf("unsubscribe: %w", closing)
	}
	return err
}

func (x *exchange) ask(ctx context.Context, sub subscription) error {
	replies := x.name + ".reply"
	if !x.content.reply {
		_, err := x.tell(ctx, sub, replies)
		return err
	}
	replySub, err := x.from.subscribe(ctx, x.from.address(x.kind, replies))
	if err != nil {
		return fmt.Errorf("subscribe to replies: %w", err)
	}
	question, err := x.tell(ctx, sub, replies)
	if err == nil {
		err = x.answer(ctx, replySub, question)
	}
	return errors.Join(err, replySub.close(ctx))
}

// tell sends the content and compares what arrives.
func (x *exchange) tell(ctx context.Context, sub subscription, replies string) (message, error) {
	m := x.content.make(x.from.protocol, x.from.address(x.kind, replies))
	if err := x.from.send(ctx, x.from.address(x.kind, x.name), m); err != nil {
		return m, fmt.Errorf("send: %w", err)
	}
	got, err := sub.receive(ctx)
	if err != nil {
		return m, fmt.Errorf("receive: %w", err)
	}
	want := x.content.want(x.from.protocol, x.to.protocol, x.to.address(x.kind, replies))
	return got, compare(want, got)
}

// answer replies to a question as its receiver understood it.
func (x *exchange) answer(ctx context.Context, replySub subscription, question message) error {
	reply := message{Bytes: []byte("answer"), Correlation: question.Correlation}
	if err := x.to.send(ctx, question.ReplyTo, reply); err != nil {
		return fmt.Errorf("send the reply to %s: %w", question.ReplyTo, err)
	}
	got, err := replySub.receive(ctx)
	if err != nil {
		return fmt.Errorf("receive the reply: %w", err)
	}
	return compare(message{Kind: "bytes", Body: reply.Bytes, Correlation: reply.Correlation}, got)
}

// compare looks at body and kind, and at whatever else want has. Properties beyond those that were sent may only be those
// that the mapping itself adds.
func compare(want, got message) error {
	if want.Kind != got.Kind || !bytes.Equal(want.Body, got.Body) {
		return fmt.Errorf("want %s %q, got %s %q", want.Kind, want.Body, got.Kind, got.Body)
	}
	if want.ReplyTo != got.ReplyTo || want.Correlation != got.Correlation {
		return fmt.Errorf("want reply to %q, correlation %q; got %q, %q", want.ReplyTo, want.Correlation, got.ReplyTo, got.Correlation)
	}
	properties := map[string]any{}
	for k, v := range got.Properties {
		if !addedByMapping(k) {
			properties[k] = plain(v)
		}
	}
	wanted := map[string]any{}
	for k, v := range want.Properties {
		wanted[k] = plain(v)
	}
	if diff := cmp.Diff(wanted, properties); diff != "" {
		return fmt.Errorf("properties differ (-want +got):\n%s", diff)
	}
	return nil
}

func addedByMapping(property string) bool {
	return strings.HasPrefix(property, "JMS") || property == "priority" || property == "timestamp"
}

// plain makes numbers of all widths one: JSON has but one kind.
func plain(v any) any {
	switch n := reflect.ValueOf(v); {
	case n.CanInt():
		return float64(n.Int())
	case n.CanUint():
		return float64(n.Uint())
	}
	return v
}

func TestMatrix(t *testing.T) {
	b := start(t, 0)
	senders, receivers := openEnds(t, b, "from"), openEnds(t, b, "to")
	results := newMatrix()
	for _, kind := range []string{"queue", "topic"} {
		for _, from := range senders {
			for _, to := range receivers {
				for i := range contents {
					c := &contents[i]
					if c.beside && (from.bodyOnly() || to.bodyOnly()) {
						results.notCarried(kind, from.protocol, to.protocol, c)
						continue
					}
					results.tried++
					x := &exchange{kind, fmt.Sprintf("matrix.%d", results.tried), from, to, c}
					err := x.run(t.Context())
					if err != nil {
						t.Errorf("%s: %v", x, err)
					}
					results.add(x, err)
				}
			}
		}
	}
	results.compareWithFile(t, "../docs/matrix.md")
}
