package admin

import (
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/havenmq/havenmq/core"
)

// BrowsedMessage is a message as the API shows it. Text or Bytes (base64 in JSON) holds the body, cut at the limit.
type BrowsedMessage struct {
	ID            string         `json:"id,omitempty"`
	CorrelationID string         `json:"correlationId,omitempty"`
	ReplyTo       string         `json:"replyTo,omitempty"`
	ContentType   string         `json:"contentType,omitempty"`
	Type          string         `json:"type,omitempty"`
	GroupID       string         `json:"groupId,omitempty"`
	To            string         `json:"to"`
	Priority      uint8          `json:"priority"`
	Durable       bool           `json:"durable"`
	TimestampMs   int64          `json:"timestampMs,omitempty"`
	ExpiresMs     int64          `json:"expiresMs,omitempty"`
	Attempts      uint32         `json:"attempts"`
	InFlight      bool           `json:"inFlight"`
	Reason        string         `json:"reason,omitempty"`
	Origin        string         `json:"origin,omitempty"` // where a dead letter died
	Properties    map[string]any `json:"properties,omitempty"`
	Kind          string         `json:"kind"` // "text", "bytes", "json", "none"
	Text          *string        `json:"text,omitempty"`
	Bytes         []byte         `json:"bytes,omitempty"`
	BodyBytes     int            `json:"bodyBytes"` // the whole body's size
	Unreadable    string         `json:"unreadable,omitempty"`
}

// browseStep is how many messages are asked of the broker at a time, and maxBytesBrowsed ends a page early: messages are
// read whole, and a page of large ones would fill the memory.
const (
	browseStep      = 16
	maxBytesBrowsed = 16 << 20
)

// maxBodyShown bounds how much of a body a page holds; a page of maxPage of them is still bounded.
const maxBodyShown = 64 << 10

func (s *Server) browse(r *http.Request, d core.Destination) (any, error) {
	if err := method(r, http.MethodGet); err != nil {
		return nil, err
	}
	after, _, limit, err := paging(r)
	if err != nil {
		return nil, err
	}
	var items []BrowsedMessage
	for bytes := 0; ; {
		p, err := s.broker.Browse(d, after, min(browseStep, limit-len(items)))
		if err != nil {
			return nil, err
		}
		for i := range p.Messages {
			items = append(items, shown(&p.Messages[i]))
			bytes += len(p.Messages[i].Message.Bare)
		}
		if after = p.Next; after == "" || len(p.Messages) == 0 || len(items) >= limit || bytes > maxBytesBrowsed {
			return page(items, after), nil
		}
	}
}

func shown(b *core.BrowsedMessage) BrowsedMessage {
	m := b.Message
	out := BrowsedMessage{To: m.To.String(), Priority: b.Priority, Durable: b.Durable, Attempts: b.Attempts,
		InFlight: b.InFlight, Reason: b.Reason, Origin: b.Origin.String(), TimestampMs: m.TimestampMs, ExpiresMs: m.ExpiresMs, Kind: "none"}
	c, err := m.Content()
	if err != nil {
		out.Unreadable = err.Error()
		return out
	}
	out.ID, out.CorrelationID, out.ContentType, out.Type, out.GroupID = c.ID, c.CorrelationID, c.ContentType, c.Type, c.GroupID
	if !c.ReplyTo.IsZero() {
		out.ReplyTo = c.ReplyTo.String()
	}
	out.body(c)
	for _, p := range c.Properties {
		if out.Properties == nil {
			out.Properties = map[string]any{}
		}
		out.Properties[p.Name] = jsonValue(p.Value)
	}
	return out
}

func (out *BrowsedMessage) body(c *core.Content) {
	out.BodyBytes = len(c.Body)
	body := c.Body[:min(len(c.Body), maxBodyShown)]
	switch c.Kind {
	case core.BodyNone:
		return
	case core.BodyBytes:
		out.Kind, out.Bytes = "bytes", body
		return
	case core.BodyJSON:
		out.Kind = "json"
	default:
		out.Kind = "text"
	}
	for len(body) < len(c.Body) && len(body) > 0 && !utf8.RuneStart(c.Body[len(body)]) { // never half a character
		body = body[:len(body)-1]
	}
	text := string(body)
	out.Text = &text
}

// jsonValue is a property's value as JSON can hold it: what JSON has no number for becomes text.
func jsonValue(v any) any {
	switch v := v.(type) {
	case float32:
		return jsonFloat(float64(v))
	case float64:
		return jsonFloat(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	}
	return v
}

func jsonFloat(f float64) any {
	if f != f || f-f != 0 { // NaN or infinite
		return fmt.Sprint(f)
	}
	return f
}
