package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Third-party clients behind one face, so that a test can put any of them on either end.

// message is what clients send and receive, in words that all protocols share.
type message struct {
	// What is sent: one of the two, and the rest as the protocol can carry it.
	Text  *string `json:"text,omitempty"`
	Bytes []byte  `json:"bytes,omitempty"`

	// What was received: Kind is "text", "bytes", or the library's name for something else.
	Kind string `json:"kind,omitempty"`
	Body []byte `json:"body,omitempty"`

	Properties  map[string]any `json:"properties,omitempty"`
	ReplyTo     string         `json:"replyTo,omitempty"`
	Correlation string         `json:"correlation,omitempty"`
	ContentType string         `json:"contentType,omitempty"`
}

func textMessage(s string) message { return message{Text: &s} }

// body is what a message to be sent carries, as bytes.
func (m *message) body() []byte {
	if m.Text != nil {
		return []byte(*m.Text)
	}
	return m.Bytes
}

// client is one connection of a library. Its calls are made by one goroutine.
type client interface {
	// subscribe returns once the broker has said yes. The address is the protocol's own spelling.
	subscribe(ctx context.Context, address string) (subscription, error)
	// send returns once the broker has confirmed the message.
	send(ctx context.Context, address string, m message) error
	close(ctx context.Context) error
}

type subscription interface {
	// receive waits for one message and acknowledges it.
	receive(ctx context.Context) (message, error)
	close(ctx context.Context) error
}

// protocol is one column of the matrix.
type protocol struct {
	name   string // as users write it: "MQTT 5"
	scheme string // the transport
	libs   []library
}

// library is a third-party client.
type library struct {
	name string // with its language
	open func(ctx context.Context, d *drivers, port int, id string) (client, error)
}

func remoteLibrary(title, process, lib string) library {
	return library{title, func(ctx context.Context, d *drivers, port int, id string) (client, error) {
		return d.open(ctx, process, lib, port, id)
	}}
}

var protocols = []protocol{
	{"AMQP 1.0", "amqp", []library{
		{"go-amqp (Go)", openGoAMQP},
		remoteLibrary("qpid-proton (Python)", "python", "proton"),
		remoteLibrary("rhea (JavaScript)", "node", "rhea"),
	}},
	{"MQTT 3.1.1", "mqtt", []library{
		remoteLibrary("paho-mqtt (Python)", "python", "paho4"),
		remoteLibrary("mqtt.js (JavaScript)", "node", "mqttjs4"),
	}},
	{"MQTT 5", "mqtt", []library{
		{"paho.golang (Go)", openPahoGo},
		remoteLibrary("paho-mqtt (Python)", "python", "paho5"),
		remoteLibrary("mqtt.js (JavaScript)", "node", "mqttjs5"),
	}},
	{"STOMP 1.2", "stomp", []library{
		remoteLibrary("stomp.py (Python)", "python", "stomp"),
		remoteLibrary("stompit (JavaScript)", "node", "stompit"),
	}},
}

// answerTimeout bounds each exchange with a client or the broker.
const answerTimeout = 10 * time.Second

// answer is what a driver process writes for a job.
type answer struct {
	ID      int     `json:"id"`
	Error   string  `json:"error"`
	Conn    int     `json:"conn"`
	Sub     int     `json:"sub"`
	Message message `json:"message"`
}

// job is what a driver process is asked to do.
type job struct {
	ID        int      `json:"id"`
	Op        string   `json:"op"`
	Lib       string   `json:"lib,omitempty"`
	Port      int      `json:"port,omitempty"`
	Name      string   `json:"name,omitempty"`
	Conn      int      `json:"conn,omitempty"`
	Sub       int      `json:"sub,omitempty"`
	Address   string   `json:"address,omitempty"`
	Message   *message `json:"message,omitempty"`
	TimeoutMs int      `json:"timeoutMs,omitempty"`
}

func (j job) String() string {
	text, err := json.Marshal(j)
	if err != nil {
		return fmt.Sprintf("job %d: %v", j.ID, err)
	}
	return string(text)
}
